"""The networks as learners of a stack: one a task, and one for all tasks with its couplings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from labelweave._validation import one_line
from labelweave.annotations import Annotations
from labelweave.data import Inputs
from labelweave.data._row_store import StoredInputs
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting._config import FitConfig
from labelweave.fitting._methods import METHODS
from labelweave.fitting._networks import Fit, train_fits
from labelweave.fitting._split import Rows, Split
from labelweave.fitting._trunks import choose_trunks
from labelweave.model import Model, NetworkSpec, joint_probabilities
from labelweave.relations import AnyRelation
from labelweave.training import TrainingConfig

Floats = NDArray[np.float64]

TRAINED_AS = {"network": "single_task", "shared_network": "full"}
OPTIONS = ("steps", "batch_size", "learning_rate", "weight_decay")
LEAST_LABELS = 1_000  # of every task; with 99 on leaves the library alone was better
MOST_STEPS = 400  # of a fit, where the user does not say: four fits stand behind one candidate
STEP, WORK = 3.5e-3, 4e-11  # seconds of a step, and of a multiplication in it, on one core


@dataclass(frozen=True)
class NetworkModel:
    """Trained networks that predict standardised columns, images or tokens.

    Attributes:
        model: the networks, with the encoder of the raw inputs.
    """

    model: Model

    def predict(self, X: Floats | Inputs) -> dict[str, Floats]:
        """Return per task (n, K) class or (n, L) label-on probabilities."""
        given = joint_probabilities(self.model.networks, _as_inputs(X))
        return {name: np.asarray(p, np.float64) for name, p in given.items()}

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON."""
        self.model.save(folder)


@dataclass(frozen=True)
class NetworkLearner:
    """A `labelweave.learners.JointLearner`: networks trained by the settings of a fit.

    Args:
        name: ``network`` = a network for each task, ``shared_network`` = one for all, coupled by
            distribution matching and co-annotation.
        split: what is trained on; None = only to `load`.
        config: network, training, couplings and class priors.
        wanted: the user named it, or nothing else reads the images or tokens as they are: it is
            never left out for its time or for few labels.
    """

    name: str
    split: Split | None = None
    config: FitConfig = field(default_factory=FitConfig)
    wanted: bool = False

    def reason_against(self, annotations: Annotations) -> str | None:
        """Return why it is left out: too few labels of some task judge an over-confident network.

        Args:
            annotations: the labels.
        """
        labels = min(int(annotations.labelled(task.name).sum()) for task in annotations.tasks)
        if self.wanted or labels >= LEAST_LABELS:
            return None
        return f"a task has {labels} labels, takes part by default from {LEAST_LABELS} on"

    def seconds(self, annotations: Annotations, columns: int) -> float:
        """Return about how long one fit takes, from a fixed model, in seconds of one core.

        Args:
            annotations: the labels.
            columns: inputs.
        """
        if self.wanted:
            return 0.0
        training = self.config.training
        sizes = [columns, *self.config.network.hidden, sum(t.width for t in annotations.tasks)]
        weights = sum(a * b for a, b in pairwise(sizes))
        networks = 1 if self.name == "shared_network" else len(annotations.tasks)
        rows = min(training.batch_size, len(annotations))
        steps = training.total_steps(len(annotations))
        calls = 1.0 if self.name == "shared_network" else 2 + networks / 5
        return steps * (STEP * calls + WORK * networks * weights * rows)

    def fit(
        self,
        X: Floats | Inputs,
        annotations: Annotations,
        relations: Sequence[AnyRelation],
        seed: int,
    ) -> NetworkModel:
        """Train on the labels given; see `labelweave.learners.JointLearner.fit`."""
        assert self.split is not None
        train = replace(self.split.train, inputs=_as_inputs(X), annotations=annotations)
        none = Rows(train.inputs[:0], annotations[:0], np.zeros(0, np.int64), np.zeros(0, np.int64))
        split = replace(
            self.split, seed=seed, train=train, validation=none, test=none, everything=None,
            relations=tuple(relations), noise=(), transfer_weights={},
        )  # fmt: skip
        method = METHODS[TRAINED_AS[self.name]]
        options = method.coupling_options(self.config.couplings)
        spec = NetworkSpec(self.config.network.backbone, self.config.network.options())
        tasks = list(annotations.tasks)
        groups = [tasks] if method.kind == "joint" else [[task] for task in tasks]
        used = split.relations if method.coupled else ()
        fits = [
            Fit(
                split, annotations, group, used, (), options, self.config, spec, None,
                own_trunks=choose_trunks(split, annotations, group, self.config),
            )
            for group in groups
        ]  # fmt: skip
        networks = train_fits(fits, None, False, None)
        return NetworkModel(Model(split.encoder, spec, networks))

    def load(self, folder: Path) -> NetworkModel:
        """Return what `NetworkModel.save` wrote."""
        return NetworkModel(Model.load(folder))


def network_learners(
    split: Split, config: FitConfig, chosen: Mapping[str, Mapping[str, Any]] | None
) -> list[NetworkLearner]:
    """Return the networks that are to join a stack.

    Args:
        split: what is trained on.
        config: the settings.
        chosen: by name of `TRAINED_AS` the options given; None = both, of columns as far as they
            pay their time.

    Raises:
        LabelweaveError: an unknown option, or a value that makes no sense.
    """
    raw = config.inputs.pixels or config.inputs.tokens
    found = []
    named: Mapping[str, Mapping[str, Any]] = {name: {} for name in TRAINED_AS}
    for name, options in (named if chosen is None else chosen).items():
        training = _training(name, config.training, options, augment=config.inputs.pixels)
        own = config.model_copy(update={"training": training})
        found.append(NetworkLearner(name, split, own, raw or chosen is not None))
    return found


def of_one_task(learners: Sequence[NetworkLearner]) -> list[NetworkLearner]:
    """Return those that learn each task alone."""
    return [learner for learner in learners if METHODS[TRAINED_AS[learner.name]].kind == "single"]


def _as_inputs(X: Floats | Inputs) -> Inputs:
    """Return columns as float32; images and tokens as they are."""
    return X if isinstance(X, StoredInputs) else np.asarray(X, np.float32)


def _training(
    name: str, general: TrainingConfig, options: Mapping[str, Any], *, augment: bool
) -> TrainingConfig:
    plain: dict[str, Any] = {"patience": None, "weighting": "sum"}  # no validation rows set aside
    if not augment:  # pixels are features by now
        plain["augment"] = None
    kept = general.model_dump(exclude_unset=True) | plain
    if "steps" in options:
        kept["epochs"] = None
    elif kept.get("epochs") is None:
        kept["steps"] = min(MOST_STEPS, general.total_steps(1))
    for option in options:
        if option not in OPTIONS:
            raise LabelweaveError(
                f"learner '{name}': no option '{option}', expected {listing(OPTIONS)}"
                f"{nearest(option, OPTIONS)}"
            )
    try:
        return TrainingConfig(**kept | dict(options))
    except ValidationError as error:
        raise LabelweaveError(
            f"learner '{name}': {one_line(error, TrainingConfig, 'option')}"
        ) from None

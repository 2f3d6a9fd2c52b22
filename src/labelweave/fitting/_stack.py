"""Stacks of learners as models of a study or an estimator: fitted on a split, saved, loaded."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import labelweave
from labelweave._arguments import a_path
from labelweave._files import write_text
from labelweave._parsing import read_json_object
from labelweave._saved import SavedModel, arrays, read_description
from labelweave._shapes import Tokens
from labelweave.annotations import Annotations
from labelweave.class_priors import (
    AssumedPrior,
    labelled_prior,
    population_prior,
    source_priors,
)
from labelweave.data import Inputs
from labelweave.data._input_encoder import Encoder
from labelweave.errors import LabelweaveError, in_place
from labelweave.evaluation._calibration_maps import Calibration
from labelweave.fitting._config import FitConfig
from labelweave.fitting._network_learners import (
    TRAINED_AS,
    NetworkLearner,
    network_learners,
    of_one_task,
)
from labelweave.fitting._split import Split
from labelweave.fitting._views import CHUNK, LibraryView, columns_of, view_of
from labelweave.model import (
    EncodedPredictor,
    Model,
    TrainingRecord,
    calibration_of,
    encoder_of,
)
from labelweave.tasks import Task

if TYPE_CHECKING:  # scikit-learn takes seconds: loaded where learners are fitted
    from labelweave.coupling import CoupledStack

FORMAT = 1
STACK, VIEW = "stack", "view"  # folders in the model's


@dataclass
class StackModel(EncodedPredictor):
    """A `CoupledStack` with the encoder of its inputs.

    Attributes:
        encoder: turns raw columns into the learners' inputs.
        stack: the learners, coupled and guarded.
        view: makes the library's columns of images or tokens; None = the inputs are columns.
        thresholds: per multilabel task the probability from which a label counts as on.
        priors: per task the class prior in ``training`` and in the ``population``.
        prior: the class prior that predictions assume.
        calibration: maps of the probabilities under the training prior; None = as they are.
        record: how the training went; not saved.
    """

    encoder: Encoder
    stack: "CoupledStack"
    view: LibraryView | None = None
    thresholds: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    priors: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    prior: AssumedPrior = field(default_factory=AssumedPrior)
    calibration: Calibration | None = None
    record: TrainingRecord = field(default_factory=TrainingRecord, compare=False, repr=False)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model predicts."""
        return self.stack.tasks

    def uncalibrated(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return `probabilities` before calibration."""
        parts = [
            self.stack.predict_proba(columns_of(self.view, rows), self.joint_inputs(rows))
            for rows in self._chunks(encoded)
        ]
        return {
            name: np.concatenate([part[name] for part in parts]).astype(np.float32)
            for name in parts[0]
        }

    def features(self, encoded: Inputs) -> NDArray[np.float32]:
        """Return the columns that the library reads, (n, d)."""
        return columns_of(self.view, encoded).astype(np.float32)

    def joint_inputs(self, encoded: Inputs) -> Inputs | None:
        """Return what the networks of the stack read where that is not the library's columns."""
        return None if self.view is None else encoded

    def _chunks(self, encoded: Inputs) -> list[Inputs]:
        if self.view is None:
            return [encoded]
        return [encoded[i : i + CHUNK] for i in range(0, max(1, len(encoded)), CHUNK)]

    def save(self, folder: str | Path) -> None:
        """Write ``model.json``, ``schema.yaml`` and the folder ``stack``: skops files and JSON."""
        path = a_path("save", folder, "a folder to write to")
        self.stack.save(path / STACK)
        if self.view is not None:
            self.view.save(path / VIEW)
        description = {
            "format": FORMAT,
            "labelweave": labelweave.__version__,
            "kind": STACK,
            **self._description(),
        }
        self._save_schema(path)
        write_text(path / "model.json", json.dumps(description, indent=1))

    @classmethod
    def load(cls, folder: str | Path) -> "StackModel":
        """Read a model that `save` wrote.

        Raises:
            LabelweaveError: the folder holds no such model, or a damaged one.
        """
        from labelweave.coupling import CoupledStack

        path = Path(folder) / "model.json"
        try:
            found = read_description(path, SavedModel, FORMAT)
        except (FileNotFoundError, NotADirectoryError):
            raise LabelweaveError(f"{folder}: no model here, expected a file model.json") from None
        with in_place(path):
            encoder = encoder_of(found, path.parent)
        stack = CoupledStack.load(Path(folder) / STACK, [NetworkLearner(n) for n in TRAINED_AS])
        with in_place(path):
            found.check(stack.tasks)
            calibration = calibration_of(found, stack.tasks)
            view = None if isinstance(encoder.shape_, int) else LibraryView.load(path.parent / VIEW)
            if isinstance(encoder.shape_, Tokens) and (view is None or view.network is None):
                raise LabelweaveError(
                    f"found no folder '{VIEW}', expected the network by which the learners read "
                    "texts"
                )
            if view is None and encoder.shape_ != len(stack.centre):
                raise LabelweaveError(
                    f"the encoder gives {encoder.shape_} inputs, the stack takes "
                    f"{len(stack.centre)}"
                )
        prior = AssumedPrior.from_dict(dict(found.prior))
        priors = {str(kind): arrays(by_task) for kind, by_task in found.priors.items()}
        return cls(encoder, stack, view, arrays(found.thresholds), priors, prior, calibration)


def load_model(folder: str | Path) -> Model | StackModel:
    """Return the model of a folder, whatever its kind.

    Raises:
        LabelweaveError: the folder holds no model, a damaged one, or one of a newer format.
    """
    folder = a_path("load", folder, "the folder of a model")
    try:
        # a folder that once held the other kind may still have its files
        kind = read_json_object(Path(folder) / "model.json").get("kind")
    except (OSError, ValueError):
        kind = None  # networks, or no model: the error is theirs
    return StackModel.load(folder) if kind == STACK else Model.load(folder)


def fit_stack(
    split: Split,
    labels: Annotations,
    config: FitConfig,
    prior: AssumedPrior,
    *,
    couple: bool,
    progress: Callable[[str], None] | None = None,
) -> StackModel:
    """Fit the library of learners on a split.

    Args:
        split: the data; of images and tokens the library reads the columns of a `LibraryView`, the
            networks read them as they are.
        labels: of its training rows.
        config: its learners and their budget; without relations `relatedness` says whether to look
            for them.
        prior: the class prior that predictions assume.
        couple: join the tasks by the split's relations; without any, by relations estimated
            between all tasks. Without `couple` every task stands alone.
        progress: called with what is fitted now.
    """
    from labelweave.coupling import fit_best_single, fit_coupled
    from labelweave.learners._registry import choose_learners

    inputs, groups = split.train.inputs, split.train.groups
    view = view_of(split, labels, config)
    X, joint_inputs = columns_of(view, inputs), None if view is None else inputs
    choice = choose_learners(config.learners)
    learners, networks = choice.learners, network_learners(split, config, choice.networks)
    training = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
    own = source_priors(labels, split.source, split.relations if couple else (), training)
    shifts = config.label_shift.training == "adjust"
    if couple:
        looks = not split.relations and config.relatedness.origin != "given"
        stack = fit_coupled(
            X, labels, split.relations, estimate="all" if looks else (), learners=learners,
            joint_learners=networks, joint_inputs=joint_inputs, groups=groups,
            sample_weight=split.sample_weight,
            priors={name: p[split.source] for name, p in own.items()} if shifts else None,
            seed=split.seed, budget=config.budget, progress=progress,
        )  # fmt: skip
    else:
        stack = fit_best_single(
            X, labels, learners=learners, joint_learners=of_one_task(networks),
            joint_inputs=joint_inputs, groups=groups,
            sample_weight=split.sample_weight, seed=split.seed, budget=config.budget,
            progress=progress,
        )  # fmt: skip
    priors = {"training": training, "population": population_prior(own, split.source)}
    return StackModel(split.encoder, stack, view, prior=prior, priors=priors)


def describe(model: StackModel) -> dict[str, Any]:
    """Return what happened: weights of learners, strengths of relations, candidates, history."""
    stack = model.stack
    return {
        "weights": stack.weights, "strengths": list(stack.strengths), "guard": stack.guard,
        "history": list(stack.history),
    }  # fmt: skip

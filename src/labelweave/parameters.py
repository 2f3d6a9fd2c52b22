"""The parameters of `MultiTaskClassifier` as a study's settings, each checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import NoisyOr, Relation
from labelweave.study.config import StudyConfig
from labelweave.study.inputs_section import InputsSection
from labelweave.study.network_section import NetworkSection
from labelweave.study.sections import SplitSection
from labelweave.study.seeds import LARGEST_SEED
from labelweave.study.study_file import one_line
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training import TrainingConfig

METHODS = (
    "full", "distribution_matching", "co_annotation", "distillation", "multi_task", "single_task",
)  # fmt: skip
COUPLED = METHODS[:3]
NETWORK = ("backbone", "hidden", "dropout", "shape", "channels")
INPUTS = ("categorical", "scale", "image", "text")
TRAINING = (
    "steps", "batch_size", "learning_rate", "backbone_rate", "layer_decay", "weight_decay",
    "sampling", "weighting", "patience", "augment",
)  # fmt: skip
S = TypeVar("S", bound=BaseModel)


def settings_of(parameters: Mapping[str, Any]) -> StudyConfig:
    """Return parameters, by name, as the settings of a study.

    Raises:
        LabelweaveError: a value that makes no sense; names the parameter.
    """
    given = {name: _plain(value) for name, value in parameters.items()}
    method, seed = given["method"], given["random_state"]
    if method not in METHODS:
        raise _wrong(
            "method", f"found {method!r}, expected {listing(METHODS)}{nearest(method, METHODS)}"
        )
    if not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise _wrong("random_state", f"found {seed!r}, expected a whole number from 0 up")
    for task in given["tasks"] or ():
        if not isinstance(task, Multiclass | Multilabel):
            raise _wrong("tasks", f"found {task!r}, expected Multiclass, Multilabel or Binary")
    if not isinstance(given["relations"], Mapping):
        for relation in given["relations"]:
            if not isinstance(relation, Relation | NoisyOr):
                raise _wrong(
                    "relations",
                    f"found {relation!r}, expected Relation or NoisyOr objects, or a mapping from "
                    "a task to its knowledge table",
                )
    network = dict(given["network"] or {})
    for name in NETWORK:
        if name in network:
            raise _wrong("network", f"found '{name}', expected it as a parameter of its own")
    if given["noise"] not in (None, "estimate"):
        raise _wrong("noise", f"found {given['noise']!r}, expected 'estimate' or None")
    if given["noise"] and method not in COUPLED:
        raise _wrong("noise", f"found the method '{method}', expected {listing(COUPLED)}")
    # without a word tables are taken as they are; noise is found through those that hold
    related = given["relatedness"] or ({} if given["noise"] else {"from": "given"})
    if given["noise"] and related.get("from") == "given":
        raise _wrong("noise", "found relatedness from 'given', expected evidence from the data")
    couplings = {name: dict(options) for name, options in (given["couplings"] or {}).items()}
    config = _section(
        StudyConfig,
        name="MultiTaskClassifier",
        network=_section(NetworkSection, **{name: given[name] for name in NETWORK}, **network),
        training=_section(TrainingConfig, **{name: given[name] for name in TRAINING}),
        inputs=_section(InputsSection, **{name: given[name] for name in INPUTS}),
        split=_section(SplitSection, validation=given["validation"]),
        couplings=couplings,
        relatedness=dict(related),
        label_shift=dict(given["label_shift"] or {}),
    )
    return config.located(Path())


def _plain(value: Any) -> Any:
    # scikit-learn's searches hand in numpy's numbers
    return value.item() if isinstance(value, np.generic) else value


def _section(section: type[S], **values: Any) -> S:
    try:
        return section(**values)
    except ValidationError as error:
        reason = one_line(error).replace("key", "parameter", 1)
        raise LabelweaveError(f"MultiTaskClassifier: {reason}") from None


def _wrong(parameter: str, reason: str) -> LabelweaveError:
    return LabelweaveError(f"MultiTaskClassifier: parameter '{parameter}': {reason}")

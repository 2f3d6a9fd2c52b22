"""The parameters of `MultiTaskClassifier` as settings of `fit`, checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from labelweave._arguments import a_list, a_mapping, a_path, kind_of
from labelweave._validation import one_line
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting import FitConfig
from labelweave.fitting._inputs import InputsSection
from labelweave.fitting._sections import LARGEST_SEED, NetworkSection, SplitSection
from labelweave.relations import NoisyOr, Relation
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training import TrainingConfig

FITTABLE = (
    "coupled", "student", "best_single_task", "full", "distribution_matching", "co_annotation",
    "distillation", "multi_task", "single_task",
)  # fmt: skip
STACKED = FITTABLE[:3]
COUPLED = FITTABLE[3:6]
NETWORK = ("backbone", "hidden", "dropout", "shape", "channels")
INPUTS = ("categorical", "dates", "hashed", "scale", "image", "text")
TRAINING = (
    "steps", "batch_size", "learning_rate", "backbone_rate", "layer_decay", "weight_decay",
    "sampling", "weighting", "patience", "augment",
)  # fmt: skip
NOISY = (*COUPLED, "coupled", "student")  # methods that take label noise into account
OUTPUTS = ("dict", "frame")
S = TypeVar("S", bound=BaseModel)


def settings_of(parameters: Mapping[str, Any]) -> FitConfig:
    """Return parameters, by name, as settings of `fit`.

    Raises:
        LabelweaveError: a value that makes no sense; names the parameter.
    """
    given = {name: _of_kind(name, _plain(value)) for name, value in parameters.items()}
    method, seed = given["method"], given["random_state"]
    if method not in FITTABLE:
        raise _wrong(
            "method",
            f"found {kind_of(method)}, expected {listing(FITTABLE, len(FITTABLE))}"
            f"{nearest(method, FITTABLE)}",
        )
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
        raise _wrong("random_state", f"found {kind_of(seed)}, expected a whole number from 0 up")
    for task in given["tasks"] or ():
        if not isinstance(task, Multiclass | Multilabel):
            raise _wrong(
                "tasks", f"found {kind_of(task)}, expected Multiclass, Multilabel or Binary"
            )
    if not isinstance(given["relations"], Mapping):
        for relation in given["relations"]:
            if not isinstance(relation, Relation | NoisyOr):
                raise _wrong(
                    "relations",
                    f"found {kind_of(relation)}, expected Relation or NoisyOr objects, or a "
                    "mapping from a task to its knowledge table",
                )
    network = given["network"] or {}
    for name in NETWORK:
        if name in network:
            raise _wrong("network", f"found '{name}', expected it as a separate parameter")
    if given["noise"] not in (None, "estimate"):
        raise _wrong("noise", f"found {kind_of(given['noise'])}, expected 'estimate' or None")
    if given["noise"] and method not in NOISY:
        raise _wrong("noise", f"found the method '{method}', expected {listing(NOISY)}")
    if given["output"] not in OUTPUTS:
        raise _wrong("output", f"found {kind_of(given['output'])}, expected {listing(OUTPUTS)}")
    related = given["relatedness"]
    related = {"from": related} if isinstance(related, str) else related
    if not related:
        # networks take tables as they are; noise is found through those that hold
        related = {} if given["noise"] or method in STACKED else {"from": "given"}
    if given["noise"] and related.get("from") == "given":
        raise _wrong("noise", "found relatedness from 'given', expected evidence from the data")
    _section(SplitSection, validation=given["validation"])
    if method in STACKED:
        if given["couplings"]:
            raise _wrong(
                "couplings", f"found it with the method '{method}', expected {listing(COUPLED)}"
            )
        if related.get("from", "all") not in ("all", "given"):
            raise _wrong(
                "relatedness",
                f"found {related['from']!r} with the method '{method}', expected 'all' or 'given'",
            )
    for name in ("learners", "budget"):
        if given[name] is not None and method not in STACKED:
            raise _wrong(name, f"found it with the method '{method}', expected {listing(STACKED)}")
    learners = given["learners"]
    listed = isinstance(learners, list | tuple)
    couplings = {
        name: a_mapping(f"MultiTaskClassifier: parameter 'couplings': '{name}'", options)
        for name, options in (given["couplings"] or {}).items()
    }
    config = _section(
        FitConfig,
        network=_section(
            NetworkSection, **{name: given[name] for name in NETWORK}, **_network_keys(network)
        ),
        training=_section(TrainingConfig, **{name: given[name] for name in TRAINING}),
        inputs=_section(
            InputsSection, **{name: given[name] for name in INPUTS if given[name] is not None}
        ),
        couplings=couplings,
        relatedness=dict(related),
        learners=list(learners) if listed else learners,
        budget=given["budget"],
        label_shift=dict(given["label_shift"] or {}),
    )
    return config.located(Path())


TEXTS = ("method", "backbone", "output")
MAPPINGS = ("couplings", "label_shift", "network")
LISTS = ("tasks", "missing")


def _of_kind(name: str, value: Any) -> Any:
    """Return a parameter of the kind that it has to be; sections check their own.

    Raises:
        LabelweaveError: it is of another kind.
    """
    place = f"MultiTaskClassifier: parameter '{name}'"
    if name in TEXTS and not isinstance(value, str):
        raise LabelweaveError(f"{place}: found {kind_of(value)}, expected a text")
    if name == "progress" and not isinstance(value, bool):
        raise LabelweaveError(f"{place}: found {kind_of(value)}, expected True or False")
    if value is None:
        return () if name == "relations" else None
    if name in MAPPINGS:
        return a_mapping(place, value)
    if name == "relatedness":
        return value if isinstance(value, str) else a_mapping(place, value, "a text or dictionary")
    if name == "noise" and not isinstance(value, str):
        raise LabelweaveError(f"{place}: found {kind_of(value)}, expected 'estimate' or None")
    if name == "cache":
        return a_path(place, value, "a folder")
    if name == "relations" and isinstance(value, Mapping):
        tables = a_mapping(place, value)
        for task, table in tables.items():
            if not isinstance(table, pd.DataFrame):
                a_path(f"{place}: '{task}'", table, "a table: a CSV file or a data frame")
        return tables
    if name in (*LISTS, "relations"):
        expected = {"tasks": "a list of tasks", "missing": "a list of values"}.get(
            name, "a list of relations, or a dictionary from a task to its table"
        )
        found = a_list(place, value, expected)
        if name == "tasks" and not found:
            raise LabelweaveError(f"{place}: found none, expected at least one task")
        return found
    return value


def _network_keys(network: Mapping[str, Any]) -> Mapping[str, Any]:
    known = NetworkSection.model_fields
    for name in network:
        if name not in known:
            raise _wrong(
                "network", f"found '{name}', expected {listing(known)}{nearest(name, known)}"
            )
    return network


def _plain(value: Any) -> Any:
    # scikit-learn's searches hand in numpy's numbers
    return value.item() if isinstance(value, np.generic) else value


def _section(section: type[S], **values: Any) -> S:
    try:
        return section(**values)
    except ValidationError as error:
        reason = one_line(error, section, "parameter")
        raise LabelweaveError(f"MultiTaskClassifier: {reason}") from None


def _wrong(parameter: str, reason: str) -> LabelweaveError:
    return LabelweaveError(f"MultiTaskClassifier: parameter '{parameter}': {reason}")

"""The couplings by name, each made of what it takes and of a study's options."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labelweave._search_space import Space, log_uniform
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._co_annotation import CoAnnotation
from labelweave.losses._coupling import FADE, Coupling, Needs, needs
from labelweave.losses._distillation import Distillation
from labelweave.losses._distribution_matching import DistributionMatching
from labelweave.losses._noisy_or import NoisyOrCoAnnotation, NoisyOrMatching
from labelweave.relations import AnyRelation, NoisyOr
from labelweave.tasks import Task

COUPLINGS: dict[str, Callable[..., Coupling]] = {
    "distribution_matching": DistributionMatching,
    "co_annotation": CoAnnotation,
    "distillation": Distillation,
}
# the same by noisy-ORs
NOISY_OR_COUPLINGS: dict[str, Callable[..., Coupling]] = {
    "distribution_matching": NoisyOrMatching,
    "co_annotation": NoisyOrCoAnnotation,
}

# Below 1: a coupling's loss outweighs that of a multilabel target, a mean over its labels, and
# up to a point what it teaches does not depend on its weight (docs/experiments.md).
WEIGHT = 0.3
PUBLISHED = {"paper", "hard"}  # these forms have weight 1
WEIGHTS = log_uniform(0.03, 3.0)  # to search


def needs_relations(coupling: str) -> bool:
    """Return whether a coupling, by its name, works by relations.

    Raises:
        LabelweaveError: an unknown coupling.
    """
    if coupling not in COUPLINGS:
        raise LabelweaveError(
            f"unknown coupling '{coupling}', expected {listing(COUPLINGS)}"
            f"{nearest(coupling, COUPLINGS)}"
        )
    return "relations" in inspect.signature(COUPLINGS[coupling]).parameters


def default_weight(coupling: str, options: Mapping[str, object]) -> float:
    """Return the factor of a coupling whose options name none."""
    forms = {options.get(key) for key in ("form", "forward", "backward")}
    plain = not needs_relations(coupling) or bool(forms & PUBLISHED)
    return 1.0 if plain else WEIGHT


def coupling_space(coupling: str) -> Space:
    """Return the values of a coupling's options that a search may try."""
    return {"weight": WEIGHTS, **getattr(COUPLINGS[coupling], "space", {})}


def made_couplings(
    name: str, options: dict[str, object], given: Mapping[str, object]
) -> tuple[list[Coupling], float]:
    """Return the losses of one name, of what each takes of `given`, and the factor of their terms.

    Tables and noisy-ORs have losses of their own.
    """
    usual = default_weight(name, options)
    weight = checked_weight(f"coupling '{name}'", options.pop("weight", usual))
    given = {**given, "needs": _needs(name, given, options)}
    parameters = inspect.signature(COUPLINGS[name]).parameters
    known = [*(p for p in parameters if p not in given), "weight"]
    known += ["fade"] if "needs" in parameters else []
    for option in options:
        if option not in known:
            raise LabelweaveError(
                f"coupling '{name}': unknown option '{option}', expected {listing(known)}"
                f"{nearest(option, known)}"
            )
    try:
        found = _made(name, options, given)
    except (TypeError, LabelweaveError) as error:
        raise LabelweaveError(f"coupling '{name}': {error}") from None
    return [coupling for coupling in found if coupling.names], weight


def _needs(name: str, given: Mapping[str, Any], options: dict[str, object]) -> Needs | None:
    """Return the needs of the tasks: as measured, or by own labels and the option ``fade``.

    Takes the option out; a fade that is given comes before what was measured.
    """
    if "needs" not in inspect.signature(COUPLINGS[name]).parameters:
        return None
    measured = {} if "fade" in options else given["needs"] or {}
    fade = options.pop("fade", FADE)
    if fade is None:
        return None
    if not isinstance(fade, int | float) or not 0 < fade < math.inf:
        raise LabelweaveError(
            f"coupling '{name}': found the fade {fade!r}, expected a number above 0, or null"
        )
    if given["counts"] is None and not measured:
        return None
    return {**needs(given["tasks"], given["counts"] or {}, fade), **measured}


def _made(name: str, options: Mapping[str, object], given: Mapping[str, object]) -> list[Coupling]:
    def make(coupling: Callable[..., Coupling], arguments: Mapping[str, object]) -> Coupling:
        known = inspect.signature(coupling).parameters
        return coupling(**{key: value for key, value in arguments.items() if key in known})

    everything = {**given, **options}
    if not needs_relations(name):
        return [make(COUPLINGS[name], everything)]
    relations: Any = given["relations"]
    tables = [relation for relation in relations if not isinstance(relation, NoisyOr)]
    noisy_ors = [relation for relation in relations if isinstance(relation, NoisyOr)]
    found = []
    if tables:
        found.append(make(COUPLINGS[name], everything | {"relations": tables}))
    if noisy_ors:
        # options of the forms for tables, such as a temperature, mean nothing to these
        found.append(make(NOISY_OR_COUPLINGS[name], everything | {"relations": noisy_ors}))
    return found


def checked_weight(place: str, value: object) -> float:
    """Return a weight as a number; errors name its place."""
    if isinstance(value, int | float) and 0 <= value < math.inf:
        return float(value)
    raise LabelweaveError(f"{place}: found the weight '{value}', expected a number of 0 or more")


def check_relations(relations: Sequence[AnyRelation], tasks: Sequence[Task]) -> None:
    """Raise `LabelweaveError` for a relation of a task that is not there, or of other classes."""
    known = {task.name: task for task in tasks}
    for relation in relations:
        for task in (relation.source, relation.target):
            if task.name not in known:
                raise LabelweaveError(
                    f"relation {relation.name}: no task '{task.name}', expected {listing(known)}"
                    f"{nearest(task.name, known)}"
                )
            expected = known[task.name].names
            if task.names != expected:
                raise LabelweaveError(
                    f"relation {relation.name}: task '{task.name}' has the classes or labels "
                    f"{listing(task.names)}, expected {listing(expected)}"
                )

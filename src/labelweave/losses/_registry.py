"""The couplings by name: the options of each, and how an objective makes it.

PyTorch is loaded where one is made, so that a study file is checked without it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from labelweave._options import Options, resolve
from labelweave._search_space import Space, log_uniform
from labelweave._validation import MOST_WEIGHT, stated
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import AnyRelation, Noise, NoisyOr, Relation, TransferWeights
from labelweave.relations._transfer_weights import FADE, LabelCounts, prior_transfer_weights
from labelweave.tasks import Task

if TYPE_CHECKING:
    from labelweave.losses._coupling import Coupling
    from labelweave.losses._layout import Columns

# Below 1: a coupling's loss outweighs that of a multilabel target, a mean over its labels, and
# up to a point what it teaches does not depend on its weight (docs/explanation/experiments.md).
WEIGHT = 0.3
PUBLISHED = {"paper", "hard"}  # these forms have weight 1
WEIGHTS = log_uniform(0.03, 3.0)  # to search


HOTTEST = 1e6
Temperature = Annotated[float, Field(le=HOTTEST), stated(0, HOTTEST)]
Weight = Annotated[float, Field(le=MOST_WEIGHT), stated(0, MOST_WEIGHT)]


class CouplingOptions(Options):
    """weight: factor of the coupling's terms; None = the default of its form."""

    weight: float | None = Field(default=None, ge=0, le=MOST_WEIGHT)

    @property
    def usual_weight(self) -> float:
        """The weight of a coupling whose options name none."""
        return 1.0


class RelationOptions(CouplingOptions):
    """smoothing: see `RelationStacks`; fade: own labels at which what is learnt counts half."""

    smoothing: float = Field(default=0.01, ge=0, lt=1)
    fade: float | None = Field(default=FADE, gt=0, le=1e9)

    @property
    def usual_weight(self) -> float:
        """The weight of a coupling whose options name none: 1 for the published forms."""
        forms = {getattr(self, key, None) for key in ("form", "forward", "backward")}
        return 1.0 if forms & PUBLISHED else WEIGHT


class MatchingOptions(RelationOptions):
    """form: a name of `FORMS`."""

    form: str = "symmetric"


class CoAnnotationOptions(RelationOptions):
    """forward, backward: a name of `FORWARD`, `BACKWARD`, None = off; temperature: of ``paper``."""

    forward: str | None = "soft_labels"
    backward: str | None = "marginal"
    temperature: float = Field(default=1.0, gt=0, le=HOTTEST)


class DistillationOptions(CouplingOptions):
    """temperature, weights: one for all tasks, or task name to its own."""

    temperature: Temperature | Mapping[str, Temperature] = 2.0
    weights: Weight | Mapping[str, Weight] = 1.0


@dataclass(frozen=True)
class CouplingContext:
    """What an objective knows that a coupling may need.

    Attributes:
        tasks: the tasks to be trained.
        columns: the layout of the batches.
        relations: the tables.
        noisy_ors: the noisy-ORs.
        noise: how labels err.
        transfer_weights: per task the factor of what it learns; None = 1.
    """

    tasks: Sequence[Task]
    columns: "Columns"
    relations: Sequence[Relation] = ()
    noisy_ors: Sequence[NoisyOr] = ()
    noise: Sequence[Noise] = ()
    transfer_weights: TransferWeights | None = None


def _matching(context: CouplingContext, options: MatchingOptions) -> list["Coupling"]:
    from labelweave.losses._distribution_matching import DistributionMatching
    from labelweave.losses._noisy_or import NoisyOrMatching

    found: list[Coupling] = []
    form, smoothing, columns = options.form, options.smoothing, context.columns
    if context.relations:
        weights = context.transfer_weights
        found += [DistributionMatching(context.relations, form, smoothing, columns, weights)]
    if context.noisy_ors:
        found += [NoisyOrMatching(context.noisy_ors, form, smoothing, columns)]
    return found


def _co_annotation(context: CouplingContext, options: CoAnnotationOptions) -> list["Coupling"]:
    from labelweave.losses._co_annotation import CoAnnotation
    from labelweave.losses._noisy_or import NoisyOrCoAnnotation

    found: list[Coupling] = []
    if context.relations:
        tables = CoAnnotation(
            context.relations, options.forward, options.backward, options.temperature,
            options.smoothing, context.columns, context.noise, context.transfer_weights,
        )  # fmt: skip
        found.append(tables)
    if context.noisy_ors:
        noisy_ors = NoisyOrCoAnnotation(
            context.noisy_ors, options.forward, options.backward, options.smoothing, context.columns
        )
        found.append(noisy_ors)
    return found


def _distillation(context: CouplingContext, options: DistillationOptions) -> list["Coupling"]:
    from labelweave.losses._distillation import Distillation

    columns = context.columns
    return [Distillation(context.tasks, options.temperature, options.weights, columns)]


@dataclass(frozen=True)
class CouplingKind:
    """A coupling that a study can name.

    Attributes:
        options: the class of its options.
        by_relations: whether it works by relations; without any it is left out.
        make: its losses, one for tables and one for noisy-ORs.
    """

    options: type[CouplingOptions]
    by_relations: bool
    make: Callable[[CouplingContext, Any], list["Coupling"]]


COUPLINGS: dict[str, CouplingKind] = {
    "distribution_matching": CouplingKind(MatchingOptions, True, _matching),
    "co_annotation": CouplingKind(CoAnnotationOptions, True, _co_annotation),
    "distillation": CouplingKind(DistillationOptions, False, _distillation),
}


def coupling_options(name: str, options: Mapping[str, Any]) -> CouplingOptions:
    """Return all the options of a coupling.

    Args:
        name: a name of `COUPLINGS`.
        options: those that are given.

    Raises:
        LabelweaveError: an unknown coupling or option, or a value that an option cannot have.
    """
    known = {name: kind.options for name, kind in COUPLINGS.items()}
    _, found = resolve("coupling", {name: options}, known)
    assert isinstance(found, CouplingOptions)
    return found


def needs_relations(coupling: str) -> bool:
    """Return whether a coupling, by its name, works by relations.

    Raises:
        LabelweaveError: an unknown coupling.
    """
    coupling_options(coupling, {})
    return COUPLINGS[coupling].by_relations


def default_weight(coupling: str, options: Mapping[str, Any]) -> float:
    """Return the factor of a coupling's terms where its options name none.

    Raises:
        LabelweaveError: see `coupling_options`.
    """
    return coupling_options(coupling, options).usual_weight


def coupling_space(coupling: str) -> Space:
    """Return the values of a coupling's options that a search may try."""
    kind = COUPLINGS.get(coupling)
    return {"weight": WEIGHTS, **(kind.options.space if kind else {})}


def made_couplings(
    name: str,
    given: Mapping[str, Any],
    tasks: Sequence[Task],
    columns: "Columns",
    relations: Sequence[AnyRelation] = (),
    noise: Sequence[Noise] = (),
    counts: LabelCounts | None = None,
    measured: TransferWeights | None = None,
) -> tuple[list["Coupling"], float]:
    """Return the losses of one name and the factor of their terms; see `Objective`.

    Tables and noisy-ORs have separate losses.

    Raises:
        LabelweaveError: see `coupling_options`; or tasks that do not fit the options.
    """
    options = coupling_options(name, given)
    context = CouplingContext(
        tasks,
        columns,
        [relation for relation in relations if not isinstance(relation, NoisyOr)],
        [relation for relation in relations if isinstance(relation, NoisyOr)],
        noise,
        _weights(options, tasks, counts, measured),
    )
    try:
        found = COUPLINGS[name].make(context, options)
    except LabelweaveError as error:
        raise LabelweaveError(f"coupling '{name}': {error}") from None
    weight = options.usual_weight if options.weight is None else options.weight
    return [coupling for coupling in found if coupling.names], weight


def _weights(
    options: CouplingOptions,
    tasks: Sequence[Task],
    counts: LabelCounts | None,
    measured: TransferWeights | None,
) -> TransferWeights | None:
    """Return the transfer weights: as measured, or by own labels and the option ``fade``."""
    if not isinstance(options, RelationOptions) or options.fade is None:
        return None
    # a fade that is given comes before what was measured
    known = {} if "fade" in options.model_fields_set else dict(measured or {})
    if counts is None and not known:
        return None
    return {**prior_transfer_weights(tasks, counts or {}, options.fade), **known}


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

"""The methods of a study: what is trained, on which labels, coupled by which relations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._registry import needs_relations
from labelweave.relations._relate import ORIGINS, Origin
from labelweave.training import TrainingConfig

MethodOrigin = Origin | Literal["given"]
METHOD_ORIGINS: tuple[MethodOrigin, ...] = ("given", *ORIGINS)


@dataclass(frozen=True)
class Method:
    """One way to get predictions for all tasks.

    Attributes:
        name: the method's name in study files and results.
        title: what it is, in one line.
        kind: ``joint`` trains one network for all tasks, ``single`` one for each task, ``trees``
            scikit-learn's trees for each task, ``stack`` a library of learners
            (`labelweave.coupling`), ``student`` one network that a stack teaches, ``derived`` works
            on another method's predictions.
        couplings: the couplings of its objective (`labelweave.losses.COUPLINGS`).
        relations: the relations as given, or with their rows shuffled.
        all_labels: train on labels that the study hides from the other methods.
        base: the method whose predictions a derived method, or one with estimated relations, starts
            from; the baseline, which teaches a method that distils, is always there.
        origin: None = as the study says; ``given`` = the relations as the study gives them; else
            they are estimated from this evidence for every seed, and only those with evidence on
            held-out rows are used.
        noise: estimate how labels err, with the relations, and take it into account.
        options: options of its couplings, in place of the study's.
        training: its sampling and weighting, in place of the study's.
        on_request: only compared where a study names it.
        joins: whether a stack of learners joins its tasks.
    """

    name: str
    title: str
    kind: Literal["joint", "single", "trees", "stack", "student", "derived"] = "joint"
    couplings: tuple[str, ...] = ()
    relations: Literal["given", "shuffled"] = "given"
    all_labels: bool = False
    base: str | None = None
    origin: MethodOrigin | None = None
    noise: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    on_request: bool = False
    joins: bool = True

    @property
    def needs_relations(self) -> bool:
        """Whether the method makes no sense without a relation."""
        return self.coupled or self.kind == "derived"

    @property
    def coupled(self) -> bool:
        """Whether relations couple its tasks."""
        return any(map(needs_relations, self.couplings))

    @property
    def distils(self) -> bool:
        """Whether the networks of the baseline, on the same seed, teach it."""
        return "distillation" in self.couplings

    @property
    def teacher(self) -> str | None:
        """The method whose models of the same seed teach it; None = labels alone do."""
        if self.kind == "student":
            return self.base
        return BASELINE if self.distils else None

    @property
    def comes_second(self) -> bool:
        """Whether it is trained on what other runs of the seed gave: relations or teachers."""
        return self.estimated is not None or self.teacher is not None

    @property
    def estimated(self) -> Origin | None:
        """The evidence that its relations are estimated from; None = they are as given."""
        return None if self.origin == "given" else self.origin

    def settled(self, default: MethodOrigin) -> "Method":
        """Return the method with relations from the study's default origin, where it says none."""
        if self.origin is not None or not self.coupled or self.relations != "given":
            return self
        return self.from_origin(default)

    def from_origin(self, origin: MethodOrigin) -> "Method":
        """Return the method with relations of an origin."""
        if origin == "given":
            return replace(self, origin=origin)
        return replace(self, origin=origin, base=UNCOUPLED)

    def coupling_options(
        self, general: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return the options of each of its couplings: the study's `general` ones, then its own."""
        return {
            name: {**general.get(name, {}), **self.options.get(name, {})} for name in self.couplings
        }

    def training_of(self, general: TrainingConfig) -> TrainingConfig:
        """Return the study's training with the method's own keys in place."""
        return general.model_copy(update=dict(self.training)) if self.training else general

    def lacks(self, *, relations: bool, hidden_labels: bool, columns: bool = True) -> str | None:
        """Return what a study must have for this method and has not, in words; None = nothing."""
        if self.needs_relations and not relations and self.origin in (None, "given", "knowledge"):
            return "relations"
        if self.all_labels and not hidden_labels:
            return "hidden labels (a 'scatter' section)"
        if self.kind == "trees" and not columns:
            return "inputs that are columns, or images with an 'encoder'"
        return None


BASELINE = "single_task"
UNCOUPLED = "multi_task"  # the method whose predictions relations are estimated from
NOISE = "noise"  # ending of a method's name whose label noise is estimated

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(BASELINE, "one network per task, same backbone and labels", "single"),
        Method("multi_task", "one network for all tasks, supervised losses only"),
        Method(
            "co_annotation",
            "multi_task + labels of one task give soft labels to others, through the table",
            couplings=("co_annotation",),
        ),
        Method(
            "distribution_matching",
            "multi_task + predictions of related tasks are made to agree",
            couplings=("distribution_matching",),
        ),
        Method(
            "full",
            "multi_task + co-annotation + distribution matching",
            couplings=("co_annotation", "distribution_matching"),
        ),
        Method(
            "coupled",
            "learners of every kind, coupled by the relations and guarded by held-out labels",
            "stack",
            on_request=True,
        ),
        Method(
            "student",
            "one network for all tasks, taught by coupled",
            "student",
            base="coupled",
            on_request=True,
        ),
        Method(
            "distillation",
            "multi_task + single-task networks give soft labels where a row has none",
            couplings=("distillation",),
        ),
        Method(
            "post_hoc",
            "control: multi_task, the table multiplied in only at prediction",
            "derived",
            base="multi_task",
        ),
        Method("oracle", "control: multi_task on all labels, the hidden ones too", all_labels=True),
        Method(
            "shuffled_relations",
            "control: distribution_matching with the table's rows permuted",
            couplings=("distribution_matching",),
            relations="shuffled",
        ),
        Method(
            "strong_single_task",
            "control: trees for each task (boosted, or a forest where labels are few)",
            "trees",
        ),
        Method(
            "best_single_task",
            "the same learners for each task alone, weighed by held-out labels: the decision's "
            "baseline",
            "stack",
            on_request=True,
            joins=False,
        ),
    )
}


def find_method(name: str) -> Method:
    """Return a method by name; ``full.predictions`` is ``full`` with relations from predictions.

    ``full.predictions.noise`` has in addition the label noise estimated.
    ``coupled.predictions.noise`` leaves out the labels that are likely wrong by relations from
    predictions; its own relations are those of ``coupled``. ``student`` goes with it.

    Raises:
        LabelweaveError: no such method, or one that relations are not estimated for.
    """
    base, _, rest = name.partition(".")
    origin, _, noise = rest.partition(".")
    if base not in METHODS:
        raise LabelweaveError(
            f"no such method '{name}', expected {listing(METHODS, len(METHODS))}"
            f"{nearest(base, METHODS)}"
        )
    method = METHODS[base]
    if not rest:
        return method
    said = next((known for known in METHOD_ORIGINS if known == origin), None)
    if said is None:
        raise LabelweaveError(
            f"method '{name}': relations from '{origin}', expected {listing(METHOD_ORIGINS)}"
            f"{nearest(origin, METHOD_ORIGINS)}"
        )
    if noise not in ("", NOISE):
        raise LabelweaveError(f"method '{name}': found '.{noise}', expected '.{NOISE}' or nothing")
    if noise and said == "given":
        raise LabelweaveError(
            f"method '{name}': noise is estimated with relations that are checked, found 'given'"
        )
    if noise and base in ("coupled", "student"):
        return _without_noise(method, name, said)
    if base in ("coupled", "student"):
        raise LabelweaveError(
            f"method '{name}': '{base}' weighs its relations itself, expected '{base}' or "
            f"'{base}.{said}.{NOISE}'"
        )
    if not method.coupled or method.relations != "given":
        raise LabelweaveError(f"method '{name}': '{base}' is not coupled by relations as they are")
    evidence = "all evidence" if said == "all" else said
    how = "as given" if said == "given" else f"from {evidence}, those that hold"
    title = f"{method.title}; relations {how}" + ("; label noise estimated" if noise else "")
    return replace(method, name=name, title=title, noise=bool(noise)).from_origin(said)


def _without_noise(method: Method, name: str, origin: MethodOrigin) -> Method:
    """Return `coupled` or `student` without the labels that are likely wrong."""
    title = f"{method.title}; without labels that are likely wrong"
    found = replace(method, name=name, title=title)
    if method.kind == "student":  # its teacher brings the labels that are left
        return replace(found, base=f"coupled.{origin}.{NOISE}")
    return replace(found, noise=True).from_origin(origin)

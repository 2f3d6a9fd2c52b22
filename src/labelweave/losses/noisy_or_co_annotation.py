"""Co-annotation by a noisy-OR: labelled causes teach effects, labelled effects teach causes."""

from collections.abc import Sequence

from torch import nn

from labelweave.losses.co_annotation import check_forms
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.coupling import Coupling
from labelweave.losses.noisy_or_coupling import NoisyOrCoupling
from labelweave.losses.noisy_or_stack import logarithms
from labelweave.losses.terms import Terms, join
from labelweave.relations import NoisyOr


class NoisyOrLabels(NoisyOrCoupling):
    """Some cause labelled, target label missing: the target head learns the soft label q.

    Causes without a label enter with their prediction, without gradient. One term a relation: the
    cross-entropy against q, a mean over the missing target labels of which some cause is labelled.

    Args:
        relations: the noisy-ORs to couple by.
        smoothing: see `NoisyOrStack`.
        columns: see `Coupling`.
    """

    def __init__(
        self,
        relations: Sequence[NoisyOr],
        smoothing: float = 0.01,
        columns: Columns | None = None,
    ) -> None:
        super().__init__(relations, "soft_labels", smoothing, columns)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation."""
        stack = self.stack
        p = stack.sides(batch.log_p)[0].detach().exp()
        values, labelled = stack.causes_of(batch, p)
        q = stack.probability(values)
        log_on, log_off = self.target_sides(batch)
        told = (labelled @ stack.known > 0).to(q.dtype)
        missing = 1 - labelled.index_select(1, stack.target)
        return self.mean(-(q * log_on + (1 - q) * log_off), told * missing, values)


class NoisyOrLikelihood(NoisyOrCoupling):
    """Target label observed, some cause missing: -[y log q + (1 - y) log(1 - q)].

    The marginal likelihood of the observed label: the sum over all values of the missing causes,
    each with its p(s_i|x), is q with these p and the known causes at their labels. One term a
    relation: a mean over the observed target labels of which a cause of weight above 0 is missing;
    where all causes are labelled there is nothing to teach.

    Args:
        relations: the noisy-ORs to couple by.
        smoothing: see `NoisyOrStack`.
        columns: see `Coupling`.
    """

    def __init__(
        self,
        relations: Sequence[NoisyOr],
        smoothing: float = 0.01,
        columns: Columns | None = None,
    ) -> None:
        super().__init__(relations, "marginal", smoothing, columns)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation."""
        stack = self.stack
        values, labelled = stack.causes_of(batch, stack.sides(batch.log_p)[0].exp())
        log_q, log_rest = logarithms(stack.probability(values))
        on, off = (side.index_select(1, stack.target) for side in stack.sides(batch.one_hot))
        open_ = ((1 - labelled) @ stack.causes > 0).to(log_q.dtype)
        return self.mean(-(on * log_q + off * log_rest), open_ * (on + off), values)


class NoisyOrCoAnnotation(Coupling):
    """Co-annotation by noisy-ORs in both directions.

    The paper's soft and its predecessors' hard forms are about tables of classes and have none for
    a noisy-OR: by these names that direction has no term.

    Args:
        relations: the noisy-ORs to couple by.
        forward: ``soft_labels``, else none.
        backward: ``marginal``, or ``posterior``, whose gradient is the same; else none.
        smoothing: see `NoisyOrStack`.
        columns: see `Coupling`.

    Raises:
        LabelweaveError: a form that `CoAnnotation` does not know, or both directions are off.
    """

    def __init__(
        self,
        relations: Sequence[NoisyOr],
        forward: str | None = "soft_labels",
        backward: str | None = "marginal",
        smoothing: float = 0.01,
        columns: Columns | None = None,
    ) -> None:
        check_forms(forward, backward)
        super().__init__(columns or Columns.of(relations))
        parts: list[Coupling] = []
        if forward == "soft_labels":
            parts.append(NoisyOrLabels(relations, smoothing, self.columns))
        if backward in ("marginal", "posterior"):
            parts.append(NoisyOrLikelihood(relations, smoothing, self.columns))
        self.parts = nn.ModuleList(parts)
        self.names = tuple(name for part in parts for name in part.names)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return the terms of both directions."""
        if not self.names:
            return Terms((), batch.log_p.new_zeros(0), batch.log_p.new_zeros(0))
        return join([part.terms(batch) for part in self.parts])  # type: ignore[operator]

"""Distribution matching by a noisy-OR: what the causes predict, against the target's own labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._co_annotation import check_forms
from labelweave.losses._coupling import Coupling
from labelweave.losses._distribution_matching import FORMS, matched
from labelweave.losses._layout import ColumnBatch, Columns, Terms, join
from labelweave.losses._stack import NoisyOrStack, logarithms
from labelweave.relations import NoisyOr


class NoisyOrCoupling(Coupling):
    """A coupling by noisy-ORs, one term a relation, called ``form/source->target``.

    Args:
        relations: the noisy-ORs to couple by; each counts by its strength.
        form: first part of the terms' names.
        smoothing: see `NoisyOrStack`.
        columns: the layout of the batches that `terms` gets; None = that of the relations' tasks.
    """

    def __init__(
        self, relations: Sequence[NoisyOr], form: str, smoothing: float, columns: Columns | None
    ) -> None:
        super().__init__(columns or Columns.of(relations))
        self.stack = NoisyOrStack(relations, smoothing, self.columns)
        self.names = tuple(f"{form}/{name}" for name in self.stack.names)

    def target_sides(self, batch: ColumnBatch) -> tuple[Tensor, Tensor]:
        """Return log p of the target labels on and off, (n, M) each."""
        on, off = self.stack.sides(batch.log_p)
        return on.index_select(1, self.stack.target), off.index_select(1, self.stack.target)

    def mean(self, loss: Tensor, use: Tensor, values: Tensor) -> Terms:
        """Return the terms as means over elements.

        Args:
            loss: (n, M) of every element.
            use: (n, M) 1 where it counts, else 0.
            values: (n, L) what the causes were taken for; an element counts by the probability that
                none of unknown weight is on.
        """
        if not self.stack.complete:
            use = use * self.stack.mass(values)
        sums = (use * loss).sum(dim=0) @ self.stack.weights
        return Terms(self.names, sums, use.sum(dim=0) @ self.stack.elements)


class NoisyOrMatching(NoisyOrCoupling):
    """Match q(t_j) = 1 - (1 - leak_j) prod_i (1 - w_ij p(s_i)) with p(t_j), on every sample.

    As `DistributionMatching` with a multilabel target: its forms, a mean over samples and over the
    labels spoken about. The form ``paper`` has the "on" columns only; the weights are not rounded.
    Where weights are unknown, a sample counts by the probability that none of their causes is on.

    Args:
        relations: the noisy-ORs to couple by.
        form: a name of `FORMS`.
        smoothing: see `NoisyOrStack`.
        columns: see `Coupling`.

    Raises:
        LabelweaveError: an unknown form.
    """

    def __init__(
        self,
        relations: Sequence[NoisyOr],
        form: str = "symmetric",
        smoothing: float = 0.01,
        columns: Columns | None = None,
    ) -> None:
        if form not in FORMS:
            raise LabelweaveError(
                f"unknown form '{form}', expected {listing(FORMS)}{nearest(form, FORMS)}"
            )
        super().__init__(relations, "distribution_matching", smoothing, columns)
        self.form = form

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation; labels are not looked at."""
        values = self.stack.sides(batch.log_p)[0].exp()
        q = self.stack.probability(values)
        mass = None if self.stack.complete else self.stack.mass(values)
        log_on, log_off = self.target_sides(batch)
        loss = matched(self.form, log_on, q, mass)
        if self.form != "paper":
            loss = loss + matched(self.form, log_off, 1 - q, mass)
        sums = loss @ self.stack.shares
        return Terms(self.names, sums, torch.full_like(sums, float(len(q))))


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
        informed = (labelled @ stack.known > 0).to(q.dtype)
        missing = 1 - labelled.index_select(1, stack.target)
        return self.mean(-(q * log_on + (1 - q) * log_off), informed * missing, values)


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

"""Co-annotation: a label of one task supervises a task that has none on this sample."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._coupling import Coupling, RelationCoupling, target_weights
from labelweave.losses._layout import (
    ColumnBatch,
    Columns,
    Terms,
    constant,
    join,
    joined,
    of_some_rows,
)
from labelweave.losses._stack import RelationStack
from labelweave.losses._supervised import by_data_source
from labelweave.relations import Noise, Relation, TransferWeights


class SoftLabels(RelationCoupling):
    """Source labelled, target missing: the target head learns the soft label T[y_source].

    One term a relation: the cross-entropy against the table's row, a mean over the rows (for a
    multilabel target: elements) whose source is labelled and whose target is not. Each relation
    counts by its strength.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        transfer_weights: factor of what a task learns (`transfer_weights`); None = 1.
    """

    form = "soft_labels"

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float = 0.01,
        columns: Columns | None = None,
        transfer_weights: TransferWeights | None = None,
    ) -> None:
        super().__init__(relations, smoothing, columns)
        if transfer_weights is not None:
            self.stacks.weights.mul_(target_weights(self.stacks, transfer_weights)[:, None])
        self.names = tuple(f"{self.form}/{name}" for name in self.stacks.names)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation."""
        stacks = self.stacks
        missing = stacks.columns_of(self.columns.missing(batch.labels, batch.log_p.dtype))
        # rows of the tables, 0 where the source has no label or the target has one
        rows = joined([_rows(stack.table, stack.source, batch) for stack in stacks])
        loss = (missing * rows * stacks.columns_of(batch.log_p)).sum(dim=0)
        parts = stacks.by_source(missing)
        count = torch.cat([_count(stack, batch, gaps) for stack, gaps in parts])
        return Terms(self.names, -loss @ stacks.weights, count @ stacks.elements)


def _rows(table: Tensor, source: str, batch: ColumnBatch) -> Tensor:
    """Return the row of a table (K, W) for each label of its source, (n, W); without label 0."""
    one_hot = batch.one_hot_classes.get(source)
    if one_hot is not None:
        return one_hot @ table
    codes = batch.labels[source]
    return table.index_select(0, codes.clamp(min=0)) * (codes >= 0)[:, None]


def _count(stack: RelationStack, batch: ColumnBatch, missing: Tensor) -> Tensor:
    """Return on how many rows the table informs about a column without a label, (W,)."""
    if stack.complete:
        one_hot = batch.one_hot_classes.get(stack.source)
        if one_hot is None:
            return (batch.labels[stack.source] >= 0).to(missing.dtype) @ missing
        return one_hot.sum(dim=1) @ missing
    return (_rows(stack.known, stack.source, batch) * missing).sum(dim=0)


class BackwardCoupling(RelationCoupling):
    """A loss of the source tasks without a label, by the labels of all targets together.

    One term a source task: a mean over the rows without a source label that the form can teach.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        noise: see `RelationStacks`.
        transfer_weights: factor of what a task learns (`transfer_weights`); None = 1.

    Attributes:
        summed: whether a row's loss sums the evidence of all relations.
    """

    form: str
    summed: ClassVar[bool] = False
    factors: Tensor

    def __init__(
        self,
        relations: Sequence[Relation],
        smoothing: float = 0.01,
        columns: Columns | None = None,
        noise: Sequence[Noise] = (),
        transfer_weights: TransferWeights | None = None,
    ) -> None:
        super().__init__(relations, smoothing, columns, noise)
        weights = transfer_weights
        factors = [1.0 if weights is None else weights[s.source].mean() for s in self.stacks]
        self.register_buffer("factors", constant(factors), persistent=False)
        self.names = tuple(f"{self.form}/{stack.source}" for stack in self.stacks)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a source task."""
        stacks = self.stacks
        observed = stacks.columns_of(batch.one_hot)
        parts = stacks.by_source(observed)
        missing = torch.stack([batch.labels[stack.source] < 0 for stack in stacks], dim=1)
        use = self.taught(observed) & missing
        if self._some_rows_only(batch):
            found = [
                self.loss_of_rows(
                    stack,
                    batch.log_classes[stack.source],
                    by_data_source(batch, part, stacks.sources),
                    use[:, i].nonzero().squeeze(1),
                )
                for i, (stack, part) in enumerate(parts)
            ]
            sums = torch.stack([loss.sum() for loss in found])
            return Terms(self.names, sums * self.factors, use.sum(dim=0, dtype=sums.dtype))
        losses = [
            self.row_loss(
                stack,
                batch.log_classes[stack.source],
                by_data_source(batch, part, stacks.sources),
            )
            for stack, part in parts
        ]
        sums = torch.where(use, torch.stack(losses, dim=1), 0.0).sum(dim=0)
        return Terms(self.names, sums * self.factors, use.sum(dim=0, dtype=sums.dtype))

    def _some_rows_only(self, batch: ColumnBatch) -> bool:
        """Return whether to pick the rows that teach: with very many classes the others cost much.

        Their number is read, which on a GPU would wait for the device.
        """
        wide = {task.name for task in self.columns.wide} & {stack.source for stack in self.stacks}
        return bool(wide) and batch.log_p.device.type == "cpu" and not torch.compiler.is_compiling()

    def loss_of_rows(
        self, stack: RelationStack, log_p: Tensor, observed: Tensor, rows: Tensor
    ) -> Tensor:
        """Return `row_loss` of some rows, (r,).

        Args:
            stack: see `row_loss`.
            log_p: see `row_loss`.
            observed: see `row_loss`.
            rows: (r,) their numbers.
        """
        return self.row_loss(stack, log_p.index_select(0, rows), observed.index_select(0, rows))

    @property
    def multiples(self) -> tuple[float, ...]:
        """The number of relations of each source task where their evidence is one sum, else 1."""
        return tuple(float(stack.number) if self.summed else 1.0 for stack in self.stacks)

    @abstractmethod
    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return each row's loss for one source task, (n,).

        Args:
            stack: the relations from one source task of K classes, W columns.
            log_p: (n, K) log p(s|x).
            observed: (n, D * W) 1 at the labelled columns of the targets, at the place of the row's
                data source.
        """

    def taught(self, observed: Tensor) -> Tensor:
        """Return which rows' labels teach which source task, (n, S) bool: any label does.

        Args:
            observed: (n, M) as above, of all source tasks.
        """
        parts = self.stacks.by_source(observed)
        return torch.stack([part @ stack.informs for stack, part in parts], dim=1) > 0


REQUIRED = 0.7  # a prototypical label is used by more than this share (Du, Tao, Martinez, 2014)


class HardLabels(SoftLabels):
    """Source labelled, target missing: the class's labels are positives, weighted by the table.

    Per relation -sum_j T[y_source, j] log p_j / count, over the labels j of the class (entry above
    0) that are missing on the row; no label is taught to be off. A multiclass target learns the
    table's row. The table is taken as given, without smoothing (Kollias et al., arXiv 1910.11111
    and 2105.03790).

    Args:
        relations: the relations to couple by; each counts by its strength.
        columns: see `Coupling`.
    """

    form = "hard_labels"

    def __init__(self, relations: Sequence[Relation], columns: Columns | None = None) -> None:
        super().__init__(relations, 0.0, columns)
        for stack in self.stacks:
            positive = (stack.table > 0) & ~stack.off
            stack.known *= torch.where(stack.on | stack.off, positive, True)
            stack.table *= stack.known
            stack.complete = False


class HardClasses(BackwardCoupling):
    """Target labelled, source missing: the class whose required labels are all on.

    The required labels of a class are those with an entry above 0.7 (for a multiclass target, the
    one class above it); all must be observed and on. Of several fitting classes the one with the
    most required labels wins; a row without one, or with a tie, teaches nothing. Cross-entropy
    against that class (Kollias et al., arXiv 1910.11111 and 2105.03790).

    Args:
        relations: the relations to couple by; the mean strength of the required labels is a factor
            of the row's loss.
        columns: see `Coupling`.
    """

    form = "hard_classes"

    def __init__(self, relations: Sequence[Relation], columns: Columns | None = None) -> None:
        super().__init__(relations, 0.0, columns)

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the cross-entropy of each row, 0 without a winner."""
        required, sizes = _required(stack)
        winner, found = _winner(required, sizes, observed)
        trust = (required @ stack.strength) / sizes.clamp(min=1.0)
        loss = -trust[winner] * log_p.gather(1, winner[:, None]).squeeze(1)
        return torch.where(found, loss, 0.0)

    def taught(self, observed: Tensor) -> Tensor:
        """Return which rows have a winner for which source task, (n, S) bool."""
        parts = self.stacks.by_source(observed)
        return torch.stack([_winner(*_required(stack), part)[1] for stack, part in parts], dim=1)


def _required(stack: RelationStack) -> tuple[Tensor, Tensor]:
    """Return the required columns of every class, (K, W) of 0 and 1, and their number, (K,)."""
    informs = (stack.strength > 0) & ~stack.off
    required = ((stack.table > REQUIRED) & informs).to(stack.table.dtype)
    return required, required.sum(dim=1)


def _winner(required: Tensor, sizes: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the fitting class with the most required labels, (n,), and whether there is one."""
    sets = torch.where(observed @ required.T == sizes, sizes, 0.0)
    largest, winner = sets.max(dim=1)
    return winner, (largest > 0) & ((sets == largest[:, None]).sum(dim=1) == 1)


class MarginalLikelihood(BackwardCoupling):
    """Target labelled, source missing: -log sum_s p(s|x) prod_j T[s, y_j] over observed elements.

    Partial-label learning: the model's own p(s|x) picks among the classes that fit the labels. All
    relations from one source enter one product, so there is one term a source task: a mean over the
    rows without a source label that carry some label of a target. A relation's strength is the
    exponent of its factor. In an `Objective` the term counts the coupling's weight once for each of
    these relations, as distribution matching does with its one term a relation.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        noise: see `RelationStacks`.
    """

    form = "marginal"
    summed = True

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the negative log-likelihood of each row's labels."""
        return -torch.logsumexp(torch.addmm(log_p, observed, stack.log_evidence.T), dim=1)

    def loss_of_rows(
        self, stack: RelationStack, log_p: Tensor, observed: Tensor, rows: Tensor
    ) -> Tensor:
        """Return the same for some rows, of a wide task in fewer passes over its classes."""
        if stack.source not in {task.name for task in self.columns.wide}:
            return super().loss_of_rows(stack, log_p, observed, rows)
        seen = observed.index_select(0, rows)
        found: Tensor = _LogMarginal.apply(log_p, rows, seen, stack.log_evidence)  # type: ignore[no-untyped-call]
        return -found


class _LogMarginal(torch.autograd.Function):
    """log sum_s exp(log_p[row, s] + observed @ log_evidence[s]) of some rows, (r,).

    Its gradient in log_p is the posterior of the class, which the forward pass has anyway; it is
    one `of_some_rows`, as wide tasks take.
    """

    @staticmethod
    def forward(
        ctx: Any, log_p: Tensor, rows: Tensor, observed: Tensor, log_evidence: Tensor
    ) -> Tensor:
        joint = log_p.index_select(0, rows).addmm_(observed, log_evidence.T)
        posterior = torch.softmax(joint, dim=1)
        ctx.save_for_backward(posterior, rows)
        ctx.rows = len(log_p)
        # the highest posterior is 1 / K at least, so its logarithm is finite
        return joint.amax(dim=1) - posterior.amax(dim=1).log()

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None, None, None]:
        posterior, rows = ctx.saved_tensors
        found = posterior * gradient[0][:, None]
        return of_some_rows(rows, found, ctx.rows), None, None, None


class PaperScores(BackwardCoupling):
    """Target labelled, source missing: cross-entropy against a softmax of the classes' scores.

    I(s|x) = sum_j w_sj y_j / sum_j w_sj over the observed labels j, w the table as given; target
    softmax_s(I / temperature). A class of a multiclass target counts as a label that is on, of the
    whole row's weight. Scores lie in [0, 1], so that at the paper's temperature of 1 the targets
    are nearly uniform (Kollias et al., AAAI 2024, soft co-annotation).

    Args:
        relations: the relations to couple by; the strength is a factor of a relation's weights, and
            the mean strength of a row's labels one of the row's loss.
        temperature: above 0.
        columns: see `Coupling`.

    Raises:
        LabelweaveError: a temperature that is not above 0.
    """

    form = "paper"

    def __init__(
        self,
        relations: Sequence[Relation],
        temperature: float = 1.0,
        columns: Columns | None = None,
    ) -> None:
        super().__init__(relations, 0.0, columns)
        if not temperature > 0:
            raise LabelweaveError(f"temperature {temperature}, expected a number above 0")
        self.temperature = temperature

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the cross-entropy of each row."""
        weights = stack.strength * torch.where(stack.off, 0.0, stack.table)
        # what the observed element would add if it were on: w_sj of a label, 1 of a row of classes
        whole = torch.where(stack.on, stack.table, stack.known)
        whole = stack.strength * torch.where(stack.off, stack.known - stack.table, whole)
        scores = (observed @ weights.T) / (observed @ whole.T).clamp(min=1e-6)
        target = torch.softmax(scores / self.temperature, dim=1)
        trust = (observed @ stack.strength) / (observed @ stack.informs).clamp(min=1.0)
        return -trust * (target * log_p).sum(dim=1)


class PosteriorTargets(BackwardCoupling):
    """Target labelled, source missing: cross-entropy against the posterior of the source's class.

    r(s) proportional to p(s|x) prod_j T[s, y_j] over the observed elements, without gradient (the
    E-step of Dempster, Laird and Rubin, 1977); loss -sum_s r(s) log p(s|x). Its gradient is that of
    `MarginalLikelihood`; its value is not 0 where the labels leave more than one class possible.

    Args:
        relations: the relations to couple by; a relation's strength is the exponent of its factor.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        noise: see `RelationStacks`.
    """

    form = "posterior"
    summed = True

    def row_loss(self, stack: RelationStack, log_p: Tensor, observed: Tensor) -> Tensor:
        """Return the cross-entropy of each row."""
        evidence = observed @ stack.log_evidence.T
        responsibility = torch.softmax(log_p.detach() + evidence, dim=1)
        return -(responsibility * log_p).sum(dim=1)


FORWARD = ("soft_labels", "hard")
BACKWARD = ("marginal", "posterior", "paper", "hard")


class CoAnnotation(Coupling):
    """Co-annotation in both directions, each by the name of its form.

    Args:
        relations: the relations to couple by.
        forward: how labelled sources teach targets, a name of `FORWARD`; None = not.
        backward: how labelled targets teach sources, a name of `BACKWARD`; None = not.
        temperature: of the backward form ``paper``, above 0; the others have none.
        smoothing: see `RelationStacks`; ``paper`` and ``hard`` take the tables as they are.
        columns: see `Coupling`.
        noise: how labels of targets err: ``marginal`` and ``posterior`` take it into account.

    Raises:
        LabelweaveError: an unknown form, both directions are off, or noise with a backward form
            that takes labels as they are.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        forward: str | None = "soft_labels",
        backward: str | None = "marginal",
        temperature: float = 1.0,
        smoothing: float = 0.01,
        columns: Columns | None = None,
        noise: Sequence[Noise] = (),
        transfer_weights: TransferWeights | None = None,
    ) -> None:
        check_forms(forward, backward)
        if noise and backward in ("paper", "hard"):
            raise LabelweaveError(
                f"co-annotation: backward form '{backward}' takes labels as they are, expected "
                "marginal, posterior or null where labels are noisy"
            )
        super().__init__(columns or Columns.of(relations))
        parts: list[Coupling] = []
        if forward == "soft_labels":
            parts.append(SoftLabels(relations, smoothing, self.columns, transfer_weights))
        elif forward == "hard":
            parts.append(HardLabels(relations, self.columns))
        if backward == "paper":
            parts.append(PaperScores(relations, temperature, self.columns))
        elif backward == "hard":
            parts.append(HardClasses(relations, self.columns))
        elif backward is not None:
            form = MarginalLikelihood if backward == "marginal" else PosteriorTargets
            parts.append(form(relations, smoothing, self.columns, noise, transfer_weights))
        self.parts = nn.ModuleList(parts)
        self.names = tuple(name for part in parts for name in part.names)

    @property
    def multiples(self) -> tuple[float, ...]:
        """Those of both directions."""
        return tuple(multiple for part in self.parts for multiple in part.multiples)  # type: ignore[union-attr]

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return the terms of both directions."""
        return join([part.terms(batch) for part in self.parts])  # type: ignore[operator]


def check_forms(forward: str | None, backward: str | None) -> None:
    """Check the names of both directions.

    Raises:
        LabelweaveError: an unknown form, or both directions are off.
    """
    _check("forward", forward, FORWARD)
    _check("backward", backward, BACKWARD)
    if forward is None and backward is None:
        raise LabelweaveError(
            "co-annotation: forward and backward are both off, expected at least one form"
        )


def _check(direction: str, form: str | None, known: Sequence[str]) -> None:
    if form is not None and form not in known:
        raise LabelweaveError(
            f"unknown {direction} form '{form}', expected {listing(known)}{nearest(form, known)}"
        )

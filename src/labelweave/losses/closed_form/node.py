"""All losses of a step that have a closed form as one node of the autograd graph."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.losses.closed_form.batch import Layout
from labelweave.losses.closed_form.direct import Direct
from labelweave.losses.closed_form.marginal import MarginalPart
from labelweave.losses.closed_form.matching import MatchingPart
from labelweave.losses.closed_form.part import Part
from labelweave.losses.closed_form.soft_labels import SoftLabelsPart
from labelweave.losses.closed_form.supervised import SupervisedPart
from labelweave.losses.co_annotation import CoAnnotation
from labelweave.losses.columns import Labels, Logits
from labelweave.losses.distribution_matching import FORMS, DistributionMatching
from labelweave.losses.marginal import MarginalLikelihood
from labelweave.losses.soft_labels import SoftLabels
from labelweave.losses.supervised import Supervised
from labelweave.losses.terms import Terms


class ClosedForm(Direct):
    """The terms of several losses; their gradient has no gradient of its own.

    Args:
        layout: the layout of the batches.
        parts: the losses, the supervised one first.
    """

    factors: Tensor
    terms: Tensor
    members: Tensor

    def __init__(self, layout: Layout, parts: Sequence[Part]) -> None:
        super().__init__()
        self.layout = layout
        self.parts = nn.ModuleList(parts)
        self.names = tuple(name for part in parts for name in part.names)
        self.rows = [len(part.factors) for part in parts]
        factors = torch.block_diag(*(part.factors for part in parts))  # type: ignore[no-untyped-call]
        members = torch.block_diag(*(part.members for part in parts))  # type: ignore[no-untyped-call]
        # a product with a vector is twice as fast by rows that lie side by side
        terms, members = (constants.t().contiguous() for constants in (factors, members))
        self.hold(factors=factors, terms=terms, members=members)

    def forward(self, logits: Logits, labels: Labels) -> Terms:
        """Return the terms of one batch; the arguments are those of `Columns`."""
        scores = [logits[task.name] for task in self.layout.tasks]
        sums, counts = _Node.apply(self, labels, *scores)  # type: ignore[no-untyped-call]
        return Terms(self.names, sums, counts)


def closed_form(supervised: Supervised, couplings: Iterable[nn.Module]) -> ClosedForm | None:
    """Return the closed form of a step's losses; None where one of them has none."""
    losses: list[Any] = [supervised]
    for coupling in couplings:
        losses += coupling.parts if isinstance(coupling, CoAnnotation) else [coupling]
    kinds = [_kind(loss) for loss in losses]
    if None in kinds:
        return None
    layout = Layout(supervised.columns)
    made = [kind(loss, layout) for kind, loss in zip(kinds, losses, strict=True) if kind]
    return ClosedForm(layout, made)


def _kind(loss: Any) -> Callable[[Any, Layout], Part] | None:
    # subclasses of these are other losses
    kind = type(loss)
    if kind is Supervised:
        return SupervisedPart
    if kind is DistributionMatching and isinstance(FORMS[loss.form], tuple):
        return MatchingPart
    if kind is SoftLabels:
        return SoftLabelsPart
    if kind is MarginalLikelihood and loss.stacks.sources == 1:
        return MarginalPart
    return None


class _Node(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, losses: ClosedForm, labels: Labels, *scores: Tensor) -> Any:
        layout = losses.layout
        logits = {task.name: part for task, part in zip(layout.tasks, scores, strict=True)}
        # nobody records or changes what is made here, and small steps are mostly checks for that
        with torch.inference_mode():
            batch = layout(logits, labels)
            found = [part.sums(batch) for part in losses.parts]  # type: ignore[operator]
            sums = torch.cat([part.sums for part in found])
            counts = torch.cat([part.counts for part in found])
        ctx.losses, ctx.p, ctx.shape = losses, batch.p, batch.scores.shape
        ctx.saved = [part.saved for part in found]
        terms, members = losses.terms.to(sums.dtype), losses.members.to(sums.dtype)
        # out here: what is returned must be ordinary tensors
        counts = members @ counts
        ctx.mark_non_differentiable(counts)
        return terms @ sums, counts

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise LabelweaveError(
                "the losses in closed form have no second derivative, found a backward pass with "
                "create_graph=True; set objective.closed_form = None before it"
            )
        losses = ctx.losses
        into = grad.new_empty(ctx.shape)
        with torch.inference_mode():
            rows = losses.factors.to(grad.dtype) @ grad
            grads = torch.split_with_sizes(rows[:, None], losses.rows)
            for part, own, saved in zip(losses.parts, grads, ctx.saved, strict=True):
                part.add_gradient(into, own, ctx.p, saved)
            losses.layout.to_scores(into, ctx.p)
        return None, None, *losses.layout.by_task(into)

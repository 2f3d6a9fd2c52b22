"""Co-annotation: a label of one task supervises a task that has none on this sample."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labelweave.errors import LabelweaveError
from labelweave.losses.stack import Labels, Logits, RelationStack, RelationStacks
from labelweave.losses.terms import Terms, join
from labelweave.relations import Relation


class SoftLabels(nn.Module):
    """Source labelled, target missing: the target head learns the soft label T[y_source].

    One term a relation: the cross-entropy against the table's row, a mean over the rows (for a
    multilabel target: elements) whose source is labelled and whose target is not.

    Args:
        relations: the relations to couple by; each counts by its strength.
        smoothing: see `RelationStack`.
    """

    def __init__(self, relations: Sequence[Relation], smoothing: float = 0.01) -> None:
        super().__init__()
        self.stacks = RelationStacks(relations, smoothing)
        self.names = tuple(f"soft_labels/{name}" for name in self.stacks.names)

    def forward(self, logits: Logits, labels: Labels) -> Terms:
        """Return one term a relation."""
        parts = [_soft_labels(stack, logits, labels) for stack in self.stacks]
        sums, counts = zip(*parts, strict=True)
        return Terms(self.names, torch.cat(sums), torch.cat(counts))


def _soft_labels(stack: RelationStack, logits: Logits, labels: Labels) -> tuple[Tensor, Tensor]:
    given = labels[stack.source]
    # -1 would index from the end; such rows are masked out
    rows = given.clamp(min=0)
    use = stack.missing(labels) * stack.known[rows] * (given >= 0)[:, None]
    loss = -use * stack.table[rows] * stack.log_probabilities(logits)
    sums = (stack.strength * loss).sum(dim=0) @ stack.segments
    return sums, use.sum(dim=0) @ stack.elements


class MarginalLikelihood(nn.Module):
    """Target labelled, source missing: -log sum_s p(s|x) prod_j T[s, y_j] over observed elements.

    Partial-label learning: the model's own p(s|x) picks among the classes that fit the labels. All
    relations from one source enter one product, so there is one term a source task: a mean over the
    rows without a source label that carry some label of a target. A relation's strength is the
    exponent of its factor.

    Args:
        relations: the relations to couple by.
        smoothing: see `RelationStack`.
    """

    def __init__(self, relations: Sequence[Relation], smoothing: float = 0.01) -> None:
        super().__init__()
        self.stacks = RelationStacks(relations, smoothing)
        self.names = tuple(f"marginal/{stack.source}" for stack in self.stacks)

    def forward(self, logits: Logits, labels: Labels) -> Terms:
        """Return one term a source task."""
        parts = [_marginal(stack, logits, labels) for stack in self.stacks]
        sums, counts = zip(*parts, strict=True)
        return Terms(self.names, torch.stack(sums), torch.stack(counts))


def _marginal(stack: RelationStack, logits: Logits, labels: Labels) -> tuple[Tensor, Tensor]:
    observed = stack.one_hot(labels) * (stack.strength > 0)
    log_joint = F.log_softmax(logits[stack.source], dim=1) + observed @ stack.log_evidence.T
    use = (labels[stack.source] < 0) & (observed.sum(dim=1) > 0)
    loss = torch.where(use, -torch.logsumexp(log_joint, dim=1), 0.0)
    return loss.sum(), use.sum().to(loss.dtype)


class CoAnnotation(nn.Module):
    """Co-annotation in both directions: `SoftLabels` forwards and `MarginalLikelihood` backwards.

    Args:
        relations: the relations to couple by.
        forward_labels: teach targets the soft labels of labelled sources.
        backward_labels: teach sources by the marginal likelihood of labelled targets.
        smoothing: see `RelationStack`.

    Raises:
        LabelweaveError: both directions are turned off.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        forward_labels: bool = True,
        backward_labels: bool = True,
        smoothing: float = 0.01,
    ) -> None:
        super().__init__()
        if not (forward_labels or backward_labels):
            raise LabelweaveError(
                "co-annotation: forward_labels and backward_labels are both off, expected one on"
            )
        parts: list[SoftLabels | MarginalLikelihood] = []
        if forward_labels:
            parts.append(SoftLabels(relations, smoothing))
        if backward_labels:
            parts.append(MarginalLikelihood(relations, smoothing))
        self.parts = nn.ModuleList(parts)
        self.names = tuple(name for part in parts for name in part.names)

    def forward(self, logits: Logits, labels: Labels) -> Terms:
        """Return the terms of both directions."""
        return join([part(logits, labels) for part in self.parts])

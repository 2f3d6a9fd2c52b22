"""Co-annotation backwards, by the marginal likelihood, in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Rows, Sums
from labelweave.losses.marginal import MarginalLikelihood
from labelweave.losses.stack import RelationStack

NEVER = -1e30  # log-probability of the classes that a task has less than the largest one


class MarginalPart(RelationPart):
    """-log sum_s p_s prod_j T[s, y_j]: the gradient of log p_s is minus the posterior of class s.

    S source tasks are handled side by side, as if all had the K classes of the largest. The tables
    of evidence have one row more, the first: how many elements that are there speak of the task.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    def __init__(self, loss: MarginalLikelihood, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        self.hold_tables("evidence", [_by_presence(stack) for stack in loss.stacks])
        self.widths = [source.stop - source.start for source in self.sources]
        self.targets = Rows(loss.stacks.targets)
        self.missing = Rows(layout.elements[[source.start for source in self.sources]])
        self.factors, self.members = torch.diag(-loss.need), torch.eye(len(self.sources))

    def sums(self, batch: Batch) -> Sums:
        """Return one row a source task."""
        evidence = self._evidence(batch)
        # 1 where a task is missing and some label speaks of it
        use = self.missing.of(batch.missing) * evidence[:, 0].clamp_(max=1)
        joint = evidence[:, 1:]
        posterior = torch.softmax(joint, dim=1)
        # the likeliest class: what is much larger than the sum would lose it to rounding
        log_likelihood = joint.amax(dim=1).sub_(posterior.amax(dim=1).log_())
        return Sums(vecdot(log_likelihood, use), use.sum(dim=1), (posterior, use))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        posterior, use = saved
        scales = (use * grad)[:, None].unbind()
        parts = zip(posterior.unbind(), self.sources, self.widths, scales, strict=True)
        for one, source, width, scale in parts:
            into[source].addcmul_(one[:width], scale)

    def _evidence(self, batch: Batch) -> Tensor:
        """Return the number of elements and log p_s + sum_j log T[s, y_j], (S, 1 + K, n)."""
        observed = self.split(self.targets.of(batch.observed), "evidence")
        found = batch.p.new_empty(len(self.sources), 1 + max(self.widths), batch.p.shape[1])
        if min(self.widths) < max(self.widths):
            found.fill_(NEVER)
        parts = zip(self.tables("evidence"), self.sources, observed, found.unbind(), strict=True)
        for evidence, source, labels, one in parts:
            own = one[: evidence.shape[0]]
            torch.mm(evidence, labels, out=own)
            own[1:].add_(batch.scores[source])
        return found


def _by_presence(stack: RelationStack) -> Tensor:
    """Return whether a column counts, and below it its evidence, (1 + K, W).

    That of a label is of its being off, where it is there, and what its being on adds to that.
    """
    evidence = stack.log_evidence.clone()
    evidence[:, stack.on] -= stack.log_evidence[:, stack.off]
    return torch.cat([(stack.speaks * ~stack.on)[None], evidence])

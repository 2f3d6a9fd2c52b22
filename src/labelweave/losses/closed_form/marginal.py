"""Co-annotation backwards, by the marginal likelihood, in closed form."""

import torch
from torch import Tensor
from torch.linalg import vecdot

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Sums
from labelweave.losses.marginal import MarginalLikelihood
from labelweave.losses.stack import RelationStack

NEVER = -1e30  # log-probability of the classes that a task has less than the largest one


class MarginalPart(RelationPart):
    """-log sum_s p_s prod_j T[s, y_j]: the gradient of log p_s is minus the posterior of class s.

    S source tasks are handled side by side, as if all had the K classes of the largest.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    need: Tensor
    elements: Tensor

    def __init__(self, loss: MarginalLikelihood, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        self.hold(
            need=loss.need,
            elements=layout.elements[[source.start for source in self.sources]],
        )
        self.hold_tables("evidence", [_by_presence(stack) for stack in loss.stacks])
        # a label is there where it is on or off
        self.hold_tables("speaks", [stack.speaks * ~stack.on for stack in loss.stacks])
        self.widths = [source.stop - source.start for source in self.sources]

    def sums(self, batch: Batch) -> Sums:
        """Return one term a source task."""
        parts = torch.split_with_sizes(self.rows.of(batch.observed), self.sizes)
        samples, largest = batch.p.shape[1], max(self.widths)
        joint = batch.p.new_full((len(parts), largest, samples), NEVER)
        labels = batch.p.new_empty(len(parts), samples)
        for i, (evidence, speaks, source, observed) in enumerate(
            zip(self.tables("evidence"), self.tables("speaks"), self.sources, parts, strict=True)
        ):
            own = joint[i, : len(evidence)]
            torch.addmm(batch.scores[source], evidence, observed, out=own)
            torch.mv(observed.t(), speaks, out=labels[i])
        use = (labels > 0) * batch.missing.index_select(0, self.elements)
        log_posterior = torch.log_softmax(joint, dim=1)
        # the same for every class; a mean by their probabilities loses nothing to rounding
        log_likelihood = joint.sub_(log_posterior)
        posterior = log_posterior.exp_().mul_(use[:, None])
        sums = vecdot(posterior.flatten(1), log_likelihood.flatten(1)) * -self.need
        return Sums(sums, use.sum(dim=1), (posterior,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        factors = (-self.need * grad).unbind()
        parts = zip(saved[0].unbind(), self.sources, self.widths, factors, strict=True)
        for posterior, source, width, factor in parts:
            into[source].addcmul_(posterior[:width], factor)


def _by_presence(stack: RelationStack) -> Tensor:
    """Return the evidence of a label that is there, and what its being on adds to that."""
    evidence = stack.log_evidence.clone()
    evidence[:, stack.on] -= stack.log_evidence[:, stack.off]
    return evidence

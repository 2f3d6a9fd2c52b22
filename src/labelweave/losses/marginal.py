"""The marginal likelihood of the targets' labels: the default of co-annotation backwards."""

import torch
from torch import Tensor

from labelweave.losses.backward import BackwardCoupling
from labelweave.losses.stack import RelationStack


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

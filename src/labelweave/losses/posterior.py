"""The expectation-maximisation form of the marginal likelihood."""

import torch
from torch import Tensor

from labelweave.losses.backward import BackwardCoupling
from labelweave.losses.stack import RelationStack


class Posterior(BackwardCoupling):
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

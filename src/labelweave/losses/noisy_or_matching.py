"""Distribution matching by a noisy-OR: what the causes predict, against the target's own labels."""

from collections.abc import Sequence

import torch

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.distribution_matching import FORMS, matched
from labelweave.losses.noisy_or_coupling import NoisyOrCoupling
from labelweave.losses.terms import Terms
from labelweave.relations import NoisyOr


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

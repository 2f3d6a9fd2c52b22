"""Distribution matching by its two cross-entropies in closed form."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Sums
from labelweave.losses.distribution_matching import FLOOR, FORMS, LEAST, DistributionMatching


class MatchingPart(RelationPart):
    """m [a q (log q - log p) + b p (log p - log q)], with a and b what target and source learn.

    q = u / m, where u = sum_s p_s T and m = sum_s p_s K, K being 1 where the table is known (m = 1
    where all of it is). The factors m, q and p in front count as constants. So the gradient is
    -a m q for log p and -b m p / q for q (0 where q is below `FLOOR`); hence -b p / q for u and
    b p for m, and by these, times p_s, for log p_s.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    forth: Tensor
    back: Tensor
    shares: Tensor

    def __init__(self, loss: DistributionMatching, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        form, ones = FORMS[loss.form], torch.ones(len(self.rows), 1)
        assert isinstance(form, tuple)
        self.hold(
            shares=loss.stacks.shares,
            forth=-form[0] * (ones if loss.forth is None else loss.forth[:, None]),
            back=form[1] * (ones if loss.back is None else loss.back[:, None]),
        )
        self.hold_tables("table", [stack.table for stack in loss.stacks])
        self.hold_tables("known", [stack.known for stack in loss.stacks])
        # q is a mean of known entries
        least = min(float(torch.where(s.known > 0, s.table, 1.0).min()) for s in loss.stacks)
        self.floored = least < 2 * FLOOR

    def sums(self, batch: Batch) -> Sums:
        """Return one term a relation."""
        q = self.pushed(batch.p, "table")
        known = None if self.complete else self.pushed(batch.p, "known")
        if known is not None:
            q = torch.where(known > LEAST, q / known.clamp(min=LEAST), 1.0)
        p, log_p = self.targets_of(batch.p), self.targets_of(batch.log_p)
        ratio = p / (F.threshold(q, FLOOR, math.inf) if self.floored else q)
        log_q = q.clamp(min=FLOOR).log_() if self.floored else q.log()
        difference = torch.sub(log_p, log_q, out=log_q)
        # both brackets hold the same difference
        loss = difference.mul_((p * self.back).addcmul_(q, self.forth))
        if known is not None:
            loss.mul_(known)
        sums = loss.sum(dim=1) @ self.shares
        counts = torch.full_like(sums, float(q.shape[1]))
        if known is not None:
            ratio.mul_(known > LEAST)
        return Sums(sums, counts, (q, ratio) if known is None else (q, ratio, known))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the log-probabilities."""
        q, ratio, *known = saved
        factors = (self.shares @ grad)[:, None]
        self.add_to_targets(into, q * known[0] if known else q, factors * self.forth)
        factors = factors * self.back
        self._add_to_sources(into, p, "table", ratio, -factors)
        if known:
            self._add_to_sources(into, p, "known", ratio * q, factors)

    def _add_to_sources(
        self, into: Tensor, p: Tensor, name: str, values: Tensor, factors: Tensor
    ) -> None:
        split = (torch.split_with_sizes(each, self.sizes) for each in (values, factors))
        parts = zip(self.tables(name), self.sources, *split, strict=True)
        for table, source, part, factor in parts:
            into[source].addcmul_((table * factor.t()) @ part, p[source])

"""Distribution matching by its two cross-entropies in closed form."""

import math

import torch
from torch import Tensor
from torch.linalg import vecdot
from torch.nn import functional as F

from labelweave.losses.closed_form.batch import Batch, Layout
from labelweave.losses.closed_form.part import RelationPart, Rows, Sums
from labelweave.losses.distribution_matching import FLOOR, FORMS, LEAST, DistributionMatching


class MatchingPart(RelationPart):
    """m [a q (log q - log p) + b p (log p - log q)], with a and b what target and source learn.

    q = u / m, where u = sum_s p_s T and m = sum_s p_s K, K being 1 where the table is known (m = 1
    where all of it is). The factors m, q and p in front count as constants. So the gradient is
    -a m q for log p and -b m p / q for q (0 where q is below `FLOOR`); hence -b p / q for u and
    b p for m, and by these, times p_s, for log p_s.

    A label has a second such bracket for its being off, with 1 - p and 1 - q. Both together: -a m q
    for its score, -a m for log p(off), and the ratio p / q - (1 - p) / (1 - q) in place of p / q.

    So labels need no columns of their being off; N columns are left.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    minus: Tensor

    def __init__(self, loss: DistributionMatching, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        on, off, targets = loss.stacks.on, loss.stacks.off, loss.stacks.targets
        kept = ~off
        # the kept columns, log p(off) of the labels among them, and these labels' places there
        self.targets, self.off = Rows(targets[kept]), Rows(targets[off])
        self.labels = Rows(torch.nonzero(on[kept]).flatten())
        self.complete = loss.stacks.complete
        form, ones = FORMS[loss.form], torch.ones(len(kept), 1)
        assert isinstance(form, tuple)
        shares = loss.stacks.shares
        forth = form[0] * (ones if loss.forth is None else loss.forth[:, None]) * shares
        back = -form[1] * (ones if loss.back is None else loss.back[:, None]) * shares
        both = -(forth + back)[kept]
        self.has_labels, self.only_labels = self.labels.number > 0, bool(on[kept].all())
        # where both learn alike, the difference of p and q is what counts
        self.balanced = not bool(both.any())
        factors = (
            [back[kept]] if self.balanced else [forth[kept], back[kept], both[self.labels.index]]
        )
        self.factors, self.members = torch.cat(factors), torch.ones(1, len(self.names))
        self.hold(minus=-torch.ones(self.labels.number, 1))
        self.hold_tables("table", [stack.table[:, ~stack.off] for stack in loss.stacks])
        self.hold_tables("known", [stack.known[:, ~stack.off] for stack in loss.stacks])
        # q is a mean of known entries
        least = min(float(torch.where(s.known > 0, s.table, 1.0).min()) for s in loss.stacks)
        self.floored = least < 2 * FLOOR

    def sums(self, batch: Batch) -> Sums:
        """Return rows for q and for p times the difference of logarithms, then for log p(off)."""
        q = self.pushed(batch.p, "table")
        known = None if self.complete else self.pushed(batch.p, "known")
        if known is not None:
            q = torch.where(known > LEAST, q / known.clamp(min=LEAST), 0.5)
        p = self.targets.of(batch.p)
        less = p - q
        ratio, log_q, log_off = self._compared(p, q, less)
        # both brackets hold the same difference
        logs = log_q.sub_(self.targets.of(batch.scores))
        if known is not None:
            logs.mul_(known)
            ratio.mul_(known > LEAST)
        counts = q.new_full((1,), float(q.shape[1]))
        saved = (q, ratio) if known is None else (q, ratio, known)
        if self.balanced:
            return Sums(vecdot(less, logs), counts, saved)
        rows = [vecdot(q, logs), vecdot(p, logs)]
        if self.has_labels:
            rest = self.off.of(batch.scores) - log_off
            if known is not None:
                rest.mul_(self.labels.of(known))
            rows.append(rest.sum(dim=1))
        return Sums(torch.cat(rows), counts, saved)

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        q, ratio, *known = saved
        columns = self.targets.number
        learnt, taught = grad, grad
        if not self.balanced:
            learnt, taught = -grad[:columns], grad[columns : 2 * columns]
        self.targets.add(into, q * known[0] if known else q, learnt)
        if self.has_labels and known:
            self.off.add(into, self.labels.of(known[0]), self.labels.of(learnt))
        elif self.has_labels:
            self.off.add_constants(into, self.labels.of(learnt))
        self._add_to_sources(into, p, "table", ratio, taught)
        if known:
            self._add_to_sources(into, p, "known", ratio * q, -taught)

    def _compared(self, p: Tensor, q: Tensor, less: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ratio, log q, and of labels log(1 - q), which log q is then less by."""
        if self.only_labels and not self.floored:
            # the same in fewer steps
            log_off = q if self.balanced else torch.log1p(-q)
            return torch.ops.aten.logit_backward(less, q), torch.logit(q), log_off
        ratio, log_q = self._one_side(p, q)
        if not self.has_labels:
            return ratio, log_q, log_q
        of_off, log_off = self._one_side(1 - self.labels.of(p), 1 - self.labels.of(q))
        self.labels.add(ratio, of_off, self.minus)
        self.labels.add(log_q, log_off, self.minus)
        return ratio, log_q, log_off

    def _one_side(self, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return p / q and log q, both without a gradient where q is below the floor."""
        if self.floored:
            return p / F.threshold(q, FLOOR, math.inf), q.clamp(min=FLOOR).log_()
        return p / q, q.log()

    def _add_to_sources(
        self, into: Tensor, p: Tensor, name: str, values: Tensor, factors: Tensor
    ) -> None:
        parts = self.split(values, name), self.split(factors, name)
        for table, source, part, factor in zip(
            self.tables(name), self.sources, *parts, strict=True
        ):
            into[source].addcmul_((table * factor.t()) @ part, p[source])

"""All losses of a step that have a closed form as one node of the autograd graph."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.linalg import vecdot
from torch.nn import functional as F

from labelweave.errors import LabelweaveError
from labelweave.losses._co_annotation import CoAnnotation, MarginalLikelihood, SoftLabels
from labelweave.losses._distribution_matching import FLOOR, FORMS, LEAST, DistributionMatching
from labelweave.losses._layout import Columns, Labels, Logits, Terms, constant, joined, widened
from labelweave.losses._stack import RelationStack, RelationStacks
from labelweave.losses._supervised import Supervised
from labelweave.tasks import Task


class Direct(nn.Module):
    """Its buffers and modules are attributes as any other.

    `nn.Module.__getattr__`, by which they are found otherwise, takes longer than a sum of tensors.
    """

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer."""
        super().register_buffer(name, tensor, persistent)
        self.__dict__[name] = tensor

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, nn.Module):
            self.__dict__[name] = value

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Direct":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.__dict__.update(self._buffers)
        return self

    def hold(self, **buffers: Tensor) -> None:
        """Keep constants as buffers that are not saved."""
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.clone(), persistent=False)


class Batch(NamedTuple):
    """One batch: n samples; C classes of all multiclass tasks, then L labels, W = C + 2L rows.

    The log-likelihood of a label y of score z, y = 0 or 1, is y z + log p(off).

    Attributes:
        scores: (W, n) log-probabilities of the classes, scores of the labels, and their
            log-probabilities of being off.
        p: (C + L, n) probability of every class, and of every label being on.
        observed: (W, n) what the rows of `scores` count by for the labels that are there: 1 at
            the labelled class; 1 where a label is on; 1 where a label is there.
        missing: (E, n) 1 where a multiclass task, or then a label, is not labelled, else 0.
        labelled: (T, n) 1 where a multiclass task is labelled, else 0.
    """

    scores: Tensor
    p: Tensor
    observed: Tensor
    missing: Tensor
    labelled: Tensor


class Layout(Direct):
    """Turns scores and labels into a `Batch`, and a gradient into that of the scores.

    Args:
        columns: where each task's columns are.

    Attributes:
        tasks: the tasks in the order of their columns.
        rows: task name to the rows of its classes, or of its labels.
        labels: the number of labels, L.
        elements: (W,) the row of `Batch.missing` that tells of a row.
        starts: (T, 1) the first row of every multiclass task.
    """

    members: Tensor
    elements: Tensor
    starts: Tensor

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.multiclass, self.multilabel = columns.multiclass, columns.multilabel
        self.tasks: list[Task] = [*columns.multiclass, *columns.multilabel]
        self.rows = {
            task.name: slice(start, start + task.width)
            for task in self.tasks
            for start in [columns.start[task.name]]
        }
        self.labels, self.classes = columns.labels, columns.width - 2 * columns.labels
        owners = [i for i, task in enumerate(self.multiclass) for _ in range(task.width)]
        labels = [len(self.multiclass) + i for i in range(columns.labels)]
        members = np.arange(len(self.multiclass))[:, None] == np.array(owners)
        starts = [self.rows[task.name].start for task in self.multiclass]
        self.hold(
            members=constant(members.astype(np.float64)),
            elements=torch.tensor([*owners, *labels, *labels]),
            starts=torch.tensor(starts)[:, None],
        )

    def forward(self, logits: Logits, labels: Labels) -> Batch:
        """Return a batch of scores (n, width) and codes, by task as in `Columns`."""
        parts = [F.log_softmax(widened(logits[task.name]).t(), dim=0) for task in self.multiclass]
        if self.multilabel:
            scores = joined([widened(logits[task.name]) for task in self.multilabel]).t()
            scores = scores.contiguous()
            parts += [scores, F.logsigmoid(scores).sub_(scores)]
        found = torch.cat(parts)
        p = torch.empty_like(found[: self.classes + self.labels])
        torch.exp(found[: self.classes], out=p[: self.classes])
        if self.multilabel:
            torch.sigmoid(scores, out=p[self.classes :])
        return Batch(found, p, *self._labels(labels, found))

    def to_scores(self, gradient: Tensor, p: Tensor) -> None:
        """Turn the gradient of `Batch.scores` into that of the tasks' scores, in place.

        With g the former: g_c - p_c sum_c' g_c' for softmax, and for a label that of its score
        less p times that of log p(off).

        Args:
            gradient: (W, n); of a label, the row of its score is what counts afterwards.
            p: (C + L, n) of the batch.
        """
        if self.multiclass:
            classes = gradient[: self.classes]
            totals = self.members.to(p.dtype) @ classes
            if len(self.multiclass) > 1:
                totals = totals.index_select(0, self.elements[: self.classes])
            classes.addcmul_(p[: self.classes], totals, value=-1.0)
        if self.multilabel:
            both = gradient[self.classes :].view(2, self.labels, -1)
            both[0].addcmul_(both[1], p[self.classes :], value=-1.0)

    def by_task(self, gradient: Tensor) -> list[Tensor]:
        """Return every task's part, (n, width), of what `to_scores` made, in order of `tasks`."""
        return [gradient[self.rows[task.name]].t() for task in self.tasks]

    def _labels(self, labels: Labels, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        observed = torch.empty_like(like)
        missing = like.new_empty(len(self.multiclass) + self.labels, like.shape[1])
        labelled = like.new_empty(len(self.multiclass), like.shape[1])
        if self.multiclass:
            codes = torch.stack([labels[task.name] for task in self.multiclass])
            gaps = torch.lt(codes, 0, out=missing[: len(codes)])
            torch.sub(1, gaps, out=labelled)
            observed[: self.classes].zero_().scatter_(
                0, codes.clamp(min=0).add_(self.starts), labelled
            )
        if self.multilabel:
            on, seen = observed[self.classes :].view(2, self.labels, -1)
            seen.copy_(joined([labels[task.name] for task in self.multilabel]).t())
            # -1, 0, 1 in steps that run on whole registers, unlike comparisons
            torch.clamp(seen, min=0, out=on)
            seen.add_(1).clamp_(max=1)
            torch.sub(1, seen, out=missing[len(self.multiclass) :])
        return observed, missing, labelled


class Sums(NamedTuple):
    """A part's sums and counts by row, before they are added up, and what its gradient needs.

    Attributes:
        sums: (R,) what the rows of `Part.factors` speak of.
        counts: (Q,) what the rows of `Part.members` speak of.
        saved: tensors for `Part.add_gradient`.
    """

    sums: Tensor
    counts: Tensor
    saved: tuple[Tensor, ...]


class Part(Direct, ABC):
    """A loss of one batch, whose gradient its own kind tells.

    Attributes:
        names: the names of its T terms.
        factors: (R, T) how the rows' sums make the terms; `ClosedForm` reads it once.
        members: (Q, T) how the rows' counts make those of the terms; likewise.
    """

    names: tuple[str, ...]
    factors: Tensor
    members: Tensor

    @abstractmethod
    def sums(self, batch: Batch) -> Sums:
        """Return the sums and counts of its rows."""

    @abstractmethod
    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of `Batch.scores`, those of a label and its log p(off) apart.

        Args:
            into: (W, n), added to; the first part sets it.
            grad: (R, 1) gradient of the rows' sums.
            p: (C + L, n) of the batch.
            saved: what `sums` saved.
        """


class Rows(Direct):
    """Some rows of a matrix (W, n); neighbouring ones are a view and need no copy.

    Args:
        index: the rows, (M,).
    """

    index: Tensor

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.hold(index=index)
        self.adjoining = bool((index.diff() == 1).all())
        self.number = len(index)
        self.first = int(index.min()) if len(index) else 0
        self.slice = slice(self.first, self.first + self.number)

    def of(self, values: Tensor) -> Tensor:
        """Return the rows, (M, n), of values (W, n)."""
        if self.adjoining:
            return values[self.slice]
        return values.index_select(0, self.index)

    def add(self, into: Tensor, values: Tensor, factors: Tensor) -> None:
        """Add values (M, n), each row times its factor (M, 1), to the rows of `into`."""
        if self.adjoining:
            self.of(into).addcmul_(values, factors)
        else:
            into.index_add_(0, self.index, values * factors)

    def add_constants(self, into: Tensor, values: Tensor) -> None:
        """Add values (M, 1) to the rows of `into`, the same in all columns."""
        if self.adjoining:
            self.of(into).add_(values)
        else:
            summed = into.new_zeros(len(into), 1).index_add_(0, self.index, values)
            into[self.first :].add_(summed[self.first :])


class RelationPart(Part):
    """A loss between tasks by the tables of relations; see `RelationStacks` for M and the stacks.

    Args:
        stacks: the relations.
        layout: the layout of the batches.

    Attributes:
        sources: the rows of every source task.
    """

    def __init__(self, stacks: RelationStacks, layout: Layout) -> None:
        super().__init__()
        self.sources = [layout.rows[stack.source] for stack in stacks]
        self.keys: dict[str, list[str]] = {}
        self.sizes: dict[str, list[int]] = {}

    def hold_tables(self, name: str, tables: list[Tensor]) -> None:
        """Keep the table of every source, (K, width), by a name for `tables`."""
        keys = [f"{name}_{i}" for i in range(len(tables))]
        self.keys[name], self.sizes[name] = keys, [table.shape[1] for table in tables]
        self.hold(**dict(zip(keys, tables, strict=True)))

    def tables(self, name: str) -> list[Tensor]:
        """Return the tables of that name."""
        own = self.__dict__
        return [own[key] for key in self.keys[name]]

    def pushed(self, values: Tensor, name: str, out: Tensor | None = None) -> Tensor:
        """Return sum_s values[s] T[s, t], (M, n), of values (W, n) and the tables of that name."""
        tables = self.tables(name)
        if len(tables) == 1:
            return torch.mm(tables[0].t(), values[self.sources[0]], out=out)
        if out is None:
            out = values.new_empty(sum(self.sizes[name]), values.shape[1])
        for table, source, part in zip(tables, self.sources, self.split(out, name), strict=True):
            torch.mm(table.t(), values[source], out=part)
        return out

    def split(self, values: Tensor, name: str) -> Sequence[Tensor]:
        """Return the rows of values (M, ...) that are those of each source's table."""
        one = len(self.sources) == 1
        return (values,) if one else values.split_with_sizes(self.sizes[name])


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


class SoftLabelsPart(RelationPart):
    """-sum_t T[y, t] log p_t where the target has no label: the gradient of log p_t is -T[y, t].

    For a label it is -T[y] of its score and -1 of log p(off), where the table speaks. So labels
    need no columns of their being off; N columns are left.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    def __init__(self, loss: SoftLabels, layout: Layout) -> None:
        super().__init__(loss.stacks, layout)
        self.names = loss.names
        stacks = loss.stacks
        off = stacks.off
        targets, elements = stacks.targets, layout.elements[stacks.targets]
        self.targets = Rows(torch.cat([targets[~off], targets[off]]))
        self.missing = Rows(elements[~off])
        self.hold_tables("table", [stack.table[:, ~stack.off] for stack in stacks])
        # what is taught is counted once a label, and once for all classes of a task
        relations = stacks.members.argmax(dim=1)
        first = relations.diff(prepend=torch.tensor([-1])) != 0
        counted = off | (first & ~stacks.on)
        self.counted = Rows(elements[counted])
        self.labels = Rows(torch.nonzero(off[counted]).flatten())
        self.only_labels = bool(off[counted].all())
        self.columns = int((~off).sum())
        widths = [stack.width for stack in stacks]
        own = torch.split_with_sizes(counted, widths)
        self.complete = stacks.complete
        known = [stack.known[:, part] for stack, part in zip(stacks, own, strict=True)]
        self.hold_tables("known", known)
        speakers = torch.tensor([int(layout.elements[source.start]) for source in self.sources])
        if len(speakers) > 1:  # a single one stands for all
            speakers = speakers.repeat_interleave(torch.tensor(self.sizes["known"]))
        self.speakers = Rows(speakers)
        weights = -stacks.weights
        self.factors = torch.cat([weights[~off], weights[off]])
        self.members = stacks.members[counted]

    def sums(self, batch: Batch) -> Sums:
        """Return a row for each of the N columns, then for the log p(off) of the labels."""
        samples = batch.p.shape[1]
        taught = batch.p.new_empty(self.targets.number, samples)
        columns, off = taught[: self.columns], taught[self.columns :]
        self.pushed(batch.observed, "table", columns).mul_(self.missing.of(batch.missing))
        there = off if self.only_labels else off.new_empty(self.counted.number, samples)
        missing = self.counted.of(batch.missing)
        if self.complete:
            torch.mul(missing, self.speakers.of(batch.labelled), out=there)
        else:
            self.pushed(batch.observed, "known", there).mul_(missing)
        if not self.only_labels:
            off.copy_(self.labels.of(there))
        sums = vecdot(taught, self.targets.of(batch.scores))
        return Sums(sums, there.sum(dim=1), (taught,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Add the gradient of the scores."""
        self.targets.add(into, saved[0], grad)


class SupervisedPart(Part):
    """-log p of what is labelled: the gradient of `Batch.scores` is minus `Batch.observed`.

    Args:
        loss: the composition that this equals.
        layout: the layout of the batches.
    """

    def __init__(self, loss: Supervised, layout: Layout) -> None:
        super().__init__()
        self.names = loss.names
        # a label that is on counts in its row of scores, and as there in that of log p(off)
        members = loss.segments.clone()
        members[layout.classes : layout.classes + layout.labels] = 0.0
        self.factors, self.members = -loss.segments, members

    def sums(self, batch: Batch) -> Sums:
        """Return one row for every row of the batch."""
        observed = batch.observed
        return Sums(vecdot(observed, batch.scores), observed.sum(dim=1), (observed,))

    def add_gradient(
        self, into: Tensor, grad: Tensor, p: Tensor, saved: tuple[Tensor, ...]
    ) -> None:
        """Set the gradient of the scores: this is the first part, which has nothing to add to."""
        torch.mul(saved[0], grad, out=into)


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

"""One batch with its samples side by side: a row for every column of `Columns`.

What a loss does with one column is then contiguous in memory, and so is every task, however few
classes it has. A label takes two rows, of which the second is needed for values only: its gradient
goes by the score alone, half of what a row for either side of it would take.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from labelweave.losses.closed_form.direct import Direct
from labelweave.losses.columns import Columns, Labels, Logits, joined, widened
from labelweave.losses.constant import constant
from labelweave.tasks import Task


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

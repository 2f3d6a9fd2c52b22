"""One batch with its samples side by side: a row for every column of `Columns`.

What a loss does with one column is then contiguous in memory, and so is every task, however few
classes it has.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labelweave.losses.columns import Columns, Labels, Logits, widened
from labelweave.tasks import Task


class Batch(NamedTuple):
    """One batch: W columns, n samples, E elements (every multiclass task, then every label).

    Attributes:
        log_p: (W, n) log-probability of every column.
        p: (W, n) probability of every column.
        one_hot: (W, n) 1 at the labelled column of an element, else 0.
        missing: (E, n) 1 where an element has no label, else 0.
    """

    log_p: Tensor
    p: Tensor
    one_hot: Tensor
    missing: Tensor


class Layout(nn.Module):
    """Turns scores and labels into a `Batch`, and a gradient into that of the scores.

    Args:
        columns: where each task's columns are.

    Attributes:
        tasks: the tasks in the order of their columns.
        rows: task name to the rows of its classes, or of its labels on.
        elements: (W,) the element that a column belongs to.
        codes: (W, 1) the code of a column's class or side.
    """

    members: Tensor
    elements: Tensor
    codes: Tensor

    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self.multiclass, self.multilabel = columns.multiclass, columns.multilabel
        self.tasks: list[Task] = [*columns.multiclass, *columns.multilabel]
        self.rows = {
            task.name: slice(start, start + task.width)
            for task in self.tasks
            for start in [columns.start[task.name]]
        }
        # rows of the classes, of the labels on and of the labels off
        self.blocks = [columns.width - 2 * columns.labels, columns.labels, columns.labels]
        owners = [i for i, task in enumerate(self.multiclass) for _ in range(task.width)]
        labels = [len(self.multiclass) + i for i in range(columns.labels)]
        codes = [code for task in self.multiclass for code in range(task.width)]
        codes += [1] * columns.labels + [0] * columns.labels
        members = np.arange(len(self.multiclass))[:, None] == np.array(owners)
        for name, buffer in {
            "members": torch.tensor(members).float(),
            "elements": torch.tensor([*owners, *labels, *labels]),
            "codes": torch.tensor(codes).float()[:, None],
        }.items():
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, logits: Logits, labels: Labels) -> Batch:
        """Return a batch of scores (n, width) and codes, by task as in `Columns`."""
        parts = [F.log_softmax(widened(logits[task.name]).t(), dim=0) for task in self.multiclass]
        if self.multilabel:
            scores = torch.cat([widened(logits[task.name]).t() for task in self.multilabel])
            on = F.logsigmoid(scores)
            parts += [on, on - scores]
        log_p = torch.cat(parts)
        p = torch.exp(log_p)
        return Batch(log_p, p, *self._labels(labels, p))

    def to_scores(self, gradient: Tensor, p: Tensor) -> list[Tensor]:
        """Return the gradient of every task's scores, (n, width), in the order of `tasks`.

        With g the gradient of log p: g_c - p_c sum_c' g_c' for softmax, and for a label
        g_on p_off - g_off p_on.

        Args:
            gradient: (W, n) of the log-probabilities; overwritten.
            p: (W, n) of the batch.
        """
        classes, on, off = torch.split_with_sizes(gradient, self.blocks)
        p_classes, p_on, p_off = torch.split_with_sizes(p, self.blocks)
        if self.multiclass:
            totals = self.members.to(p.dtype) @ classes
            totals = totals.index_select(0, self.elements[: len(classes)])
            classes.addcmul_(p_classes, totals, value=-1.0)
        if self.multilabel:
            on.mul_(p_off).addcmul_(off, p_on, value=-1.0)
        return [gradient[self.rows[task.name]].t() for task in self.tasks]

    def _labels(self, labels: Labels, like: Tensor) -> tuple[Tensor, Tensor]:
        parts = [labels[task.name][None] for task in self.multiclass]
        parts += [labels[task.name].t() for task in self.multilabel]
        found = torch.cat([part.to(like.dtype) for part in parts])
        one_hot = torch.empty_like(like)
        torch.eq(found.index_select(0, self.elements), self.codes, out=one_hot)
        return one_hot, torch.lt(found, 0, out=torch.empty_like(found))

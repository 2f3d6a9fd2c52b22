"""Supervised losses on the elements that carry a label."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from labelweave._options import Named
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._coupling import Coupling
from labelweave.losses._layout import ColumnBatch, Columns, Terms, constant, widened
from labelweave.losses._task_losses import REWEIGHTED, AsymmetricOptions, task_loss
from labelweave.relations import Noise
from labelweave.tasks import Multiclass, Task


def masked_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed softmax cross-entropy of labelled rows, and their number.

    Args:
        logits: (n, K).
        labels: (n,) class indices, -1 and -100 = missing (contribute nothing, gradient exactly
            zero).
    """
    loss = F.cross_entropy(logits, labels.clamp(min=-1), ignore_index=-1, reduction="sum")
    return loss, (labels >= 0).sum()


def masked_binary_cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed sigmoid cross-entropy of labelled elements, and their number.

    Args:
        logits: (n, L).
        labels: (n, L) 1 = on, 0 = off, -1 and -100 = missing (contribute nothing).
    """
    seen = labels >= 0
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    # where, not a product: an infinite loss at a missing element must not become NaN
    return torch.where(seen, loss, 0.0).sum(), seen.sum()


class Supervised(Coupling):
    """Softmax or binary cross-entropy of every task, each over its labelled elements.

    Source: Kollias et al., AAAI 2024, the supervised terms of the total loss.

    Args:
        tasks: the tasks to be trained.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.
    """

    segments: Tensor
    places: Tensor

    def __init__(self, tasks: Sequence[Task], columns: Columns | None = None) -> None:
        super().__init__(columns or Columns(tasks))
        self.names = tuple(f"supervised/{task.name}" for task in tasks)
        wide = {task.name for task in self.columns.wide}
        segments = torch.zeros(self.columns.width, len(tasks))
        for i, task in enumerate(tasks):
            if task.name not in wide:
                segments[self.columns.indices(task), i] = 1.0
        self.register_buffer("segments", segments, persistent=False)
        self.wide = [task.name for task in tasks if task.name in wide]
        places = torch.tensor([[t.name == name for t in tasks] for name in self.wide])
        self.register_buffer("places", places.to(segments), persistent=False)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        loss = -(batch.one_hot * batch.log_p).sum(dim=0)
        segments = self.segments.to(loss.dtype)
        sums, counts = loss @ segments, batch.one_hot.sum(dim=0) @ segments
        for name, place in zip(self.wide, self.places.to(loss.dtype), strict=True):
            codes = batch.labels[name].clamp(min=-1)
            # one entry a row is read
            found = F.nll_loss(batch.log_classes[name], codes, ignore_index=-1, reduction="sum")
            sums, counts = sums + place * found, counts + place * (codes >= 0).sum()
        return Terms(self.names, sums, counts)


def one_task_loss(task: Task, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `Supervised` does for a task alone, with nothing to lay side by side.

    Args:
        task: the task.
        logits: (n, width) scores.
        labels: its codes.

    Returns:
        The sum over its labelled elements, and their number.
    """
    of_task = masked_cross_entropy if isinstance(task, Multiclass) else masked_binary_cross_entropy
    return of_task(widened(logits), labels)


TINY = 1e-8  # a power of a probability has no slope at 0
Columnwise = Callable[[Tensor], Tensor]


def focal(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p of every column.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4.
    """
    return -((-torch.expm1(log_p)).clamp(min=TINY) ** gamma) * log_p


def asymmetric(log_p: Tensor, options: AsymmetricOptions) -> Tensor:
    """Return the asymmetric loss of the columns (on, off) of a multilabel task.

    Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, equations 4 to 7:
    of a label that is off, p counts as max(p - margin, 0).
    """
    on, off = log_p.chunk(2, dim=1)
    below = (-torch.expm1(off) - options.margin).clamp(min=TINY)
    negative = -(below**options.negative) * torch.log1p(-below.clamp(max=1 - TINY))
    return torch.cat([focal(on, options.positive), negative], dim=1)


class Reweighted(Supervised):
    """`Supervised`, where some tasks have a different loss.

    Args:
        tasks: the tasks to be trained.
        losses: task name to its loss; cross-entropy for the tasks left out.
        shares: task name to the shares (L,) of its labels being on, for positive weights.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        losses: Mapping[str, Named],
        shares: Mapping[str, ArrayLike],
        columns: Columns | None = None,
    ) -> None:
        super().__init__(tasks, columns)
        self.own: list[tuple[Tensor, Columnwise]] = []
        for task in tasks:
            made = _made(losses.get(task.name, "cross_entropy"), task, shares)
            if made is not None:
                self.own.append((torch.tensor(self.columns.indices(task)), made))

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        loss = -batch.log_p
        for places, own in self.own:
            places = places.to(loss.device)
            loss = loss.index_copy(1, places, own(batch.log_p.index_select(1, places)))
        segments = self.segments.to(loss.dtype)
        sums = (batch.one_hot * loss).sum(dim=0) @ segments
        return Terms(self.names, sums, batch.one_hot.sum(dim=0) @ segments)


def _made(choice: Named, task: Task, shares: Mapping[str, ArrayLike]) -> Columnwise | None:
    name, options = task_loss(choice, task)
    if name == "focal":
        return lambda log_p: focal(log_p, options.gamma)
    if name == "asymmetric":
        return lambda log_p: asymmetric(log_p, options)
    if name == "positive_weights":
        on = constant(shares[task.name])
        weights = torch.cat([((1 - on) / on).clamp(max=options.limit), torch.ones_like(on)])
        return lambda log_p: -log_p * weights.to(log_p)
    return None


class LabelNoise(nn.Module):
    """The confusions of all noisy tasks over M columns, as buffers.

    Args:
        noise: the noise of some tasks; those shared by all data sources have D = 1, the others
            the same D.
        columns: the layout of the batches.

    Attributes:
        sources: D, the number of data sources that are distinguished; 1 = none are.
        places: (M,) the columns of the noisy tasks in the layout.
        chances: (D * M, M) P(label found | clean label), found x clean, by data source.
        blocks: (M, M) 1 where two columns belong to one element.

    Raises:
        LabelweaveError: noise of a task that is not there, twice, or of other classes; or numbers
            of data sources that differ.
    """

    places: Tensor
    chances: Tensor
    blocks: Tensor

    def __init__(self, noise: Sequence[Noise], columns: Columns) -> None:
        super().__init__()
        _check(noise, columns)
        self.sources = max((len(each.confusion) for each in noise), default=1)
        places = [columns.indices(each.task) for each in noise]
        width = sum(map(len, places))
        chances = np.zeros((self.sources, width, width))
        blocks = np.zeros((width, width))
        start = 0
        for each in noise:
            for at, confusion in _elements(each):
                inside = np.ix_(start + at, start + at)
                blocks[inside] = 1.0
                for source in range(self.sources):
                    chances[source][inside] = confusion[source % len(confusion)].T
            start += len(columns.indices(each.task))
        flat = np.array([place for of_task in places for place in of_task], np.int64)
        self.register_buffer("places", torch.tensor(flat), persistent=False)
        stacked = constant(chances.reshape(-1, width))
        self.register_buffer("chances", stacked, persistent=False)
        self.register_buffer("blocks", constant(blocks), persistent=False)

    def found(self, batch: ColumnBatch) -> Tensor:
        """Return P(label found | inputs) at the columns of noisy tasks, (n, M); else 0.

        That is sum_c p(c|x) P(label found | c), at every column of a labelled element.
        """
        labels = by_data_source(batch, batch.one_hot.index_select(1, self.places), self.sources)
        p = batch.log_p.index_select(1, self.places).exp()
        blocks, chances = self.blocks.to(p.dtype), self.chances.to(p.dtype)
        return (p * (labels @ chances)) @ blocks


def by_data_source(batch: ColumnBatch, values: Tensor, sources: int) -> Tensor:
    """Return values (n, M) at the place of each row's data source, (n, D * M); 0 elsewhere.

    Raises:
        LabelweaveError: the batch does not say where its rows come from.
    """
    if sources == 1:
        return values
    if batch.source is None:
        raise LabelweaveError(
            f"noise of {sources} data sources: found a batch without 'source', expected it"
        )
    numbers = torch.arange(sources, device=batch.source.device)
    member = (batch.source[:, None] == numbers).to(values.dtype)
    return (member[:, :, None] * values[:, None, :]).flatten(1)


def _elements(noise: Noise) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return each element's columns within its task, and its confusions in that order."""
    width = noise.task.width
    if isinstance(noise.task, Multiclass):
        return [(np.arange(width), noise.confusion)]
    return [
        # columns are on and off, confusions off and on
        (np.array([i, i + width]), noise.confusion[:, i, ::-1, ::-1])
        for i in range(width)
    ]


def _check(noise: Sequence[Noise], columns: Columns) -> None:
    tasks: list[Task] = [*columns.multiclass, *columns.multilabel]
    known = {task.name: task for task in tasks}
    names = [each.task.name for each in noise]
    for each in noise:
        name = each.task.name
        if name not in known:
            raise LabelweaveError(
                f"noise of '{name}': no such task, expected {listing(known)}{nearest(name, known)}"
            )
        if each.task.names != known[name].names:
            raise LabelweaveError(
                f"noise of '{name}': found the classes or labels {listing(each.task.names)}, "
                f"expected {listing(known[name].names)}"
            )
        if names.count(name) > 1:
            raise LabelweaveError(f"noise of '{name}': found twice, expected once")
    distinct = sorted({len(each.confusion) for each in noise} - {1})
    if len(distinct) > 1:
        raise LabelweaveError(
            f"noise: found confusions of {distinct[0]} and of {distinct[1]} data sources, "
            "expected the same number"
        )


LEAST = 1e-30  # a label that neither the head nor the noise allows


class ForwardCorrected(Supervised):
    """-log sum_c p(c|x) N[c, label found]: cross-entropy of the label found, not of the clean one.

    Its expected value is smallest where p(c|x) is the distribution of the clean labels, whatever
    the (invertible) confusion N. Tasks without noise have the loss of `Supervised`. Source: Patrini
    et al., "Making deep neural networks robust to label noise", CVPR 2017, theorem 2.

    Args:
        tasks: the tasks to be trained.
        noise: the confusions of some of them, for all rows or by data source.
        columns: the layout of the batches that `terms` gets; None = that of `tasks`.

    Raises:
        LabelweaveError: see `LabelNoise`; at the call, confusions by data source for a batch that
            does not say where its rows come from.
    """

    def __init__(
        self, tasks: Sequence[Task], noise: Sequence[Noise], columns: Columns | None = None
    ) -> None:
        super().__init__(tasks, columns)
        self.noise = LabelNoise(noise, self.columns)

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a task."""
        found = self.noise.found(batch).clamp(min=LEAST).log()
        log_p = batch.log_p.index_copy(1, self.noise.places, found)
        loss = -(batch.one_hot * log_p).sum(dim=0)
        segments = self.segments.to(loss.dtype)
        return Terms(self.names, loss @ segments, batch.one_hot.sum(dim=0) @ segments)


def supervised_losses(
    tasks: Sequence[Task],
    noise: Sequence[Noise],
    losses: Mapping[str, Named],
    shares: Mapping[str, ArrayLike],
    columns: Columns,
) -> Supervised:
    """Return the losses of labelled elements; see `Objective` for the arguments."""
    chosen = {
        task.name: task_loss(losses[task.name], task) for task in tasks if task.name in losses
    }
    own = {name: loss for name, (loss, _) in chosen.items() if loss in REWEIGHTED}
    if own and noise:
        name, loss = next(iter(own.items()))
        raise LabelweaveError(
            f"task '{name}': the loss '{loss}' does not go with label noise that is estimated, "
            "expected 'cross_entropy'"
        )
    if noise:
        return ForwardCorrected(tasks, noise, columns)
    return Reweighted(tasks, losses, shares, columns) if own else Supervised(tasks, columns)

"""Label noise in columns: the chance of the label found, for every clean label."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses.columns import ColumnBatch, Columns
from labelweave.losses.constant import constant
from labelweave.relations import Noise
from labelweave.tasks import Multiclass, Task


class LabelNoise(nn.Module):
    """The confusions of all noisy tasks over M columns, as buffers.

    Args:
        noise: the noise of some tasks; those shared by all data sources have D = 1, the others
            the same D.
        columns: the layout of the batches.

    Attributes:
        sources: D, the number of data sources that are told apart; 1 = they are not.
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

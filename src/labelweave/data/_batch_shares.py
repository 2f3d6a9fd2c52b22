"""What batches are mixed of: the share of every source, and the labels a batch holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from labelweave.annotations import Annotations
from labelweave.balancing import Mixture


@dataclass(frozen=True, eq=False)
class BatchShares:
    """The share of every source in a batch, and the labelled elements that are expected of it.

    Args:
        annotations: the annotations of n rows.
        source: the index of each row's source in `names`, (n,).
        names: the sources' names.
        mixture: the sampler.
        batch_size: rows a batch.
    """

    annotations: Annotations
    source: NDArray[np.int64]
    names: Sequence[str]
    mixture: Mixture
    batch_size: int

    def row_weights(self) -> NDArray[np.float64]:
        """Return how large a part of the batches every row makes up, (n,); they sum to 1."""
        return row_weights(self.mixture, len(self.annotations))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a source and one for the whole batch.

        Columns: source, share, rows (a batch), then per task the labelled elements a batch.
        """
        weights = self.row_weights()
        found: list[dict[str, Any]] = []
        for index, name in enumerate([*self.names, "all"]):
            own = weights if index == len(self.names) else weights * (self.source == index)
            line: dict[str, Any] = {"source": name, "share": own.sum()}
            line["rows"] = self.batch_size * own.sum()
            for task in self.annotations.tasks:
                seen = self.annotations.observed(task.name)
                per_row = seen if seen.ndim == 1 else seen.sum(axis=1)
                line[task.name] = self.batch_size * float(own @ per_row)
            found.append(line)
        return pd.DataFrame(found)

    def render(self, width: int = 100) -> str:
        """Return a plain text table of at most `width` characters a line."""
        console = Console(file=StringIO(), width=width, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip("\n")

    def __rich__(self) -> Table:
        table = Table("source", "share", "task", "labels a batch")
        for column in table.columns[1::2]:
            column.justify = "right"
        frame = self.to_frame()
        tasks = [task.name for task in self.annotations.tasks]
        for line in frame.to_dict("records"):
            table.add_section()
            head = [line["source"], f"{line['share']:.1%}"]
            shown = [name for name in tasks if line[name] > 0]
            for name in shown or [""]:
                table.add_row(*head, name, f"{line[name]:,.1f}" if name else "-")
                head = ["", ""]
        return table


def row_weights(mixture: Mixture, rows: int) -> NDArray[np.float64]:
    """Return how large a part of the batches every row makes up, (rows,); they sum to 1."""
    weights = np.zeros(rows)
    for group, share in zip(mixture.groups, mixture.shares, strict=True):
        weights[group] += share / len(group)
    return weights

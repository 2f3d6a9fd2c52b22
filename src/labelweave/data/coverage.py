"""Coverage: which labels each source has, counted before anything is trained."""

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
from labelweave.errors import listing
from labelweave.tasks import Multiclass, Task

NO_DATA = "-"


@dataclass(frozen=True, eq=False)
class Coverage:
    """The labels of every source and task, counted.

    Args:
        annotations: the annotations of n rows.
        source: the index of each row's source in `names`, (n,).
        names: the sources' names.
    """

    annotations: Annotations
    source: NDArray[np.int64]
    names: Sequence[str]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per source and task.

        Columns: source, task, rows, labelled (rows with a label), elements (known labels), seen
        (classes, or labels that are on at least once), width (all classes or labels), rarest (the
        rarest of those seen; None when there is none) and rarest_count.
        """
        return pd.DataFrame(self._rows())

    def counts(self, task: str) -> pd.DataFrame:
        """Return how often each source labels each class of a task (sources x classes).

        A multilabel task has two columns a label: (label, "off") and (label, "on").

        Raises:
            LabelweaveError: no such task.
        """
        known = self.annotations.task(task)
        columns = (
            pd.Index(known.names)
            if isinstance(known, Multiclass)
            else pd.MultiIndex.from_product([known.names, ["off", "on"]])
        )
        counts = [part.counts(task).ravel() for part in self._parts()]
        return pd.DataFrame(np.stack(counts), index=list(self.names), columns=columns)

    @property
    def co_labelled(self) -> pd.DataFrame:
        """How many rows carry labels of both tasks, for every pair (tasks x tasks)."""
        return self.annotations.co_labelled()

    def shared_lines(self) -> list[str]:
        """Return which tasks have rows that carry both labels, a line for every such task."""
        counts = self.co_labelled.to_numpy()
        names = [task.name for task in self.annotations.tasks]
        lines = []
        for i, name in enumerate(names):
            others = range(i + 1, len(names))
            shared = [f"{names[j]} ({counts[i, j]:,})" for j in others if counts[i, j]]
            if shared:
                lines.append(f"rows labelled with {name} and: {', '.join(shared)}")
        np.fill_diagonal(counts := counts.copy(), 0)
        alone = [name for name, row in zip(names, counts, strict=True) if not row.any()]
        if alone and len(names) > 1:
            lines.append(f"no row carries another task's label beside: {', '.join(alone)}")
        return lines

    def partial_lines(self) -> list[str]:
        """Return which labels or classes of a task only some of its sources have.

        A line for every source that labels a task without all that its other sources know: labels
        it never annotates (its rows are unlabelled there), or classes without any row.
        """
        lines = []
        for task in self.annotations.tasks:
            counts = np.stack([part.counts(task.name) for part in self._parts()])
            # (sources, classes or labels): is there any label of it
            has = counts > 0 if isinstance(task, Multiclass) else counts.sum(axis=2) > 0
            known = has.any(axis=0)
            what = "has no row of" if isinstance(task, Multiclass) else "does not annotate"
            for name, own in zip(self.names, has, strict=True):
                if own.any() and (known & ~own).any():
                    lacking = [task.names[i] for i in np.flatnonzero(known & ~own)]
                    lines.append(f"task {task.name}: {name} {what} {listing(lacking, 20)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the counts ready for JSON, in the form of a study's ``results.json``.

        ``sources`` and ``tasks`` (names), ``rows`` (by source), ``labelled`` (rows with a label, by
        source and task), ``per_class`` (rows of a class, or on which a label is on, by source, task
        and name) and ``co_labelled`` (tasks x tasks).
        """
        parts = dict(zip(self.names, self._parts(), strict=True))
        tasks = self.annotations.tasks
        return {
            "sources": list(self.names),
            "tasks": [task.name for task in tasks],
            "rows": {name: len(part) for name, part in parts.items()},
            "labelled": {
                name: {task.name: int(part.labelled(task.name).sum()) for task in tasks}
                for name, part in parts.items()
            },
            "per_class": {
                name: {task.name: _per_class(part, task) for task in tasks}
                for name, part in parts.items()
            },
            "co_labelled": self.co_labelled.to_numpy().tolist(),
        }

    def render(self, width: int = 100) -> str:
        """Return a plain text table of at most `width` characters a line; "-" means no data."""
        console = Console(file=StringIO(), width=width, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip("\n")

    def __str__(self) -> str:
        return self.render()

    def __rich__(self) -> Table:
        table = Table("source", "task")
        for title in ("rows", "labelled", "elements", "seen"):
            table.add_column(title, justify="right")
        table.add_column("rarest")
        last = None
        for row in self._rows():
            again = row["source"] == last
            if not again and last is not None:
                table.add_section()
            last = row["source"]
            head = ["", row["task"], ""] if again else [last, row["task"], f"{row['rows']:,}"]
            table.add_row(*head, *_cells(row))
        return table

    def _parts(self) -> list[Annotations]:
        return [self.annotations[self.source == index] for index in range(len(self.names))]

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {"source": name, **_row(part, task)}
            for name, part in zip(self.names, self._parts(), strict=True)
            for task in part.tasks
        ]


def _shown(part: Annotations, task: Task) -> NDArray[np.int64]:
    """Return the count of each class, or of each label that is on."""
    counts = part.counts(task.name)
    return counts if isinstance(task, Multiclass) else counts[:, 1]


def _per_class(part: Annotations, task: Task) -> dict[str, int]:
    return dict(zip(task.names, _shown(part, task).tolist(), strict=True))


def _row(part: Annotations, task: Task) -> dict[str, Any]:
    counts, shown = part.counts(task.name), _shown(part, task)
    seen = np.flatnonzero(shown)
    rarest = seen[np.argmin(shown[seen])] if seen.size else None
    return {
        "task": task.name,
        "rows": len(part),
        "labelled": int(part.labelled(task.name).sum()),
        "elements": int(counts.sum()),
        "seen": int(seen.size),
        "width": task.width,
        "rarest": None if rarest is None else task.names[rarest],
        "rarest_count": 0 if rarest is None else int(shown[rarest]),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    if not row["labelled"]:
        return [NO_DATA] * 4
    rarest = NO_DATA if row["rarest"] is None else f"{row['rarest']} ({row['rarest_count']:,})"
    return [f"{row['labelled']:,}", f"{row['elements']:,}", f"{row['seen']}/{row['width']}", rarest]

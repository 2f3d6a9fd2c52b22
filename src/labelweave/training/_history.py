"""What a training run recorded: every loss term over the steps, and the validation scores."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labelweave._files import write_text
from labelweave.losses import Loss

LOG = "log.jsonl"


@dataclass
class History:
    """Records of one run, one a logging interval, JSON-able.

    Attributes:
        records: dictionaries with ``step``, ``learning_rate``, ``raw`` (term name to mean over the
            interval's steps that had a label for it) and ``weighted`` (over all its steps), and,
            where evaluated, ``validation`` (task to score); at some ``gradients``
            (`speeds`), at the last of a study's run ``fit``, how well each
            task was learnt.
    """

    records: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write one JSON line a record, replacing the file."""
        write_text(path, "".join(json.dumps(record) + "\n" for record in self.records))

    def curve(self) -> dict[str, Any]:
        """Return ``{"step": [...], "terms": {name: [weighted loss, ...]}}``."""
        names = list(self.records[0]["weighted"]) if self.records else []
        return {
            "step": [record["step"] for record in self.records],
            "terms": {n: [r["weighted"][n] for r in self.records] for n in names},
        }


class Window:
    """The loss terms of the steps since the last record, kept on the device.

    Looking at a value makes the device wait, so values are looked at once an interval.
    """

    def __init__(self, size: int) -> None:
        self.size, self.filled = size, 0
        self.names: tuple[str, ...] = ()
        self.raw: Tensor = torch.empty(0)
        self.weighted: Tensor = torch.empty(0)

    def add(self, loss: Loss) -> None:
        """Keep the terms of one step."""
        if not self.names:
            self.names = loss.names
            self.raw = loss.raw.new_zeros((self.size, len(loss.names)))
            self.weighted = torch.zeros_like(self.raw)
        self.raw[self.filled] = loss.raw
        self.weighted[self.filled] = loss.weighted
        self.filled += 1

    def average(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Replace the values by their mean over all processes.

        Args:
            mean: of a tensor over the processes.
        """
        both = mean(torch.stack([self.raw, self.weighted]))
        self.raw, self.weighted = both[0].clone(), both[1].clone()

    def first_bad(self) -> tuple[int, str, float] | None:
        """Return the first value that is not finite: its place in the window, term and value."""
        bad = ~torch.isfinite(self.weighted[: self.filled])
        if not bool(bad.any()):
            return None
        row, column = (int(i) for i in bad.nonzero()[0])
        return row, self.names[column], float(self.weighted[row, column])

    def means(self) -> dict[str, Mapping[str, float]]:
        """Return the mean of every term, raw and weighted, and empty the window.

        A raw term's is over the steps that had a label for it, 0 where none had: a batch without a
        task's labels, whose term is exactly 0, is not one that has learnt the task.
        """
        filled, self.filled = self.filled, 0
        raw = self.raw[:filled]
        found = raw.sum(dim=0) / (raw != 0).sum(dim=0).clamp(min=1)
        means = {"raw": found, "weighted": self.weighted[:filled].mean(dim=0)}
        return {
            kind: dict(zip(self.names, values.tolist(), strict=True))
            for kind, values in means.items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the window's content, for a checkpoint."""
        return {
            "window/raw": self.raw[: self.filled],
            "window/weighted": self.weighted[: self.filled],
        }

    def restore(self, tensors: Mapping[str, Tensor], names: tuple[str, ...], device: Any) -> None:
        """Take back a content that `tensors` gave."""
        raw, weighted = tensors["window/raw"].to(device), tensors["window/weighted"].to(device)
        self.names, self.filled = names, len(raw)
        self.raw = raw.new_zeros((self.size, len(names)))
        self.weighted = torch.zeros_like(self.raw)
        self.raw[: self.filled], self.weighted[: self.filled] = raw, weighted

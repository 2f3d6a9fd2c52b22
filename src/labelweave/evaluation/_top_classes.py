"""Probabilities of very many classes: a row keeps its likeliest ones and the class of its label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.tasks import Multiclass

Floats = NDArray[np.float64]
Rows = NDArray[Any] | slice

MANY = 1_000  # a task of more classes is kept so
KEPT = 100  # classes of a row, its own label among them
CELLS = 20_000_000  # rows times columns of all tasks, predicted at a time: 80 MB


@dataclass(frozen=True, eq=False)
class TopClasses:
    """Class probabilities of n rows, k of the K classes each.

    A row keeps its likeliest classes, and the class of its label where it has one. What is left of
    1 is shared evenly by the other classes. So the likeliest class, its probability and that of
    the label are exact, and with them every metric of a multiclass task.

    Attributes:
        classes: (n, k) codes, no two of a row alike, the likeliest first.
        probabilities: (n, k) theirs.
        width: K.
    """

    classes: NDArray[np.int32]
    probabilities: NDArray[np.floating]
    width: int

    @classmethod
    def of(cls, p: NDArray[Any], codes: Codes, kept: int = KEPT) -> "TopClasses":
        """Return what is kept of probabilities (n, K) of rows with labels (n,), -1 = missing."""
        p = np.asarray(p, np.float32)
        n, width = p.shape
        first, labelled = p.argmax(axis=1), np.flatnonzero(codes >= 0)
        rank = p.copy()
        rank[labelled, codes[labelled]] = 2  # above any probability: always kept
        rank[np.arange(n), first] = 3
        k = min(kept, width)
        classes = np.argpartition(-rank, k - 1, axis=1)[:, :k]
        order = np.where(classes == first[:, None], 2, np.take_along_axis(p, classes, axis=1))
        classes = np.take_along_axis(classes, np.argsort(-order, axis=1, kind="stable"), axis=1)
        return cls(classes.astype(np.int32), np.take_along_axis(p, classes, axis=1), width)

    @classmethod
    def constant(cls, prior: Floats, codes: Codes) -> "TopClasses":
        """Return what is kept of the same probabilities (K,) for every row, K at least 2."""
        first, second = np.argsort(-prior, kind="stable")[:2]
        other = np.where((codes >= 0) & (codes != first), codes, second)
        classes = np.stack([np.full(len(codes), first), other], axis=1).astype(np.int32)
        return cls(classes, prior[classes], len(prior))

    @classmethod
    def join(cls, parts: "list[TopClasses]") -> "TopClasses":
        """Return the rows of all parts."""
        return cls(
            np.concatenate([part.classes for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            parts[0].width,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(n, K), that of the probabilities of all classes."""
        return len(self.classes), self.width

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, rows: Rows) -> "TopClasses":
        return TopClasses(self.classes[rows], self.probabilities[rows], self.width)

    @property
    def rest(self) -> Floats:
        """What each class that is not kept gets, (n,)."""
        left = 1 - self.probabilities.sum(axis=1, dtype=np.float64)
        return np.asarray(np.maximum(left, 0) / max(1, self.width - self.classes.shape[1]))

    def of_class(self, codes: Codes) -> Floats:
        """Return the probability of one class a row, (n,)."""
        same = self.classes == codes[:, None]
        found = np.where(same, self.probabilities, 0).sum(axis=1, dtype=np.float64)
        return np.where(same.any(axis=1), found, self.rest)

    def quadratic(self, codes: Codes) -> Floats:
        """Return 1 - |p - y|^2 / 2 of every row, (n,), p even over the classes not kept."""
        p, rest = self.probabilities.astype(np.float64), self.rest
        squares = (p**2).sum(axis=1) + (self.width - p.shape[1]) * rest**2
        return np.asarray(1 - (squares - 2 * self.of_class(codes) + 1) / 2)

    def dense(self) -> NDArray[np.float32]:
        """Return the probabilities of all classes, (n, K); meant for some rows at a time."""
        found = np.repeat(self.rest.astype(np.float32)[:, None], self.width, axis=1)
        np.put_along_axis(found, self.classes.astype(np.int64), self.probabilities, axis=1)
        return found


Kept = NDArray[np.float32] | TopClasses


def dense(p: Any) -> Any:
    """Return probabilities as an array of all classes or labels."""
    return p.dense() if isinstance(p, TopClasses) else p


def likeliest(p: Floats | TopClasses) -> tuple[NDArray[np.int64], Floats]:
    """Return the likeliest class of every row and its probability, both (n,)."""
    if isinstance(p, TopClasses):
        return p.classes[:, 0].astype(np.int64), p.probabilities[:, 0].astype(np.float64)
    return p.argmax(axis=1), p.max(axis=1)


def of_class(p: Floats | TopClasses, codes: Codes) -> Floats:
    """Return the probability of one class a row, (n,)."""
    return p.of_class(codes) if isinstance(p, TopClasses) else p[np.arange(len(p)), codes]


def keep(
    predict: Callable[[Any], Mapping[str, NDArray[np.float32]]],
    inputs: Any,
    labels: Annotations,
    *,
    at_once: bool = False,
) -> dict[str, Kept]:
    """Return what is kept of the predictions of many rows, some rows predicted at a time.

    Args:
        predict: gives of some inputs (m, W) probabilities by task.
        inputs: of n rows; those i to j are ``inputs[i:j]``.
        labels: of the rows; other tasks than theirs are left out.
        at_once: call `predict` once, with all rows.

    Returns:
        (n, W) probabilities, or `TopClasses` of a task of more than `MANY` classes. Up to `CELLS`
        probabilities `predict` is called once.
    """
    step = max(1, len(labels) if at_once else CELLS // sum(task.width for task in labels.tasks))
    parts = []
    for start in range(0, max(1, len(labels)), step):
        given = predict(inputs if step >= len(labels) else inputs[start : start + step])
        part = labels[start : start + step]
        parts.append({t.name: _kept(t, given[t.name], part) for t in labels.tasks})
    return {task.name: join_kept([part[task.name] for part in parts]) for task in labels.tasks}


def is_wide(task: Any) -> bool:
    """Return whether the predictions of a task are kept as `TopClasses`."""
    return isinstance(task, Multiclass) and task.width > MANY


def _kept(task: Any, p: NDArray[np.float32], labels: Annotations) -> Kept:
    return TopClasses.of(p, labels.labels[task.name], KEPT) if is_wide(task) else p


def join_kept(parts: list[Any]) -> Kept:
    """Return the rows of all parts."""
    if len(parts) == 1:
        return parts[0]  # type: ignore[no-any-return]
    if isinstance(parts[0], TopClasses):
        return TopClasses.join(parts)
    return np.concatenate(parts)

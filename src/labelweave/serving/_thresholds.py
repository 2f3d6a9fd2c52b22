"""The probability from which a label counts as on, by what a user wants of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.tasks import Multiclass, Task

Want = Literal["f1", "precision", "recall", "cost"]
FORMS = "f1, precision:0.9, recall:0.95 or cost:5 (a miss costs 5 false alarms)"


@dataclass(frozen=True)
class ThresholdRule:
    """What is wanted of a task's labels.

    Attributes:
        want: the best ``f1``; a ``precision`` or ``recall`` of at least `value`; or the least
            ``cost``, where a miss costs `value` false alarms.
        value: as above; of ``f1`` not used.
    """

    want: Want
    value: float = 1.0

    @classmethod
    def parse(cls, text: str, task: str) -> Self:
        """Return the rule of a text such as ``precision:0.9``.

        Raises:
            LabelweaveError: another form, or a number that makes no sense.
        """
        found = re.fullmatch(r"(f1|precision|recall|cost)(?::(\d{1,9}(?:\.\d{1,9})?))?", text)
        if found is None or (found[1] == "f1") != (found[2] is None):
            raise LabelweaveError(f"threshold of '{task}': found '{text}', expected {FORMS}")
        value = 1.0 if found[2] is None else float(found[2])
        if value <= 0 or (found[1] in ("precision", "recall") and value > 1):
            raise LabelweaveError(f"threshold of '{task}': found '{text}', expected {FORMS}")
        return cls(found[1], value)  # type: ignore[arg-type]

    def choose(self, p: NDArray[Any], labels: NDArray[Any], name: str) -> float:
        """Return the threshold that out-of-fold labels choose.

        Args:
            p: (n,) probability that the label is on.
            labels: (n,) 0 and 1, without missing ones.
            name: of the label, for errors.

        Raises:
            LabelweaveError: only one value among the labels, or no threshold reaches the wish.
        """
        positives = int((labels == 1).sum())
        if positives in (0, len(labels)):
            raise LabelweaveError(
                f"threshold of '{name}': found {len(labels)} labels of one value, expected both"
            )
        cuts = _cuts(np.asarray(p, np.float64))
        at_on, at_off = np.sort(p[labels == 1]), np.sort(p[labels == 0])
        hits = positives - np.searchsorted(at_on, cuts)
        false = len(at_off) - np.searchsorted(at_off, cuts)
        missed = positives - hits
        if self.want == "f1":
            return float(cuts[int(np.argmax(2 * hits / (2 * hits + false + missed)))])
        if self.want == "cost":
            return float(cuts[int(np.argmin(self.value * missed + false))])
        if self.want == "recall":
            return float(cuts[np.flatnonzero(hits / positives >= self.value).max()])
        precise = np.flatnonzero((hits > 0) & (hits >= self.value * (hits + false)))
        if not len(precise):
            best = float((hits[hits > 0] / (hits + false)[hits > 0]).max())
            raise LabelweaveError(
                f"threshold of '{name}': no threshold has a precision of {self.value:g} on "
                f"out-of-fold labels, expected {best:.3f} or less"
            )
        return float(cuts[precise[int(np.argmax(hits[precise]))]])


def _cuts(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 0 and the middles between the values that occur, in order."""
    values = np.unique(p)
    return np.concatenate([[0.0], (values[1:] + values[:-1]) / 2])


def parse_rules(given: Mapping[str, str], tasks: Sequence[Task]) -> dict[str, ThresholdRule]:
    """Return the rule of every task that has one.

    Raises:
        LabelweaveError: an unknown task, one of exclusive classes, or a rule of another form.
    """
    by_name = {task.name: task for task in tasks}
    usable = [task.name for task in tasks if not isinstance(task, Multiclass)]
    for name in given:
        if name not in by_name or name not in usable:
            raise LabelweaveError(
                f"threshold: found '{name}', expected a task of labels, {listing(usable) or 'none'}"
                f"{nearest(name, usable)}"
            )
    return {name: ThresholdRule.parse(text, name) for name, text in given.items()}


def chosen_thresholds(
    rules: Mapping[str, ThresholdRule], held: Mapping[str, NDArray[Any]], labels: Annotations
) -> dict[str, NDArray[np.float64]]:
    """Return by task the thresholds of its labels, (L,), chosen on out-of-fold probabilities.

    Raises:
        LabelweaveError: what `ThresholdRule.choose` raises.
    """
    found = {}
    for task in labels.tasks:
        if task.name not in rules:
            continue
        truth = labels.labels[task.name].reshape(-1, task.width)
        cuts = []
        for j, label in enumerate(task.names):
            known = truth[:, j] >= 0
            name = task.name if task.width == 1 else f"{task.name}={label}"
            p = held[task.name][known, j]
            cuts.append(rules[task.name].choose(p, truth[known, j], name))
        found[task.name] = np.array(cuts)
    return found

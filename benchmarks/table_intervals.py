"""How often the credible interval of an estimated table's entry holds the true value.

Run ``python -m benchmarks.table_intervals [--sets 40] [--json OUT]``. No row carries both labels: a
half has the source task's (5 classes), the other half the target's (3 classes, or 4 labels).
The heads are logistic regressions of ten inputs, their probabilities sharpened to the power 1.5 as
an overconfident network; how far the classes lie apart decides how good they are. Prints the
share of entries whose interval holds the true value, and the mean width of the intervals.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from labelweave.annotations import Annotations
from labelweave.relations import estimate_relations
from labelweave.tasks import Multiclass, Multilabel, Task

Floats = NDArray[np.float64]
SOURCE, CLASSES, INPUTS, SHARPER = 5, 3, 10, 1.5
TARGETS: dict[str, Task] = {
    "3 classes": Multiclass("target", tuple("abc")),
    "4 labels": Multilabel("target", tuple("abcd")),
}


def sharpened(p: Floats) -> Floats:
    """Return class probabilities to the power `SHARPER`, in sum 1."""
    powered = p**SHARPER
    return np.asarray(powered / powered.sum(axis=1, keepdims=True))


def one(task: Task, rows: int, apart: float, seed: int) -> tuple[NDArray[np.bool_], Floats, float]:
    """Return hits and widths of a data set's entries, and the accuracy of the source's head."""
    rng = np.random.default_rng([seed, rows, round(100 * apart)])
    source = Multiclass("source", tuple(range(SOURCE)))
    s = rng.integers(0, SOURCE, rows)
    middle = apart * rng.normal(size=(SOURCE, INPUTS)) / np.sqrt(INPUTS) * 2
    if isinstance(task, Multiclass):
        table = rng.dirichlet(np.ones(task.width), SOURCE)
        t = np.array([rng.choice(task.width, p=table[c]) for c in s])
        shift = apart * rng.normal(size=(task.width, INPUTS)) / np.sqrt(INPUTS) * 2
        X = middle[s] + shift[t] + rng.normal(size=(rows, INPUTS))
    else:
        table = rng.uniform(0.05, 0.95, (SOURCE, task.width))
        t = (rng.random((rows, task.width)) < table[s]).astype(int)
        shift = apart * rng.normal(size=(task.width, INPUTS)) / np.sqrt(INPUTS) * 2
        X = middle[s] + t @ shift + rng.normal(size=(rows, INPUTS))
    first = np.arange(rows) < rows // 2
    head = LogisticRegression(max_iter=300).fit(X[first], s[first])
    p = np.zeros((rows, SOURCE))
    p[:, head.classes_] = head.predict_proba(X)
    if isinstance(task, Multiclass):
        other = LogisticRegression(max_iter=300).fit(X[~first], t[~first])
        q = np.zeros((rows, task.width))
        q[:, other.classes_] = other.predict_proba(X)
        q = sharpened(np.maximum(q, 1e-6))
        missing = np.where(first, -1, t)
    else:
        on = [LogisticRegression(max_iter=300).fit(X[~first], t[~first, j]) for j in range(4)]
        q = np.stack([sharpened(each.predict_proba(X))[:, 1] for each in on], axis=1)
        missing = np.where(first[:, None], -1, t)
    labels = Annotations((source, task), {"source": np.where(first, s, -1), "target": missing})
    predictions = {"source": sharpened(np.maximum(p, 1e-6)), "target": q}
    found = estimate_relations(labels, predictions, [("source", "target")])[0]
    hit = (found.low - 1e-9 <= table) & (table <= found.high + 1e-9)
    accuracy = float((p[~first].argmax(axis=1) == s[~first]).mean())
    return hit.ravel(), (found.high - found.low).ravel(), accuracy


def cells(sets: int) -> Iterator[dict[str, Any]]:
    """Give one cell of the table after the other."""
    for rows in (300, 1000):
        for apart in (0.5, 1.0, 2.0):
            for name, task in TARGETS.items():
                found = [one(task, rows, apart, seed) for seed in range(sets)]
                accuracy = [a for _, _, a in found]
                yield {
                    "rows": rows, "target": name, "sets": sets,
                    "accuracy_of_the_source": float(np.mean(accuracy)),
                    "coverage": float(np.concatenate([hit for hit, _, _ in found]).mean()),
                    "width": float(np.concatenate([width for _, width, _ in found]).mean()),
                }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", type=int, default=40, help="data sets a cell")
    parser.add_argument("--json", type=Path, help="file to write")
    given = parser.parse_args()
    found = []
    print("| rows | target | accuracy of the source's head | coverage | mean width |")
    print("|---|---|---|---|---|")
    for cell in cells(given.sets):
        found.append(cell)
        print(
            f"| {cell['rows']:,} | {cell['target']} | {cell['accuracy_of_the_source']:.2f} "
            f"| {100 * cell['coverage']:.0f} | {cell['width']:.2f} |",
            flush=True,
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

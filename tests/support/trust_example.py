"""A small fitted classifier of related tasks, with rows that it has not seen."""

from functools import cache

import numpy as np
import pandas as pd

from labelweave import Binary, Multiclass, MultiTaskClassifier, Relation

KIND = Multiclass("kind", tuple(f"k{i}" for i in range(6)))
SHAPE = Multiclass("shape", ("round", "long", "flat"))
HOT = Binary("hot")
OF_SHAPE = np.eye(3)[[0, 1, 2, 0, 1, 2]]
OF_HOT = np.array([[1.0], [1], [1], [0], [0], [0]])
RELATIONS = [Relation(KIND, SHAPE, OF_SHAPE), Relation(KIND, HOT, OF_HOT)]


def rows(n: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return inputs (with a column `site`, a category) and labels of all tasks."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, n)
    X = np.concatenate([OF_SHAPE[y], OF_HOT[y], rng.normal(size=(n, 2))], axis=1)
    X[:, :4] += rng.normal(0, 0.6, (n, 4))
    inputs = pd.DataFrame(X, columns=["long_axis", "width", "height", "heat", "noise", "dust"])
    inputs["site"] = np.where(rng.random(n) < 0.7, "north", "south")
    labels = pd.DataFrame(
        {
            "kind": np.array(KIND.names)[y],
            "shape": np.array(SHAPE.names)[OF_SHAPE[y].argmax(axis=1)],
            "hot": OF_HOT[y][:, 0].astype(int),
        }
    )
    return inputs, labels


@cache
def classifier(method: str = "coupled") -> MultiTaskClassifier:
    """Return a classifier fitted on 240 rows: `kind` on 40 of them, the others on the rest."""
    X, labels = rows(240, 0)
    y = labels.astype(object)
    y.loc[:39, ["shape", "hot"]] = None
    y.loc[40:, "kind"] = None
    made = MultiTaskClassifier(
        [KIND, SHAPE, HOT], RELATIONS, method, learners=["logistic", "logistic_strong"], steps=60
    )
    return made.fit(X, y)

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations import count_relation
from labelweave.tasks import Binary, Multiclass, Multilabel

EMOTION = Multiclass("emotion", ("joy", "fear", "calm"))
VALENCE = Multiclass("valence", ("bad", "good"))
UNITS = Multilabel("units", ("AU1", "AU4", "AU12"))
MASK = Binary("mask")
SMELL = Binary("smell", "foul", "fresh")
TASKS = (EMOTION, VALENCE, UNITS, MASK, SMELL)
seeds = st.integers(0, 2**32 - 1)


def message(error):
    return f"^{re.escape(error)}$"


def labels(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    return Annotations(
        TASKS,
        {
            "emotion": rng.integers(-1, 3, n),
            "valence": rng.integers(-1, 2, n),
            "units": rng.integers(-1, 2, (n, 3)),
        },
    )


def slow_count(whole, target, column, value, smoothing, minimum):
    """Count one column of the table in plain Python: P(target column == value | class)."""
    species = whole.labels["emotion"].tolist()
    wanted = whole.labels[target].reshape(len(whole), -1)[:, column].tolist()
    rows = [(s, w) for s, w in zip(species, wanted, strict=True) if s >= 0 and w >= 0]
    if not rows:
        return [None] * 3
    base = sum(w == value for _, w in rows) / len(rows)
    column = []
    for k in range(3):
        support = sum(s == k for s, _ in rows)
        hits = sum(s == k and w == value for s, w in rows)
        enough = support >= minimum
        column.append((hits + smoothing * base) / (support + smoothing) if enough else None)
    return column


@given(seeds, st.floats(0.01, 10), st.integers(0, 3))
@settings(max_examples=100)
def test_counting_agrees_with_a_slow_count(seed, smoothing, minimum):
    whole = labels(seed)
    for target, width in (("valence", 2), ("units", 3)):
        if not (whole.labelled("emotion") & whole.labelled(target)).any():
            continue
        relation = count_relation(
            whole, "emotion", target, smoothing=smoothing, minimum=minimum, strength=2.0
        )
        for j in range(width):
            column, value = (0, j) if target == "valence" else (j, 1)
            expected = slow_count(whole, target, column, value, smoothing, minimum)
            found = [
                p if known else None
                for p, known in zip(
                    relation.table[:, j].tolist(), relation.mask[:, j].tolist(), strict=True
                )
            ]
            assert found == [None if e is None else pytest.approx(e) for e in expected]
        assert relation.strength == 2.0


def test_the_origin_names_the_rows():
    whole = Annotations(
        TASKS, {"emotion": np.array([0, 0, 1, -1]), "valence": np.array([1, 1, -1, 0])}
    )
    relation = count_relation(whole, "emotion", "valence")
    assert str(relation.origin) == "counted on 2 rows"
    assert relation.mask[:, 0].tolist() == [True, False, False]
    assert relation.table[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("source", "target", "options", "error"),
    [
        (
            "emotion",
            "mask",
            {},
            "relation emotion->mask: no training row carries labels of both tasks; give a "
            "knowledge table instead",
        ),
        (
            "units",
            "emotion",
            {},
            "relation units->emotion: the source task is multilabel, expected multiclass",
        ),
        (
            "emotion",
            "valence",
            {"smoothing": 0},
            "relation emotion->valence: smoothing 0, expected a number above 0",
        ),
        (
            "emotoin",
            "valence",
            {},
            "no task 'emotoin', expected 'emotion', 'valence', 'units', 'mask', 'smell'; did you "
            "mean 'emotion'?",
        ),
    ],
)
def test_bad_counts(source, target, options, error):
    with pytest.raises(LabelweaveError, match=message(error)):
        count_relation(labels(0), source, target, **options)

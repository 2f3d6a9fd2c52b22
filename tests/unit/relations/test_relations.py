import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation
from labelweave.tasks import Binary, Multiclass, Multilabel

EMOTION = Multiclass("emotion", ("joy", "fear", "calm"))
VALENCE = Multiclass("valence", ("bad", "good"))
UNITS = Multilabel("units", ("AU1", "AU4", "AU12"))
MASK = Binary("mask")
seeds = st.integers(0, 2**32 - 1)


def message(error):
    return f"^{re.escape(error)}$"


def multilabel_table():
    return np.array([[0.1, 0.2, 0.9], [0.8, 0.7, 0.0], [0.5, 0.5, 0.5]])


def test_a_relation_is_checked_and_frozen():
    table = [[0.5005, 0.5], [1, 0], [np.nan, np.nan]]
    relation = Relation(EMOTION, VALENCE, table, [[1, 1], [1, 1], [0, 0]])
    assert relation.name == "emotion->valence"
    assert relation.table.tolist() == [[0.5005 / 1.0005, 0.5 / 1.0005], [1, 0], [0, 0]]
    assert relation.mask.tolist() == [[True, True], [True, True], [False, False]]
    with pytest.raises(ValueError, match="read-only"):
        relation.table[0, 0] = 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            (UNITS, EMOTION, np.ones((3, 3))),
            "relation units->emotion: the source task is multilabel, expected multiclass",
        ),
        (
            (EMOTION, EMOTION, np.eye(3)),
            "relation emotion->emotion: source and target are the same task",
        ),
        (
            (EMOTION, UNITS, np.ones((2, 3))),
            "relation emotion->units: found a table of shape (2, 3), expected (3, 3)",
        ),
        (
            (EMOTION, UNITS, np.ones((3, 3)), np.ones(3)),
            "relation emotion->units: found a mask of shape (3,), expected (3, 3)",
        ),
        (
            (EMOTION, UNITS, multilabel_table() * 2),
            "relation emotion->units: row 'joy', column 'AU12': found 1.8, "
            "expected a probability from 0 to 1",
        ),
        (
            (EMOTION, UNITS, np.full((3, 3), np.nan)),
            "relation emotion->units: row 'joy', column 'AU1': found nan, "
            "expected a probability from 0 to 1",
        ),
        (
            (EMOTION, VALENCE, [[0, 1], [0.6, 0.5], [1, 0]]),
            "relation emotion->valence: row 'fear' sums to 1.1, expected 1",
        ),
        (
            (EMOTION, VALENCE, [[0, 1], [1, 0], [1, 0]], [[1, 1], [1, 1], [1, 0]]),
            "relation emotion->valence: row 'calm' is known in part, expected all of the classes "
            "or none",
        ),
        (
            (EMOTION, UNITS, multilabel_table(), None, -1),
            "relation emotion->units: strength: found -1, expected a number from 0",
        ),
        (
            (EMOTION, UNITS, multilabel_table(), None, float("inf")),
            "relation emotion->units: strength: found inf, expected a number from 0",
        ),
        (
            (EMOTION, UNITS, multilabel_table(), None, float("nan")),
            "relation emotion->units: strength: found nan, expected a number from 0",
        ),
    ],
)
def test_bad_relations(arguments, error):
    with pytest.raises(LabelweaveError, match=message(error)):
        Relation(*arguments)


def test_filled_takes_the_mean_of_the_known_entries():
    known = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    filled = Relation(EMOTION, UNITS, multilabel_table(), known).filled()
    assert np.allclose(filled, [[0.1, 0.2, 0.5], [0.8, 0.2, 0.5], [0.45, 0.2, 0.5]])
    rows = np.array([[1, 1], [1, 1], [0, 0]], bool)
    filled = Relation(EMOTION, VALENCE, [[0, 1], [0.5, 0.5], [1, 0]], rows).filled()
    assert np.allclose(filled, [[0, 1], [0.5, 0.5], [0.25, 0.75]])
    nothing = Relation(EMOTION, VALENCE, np.zeros((3, 2)), np.zeros((3, 2)))
    assert (nothing.filled() == 0.5).all()


@given(st.integers(2, 9), seeds)
def test_permuted_gives_every_class_the_row_of_another(width, seed):
    source = Multiclass("s", range(width))
    table = np.linspace(0, 1, width)[:, None]
    known = np.arange(width)[:, None] != 1
    relation = Relation(source, MASK, table, known, 0.5, "an expert")
    shuffled = relation.permuted(seed)
    moved = shuffled.mask[:, 0] & relation.mask[:, 0]
    assert (shuffled.table[moved] != relation.table[moved]).all()
    assert shuffled.mask[1, 0]
    assert sorted(shuffled.table[shuffled.mask]) == sorted(table[known])
    assert (shuffled.strength, str(shuffled.origin)) == (0.5, "an expert, shuffled")


@pytest.mark.parametrize(
    ("table", "known", "message"),
    [
        ([[1, 0], [0, 1]], [[np.nan, 1], [1, 1]], "known: found nan, expected true or false"),
        ([[1, 0], [0, 1]], [[2, 1], [1, 1]], "known: found 2, expected true or false"),
        ([[1, 0], [0, 1]], [["x", "y"], ["", ""]], "known: found values of type"),
        ([[1 + 1j, 0], [0, 1]], None, "table: found values of type complex128, expected real"),
        ([[1, 0], [0]], None, "table: found rows of unequal lengths"),
        ([["1", "0"], ["0", "1"]], None, "table: found values of type"),
    ],
)
def test_what_is_no_number_or_flag_is_refused(table: Any, known: Any, message: str) -> None:
    source, target = Multiclass("s", ("a", "b")), Multiclass("t", ("c", "d"))
    with pytest.raises(LabelweaveError, match=message):
        Relation(source, target, table, known)

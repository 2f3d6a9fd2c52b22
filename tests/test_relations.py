import itertools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, count_relation, multiply_in, read_knowledge
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
            "relation emotion->units: strength -1, expected a number of 0 or more",
        ),
        (
            (EMOTION, UNITS, multilabel_table(), None, float("inf")),
            "relation emotion->units: strength inf, expected a number of 0 or more",
        ),
        (
            (EMOTION, UNITS, multilabel_table(), None, float("nan")),
            "relation emotion->units: strength nan, expected a number of 0 or more",
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
    assert (shuffled.strength, shuffled.origin) == (0.5, "an expert, shuffled")


# knowledge tables ---------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_columns_named_by_task_hold_classes(write):
    path = write("emotion,valence,mask,smell\njoy,good,yes,foul\ncalm,,0.25,fresh\n")
    valence, mask, smell = read_knowledge(path, "emotion", TASKS, strength=0.5)
    assert valence.table.tolist() == [[0, 1], [0, 0], [0, 0]]
    assert valence.mask.tolist() == [[True, True], [False, False], [False, False]]
    assert mask.table[:, 0].tolist() == [1, 0, 0.25]
    assert mask.mask[:, 0].tolist() == [True, False, True]
    assert smell.table[:, 0].tolist() == [1, 0, 0]
    assert smell.mask[:, 0].tolist() == [True, False, True]
    assert {r.strength for r in (valence, mask, smell)} == {0.5}
    assert mask.origin == "knowledge table table.csv"


def test_columns_named_by_class_or_label_hold_weights(write):
    path = write("\ufeffwhich, AU12 ,units=AU1,good,bad\n fear ,0,.5,0.2,.8\njoy,1,,1,\n")
    units, valence = read_knowledge(path, "emotion", TASKS)
    assert units.table.tolist() == [[0, 0, 1], [0.5, 0, 0], [0, 0, 0]]
    assert units.mask.tolist() == [[False, False, True], [True, False, True], [False] * 3]
    assert np.allclose(valence.table, [[0, 1], [0.8, 0.2], [0, 0]])
    assert valence.mask[:, 0].tolist() == [True, True, False]
    only = read_knowledge(path, "emotion", TASKS, targets=["valence"])
    assert [r.name for r in only] == ["emotion->valence"]


def test_short_lines_are_unknown_cells(write):
    (units,) = read_knowledge(write("emotion,AU1,AU4\njoy,1\nfear\n"), "emotion", TASKS)
    assert units.mask.tolist() == [[True, False, False], [False] * 3, [False] * 3]


def test_names_of_two_tasks_need_the_task(write):
    tasks = (EMOTION, Multilabel("left", ("up", "a=b")), Multilabel("right", ("up", "down")))
    relations = read_knowledge(
        write("emotion,right=up,left=a=b,down\njoy,1,0.5,0\n"), "emotion", tasks
    )
    right, left = relations
    assert (right.target.name, right.table[0].tolist()) == ("right", [1, 0])
    assert (left.target.name, left.table[0].tolist()) == ("left", [0, 0.5])


def test_a_data_frame_of_numbers():
    tasks = (Multiclass("level", (1, 2)), Multiclass("grade", (7, 8)), MASK)
    frame = pd.DataFrame({"level": [2.0, 1.0], "grade": [7.0, np.nan], "mask": [True, 0.5]})
    grade, mask = read_knowledge(frame, "level", tasks)
    assert grade.table.tolist() == [[0, 0], [1, 0]]
    assert mask.table[:, 0].tolist() == [0.5, 1]
    assert mask.origin == "knowledge table table"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "emotion,AU1\njoi,1\n",
            "table.csv: row 'joi' is no class of task 'emotion', expected 'joy', 'fear', 'calm'; "
            "did you mean 'joy'?",
        ),
        (
            "emotion,AU1\njoy,1\njoy,0\n",
            "table.csv: class 'joy' has two rows, expected one",
        ),
        (
            "emotion,AU13\njoy,1\n",
            "table.csv: column 'AU13' is no task, class or label; did you mean 'AU1'?",
        ),
        (
            "emotion,units\njoy,1\n",
            "table.csv: column 'units' is a task of several labels, expected one of them: 'AU1', "
            "'AU4', 'AU12'",
        ),
        (
            "which,emotion\njoy,joy\n",
            "table.csv: column 'emotion' relates the task to itself",
        ),
        (
            "emotion,AU1,AU1\njoy,1,1\n",
            "table.csv: column 'AU1.1' is no task, class or label; did you mean 'AU1'?",
        ),
        (
            "emotion,AU1, AU1\njoy,1,1\n",
            "table.csv: column 'AU1' appears twice, expected once",
        ),
        (
            "emotion,AU1,units=AU1\njoy,1,1\n",
            "table.csv: columns 'AU1' and 'units=AU1' mean the same, expected one of them",
        ),
        (
            "emotion,AU1\njoy,1.5\n",
            "table.csv: row 'joy', column 'AU1': found '1.5', expected a probability from 0 to 1",
        ),
        (
            "emotion,AU1\njoy,nan\n",
            "table.csv: row 'joy', column 'AU1': found 'nan', expected a probability from 0 to 1",
        ),
        (
            "emotion,AU1\njoy,often\n",
            "table.csv: row 'joy', column 'AU1': found 'often', expected a probability from 0 to 1",
        ),
        (
            "emotion,mask\njoy,7\n",
            "table.csv: row 'joy', column 'mask': found '7', expected a probability from 0 "
            "to 1 or one of '1', 'true', 'yes', '0', 'false', 'no'",
        ),
        (
            "emotion,smell\nfear,fould\n",
            "table.csv: row 'fear', column 'smell': found 'fould', expected a probability "
            "from 0 to 1 or one of 'foul', 'fresh'; did you mean 'foul'?",
        ),
        (
            "emotion,valence\nfear,goood\n",
            "table.csv: row 'fear', column 'valence': 'goood' is no class of task 'valence', "
            "expected 'bad', 'good'; did you mean 'good'?",
        ),
        (
            "emotion,good\nfear,0.7\n",
            "table.csv: relation emotion->valence: row 'fear' sums to 0.7, expected 1",
        ),
        (
            "emotion\njoy\n",
            "table.csv: found 1 rows and 1 columns, expected a column of classes and at least one "
            "column about them",
        ),
        (
            "emotion,AU1\n",
            "table.csv: found 0 rows and 2 columns, expected a column of classes and at least one "
            "column about them",
        ),
    ],
)
def test_bad_tables(write, text, error):
    with pytest.raises(LabelweaveError, match=message(error)):
        read_knowledge(write(text), "emotion", TASKS)


def test_files_that_are_no_table(write, tmp_path):
    with pytest.raises(LabelweaveError, match=r"no\.csv: no such file, expected a table of rel"):
        read_knowledge(tmp_path / "no.csv", "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r"table\.csv: cannot be read as CSV: No columns to"):
        read_knowledge(write(""), "emotion", TASKS)
    with pytest.raises(LabelweaveError, match=r"cannot be read as CSV: .*Is a directory"):
        read_knowledge(tmp_path, "emotion", TASKS)
    binary = tmp_path / "photo.csv"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(LabelweaveError, match=r"photo\.csv: cannot be read as CSV: 'utf-8' codec"):
        read_knowledge(binary, "emotion", TASKS)


@pytest.mark.parametrize(
    ("source", "targets", "error"),
    [
        ("emotions", None, "table: no task 'emotions'; did you mean 'emotion'?"),
        (
            "units",
            None,
            "table: the source task 'units' is multilabel, expected multiclass",
        ),
        ("emotion", ["mask"], "table: says nothing about task 'mask'"),
        ("emotion", ["unit"], "table: says nothing about task 'unit'; did you mean 'units'?"),
    ],
)
def test_bad_sources_and_targets(source, targets, error):
    frame = pd.DataFrame({"emotion": ["joy"], "AU1": [1]})
    with pytest.raises(LabelweaveError, match=message(error)):
        read_knowledge(frame, source, TASKS, targets=targets)


def test_an_ambiguous_column():
    tasks = (EMOTION, Multilabel("left", ("up",)), Multiclass("way", ("up", "down")))
    frame = pd.DataFrame({"emotion": ["joy"], "up": [1]})
    error = "table: column 'up' is ambiguous, write one of 'left=up', 'way=up'"
    with pytest.raises(LabelweaveError, match=message(error)):
        read_knowledge(frame, "emotion", tasks)


# counting -----------------------------------------------------------------------------------------


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


def test_the_origin_tells_the_rows():
    whole = Annotations(
        TASKS, {"emotion": np.array([0, 0, 1, -1]), "valence": np.array([1, 1, -1, 0])}
    )
    relation = count_relation(whole, "emotion", "valence")
    assert relation.origin == "counted on 2 rows"
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


# the table multiplied in --------------------------------------------------------------------------


def random_relation(rng, target):
    known = rng.random((3, target.width)) < 0.8
    if isinstance(target, Multiclass):
        known[:] = known[:, :1]
        return Relation(EMOTION, target, rng.dirichlet(np.ones(target.width), 3), known)
    return Relation(EMOTION, target, rng.random((3, target.width)), known)


def enumerate_joint(probabilities, relations, smoothing):
    """Sum the joint over every combination of class, target classes and labels, one sample."""
    parts = []  # one variable of a target: its table (3, V) and its own probabilities (V,)
    for relation in relations:
        p, filled, target = probabilities[relation.target.name], relation.filled(), relation.target
        uniform = 1 / target.width if isinstance(target, Multiclass) else 0.5
        table = (1 - smoothing) * filled + smoothing * uniform
        if isinstance(target, Multiclass):
            parts.append((table, p))
        else:
            for j in range(target.width):
                column = table[:, j : j + 1]
                parts.append((np.hstack([column, 1 - column]), np.array([p[j], 1 - p[j]])))
    source = np.zeros(3)
    marginals = [np.zeros(len(p)) for _, p in parts]
    for s in range(3):
        for values in itertools.product(*[range(len(p)) for _, p in parts]):
            weight = probabilities["emotion"][s]
            for (table, p), value in zip(parts, values, strict=True):
                weight *= table[s, value] * p[value]
            source[s] += weight
            for marginal, value in zip(marginals, values, strict=True):
                marginal[value] += weight
    marginals = iter([m / m.sum() for m in marginals])
    result = {"emotion": source / source.sum()}
    for relation in relations:
        if isinstance(relation.target, Multiclass):
            result[relation.target.name] = next(marginals)
        else:
            width = relation.target.width
            result[relation.target.name] = np.array([next(marginals)[0] for _ in range(width)])
    return result


@given(seeds, st.sampled_from([0.0, 0.01, 0.3]))
@settings(max_examples=60)
def test_multiplying_in_gives_the_marginals_of_the_joint(seed, smoothing):
    rng = np.random.default_rng(seed)
    n = 3
    given_ = {
        "emotion": rng.dirichlet(np.ones(3), n),
        "valence": rng.dirichlet(np.ones(2), n),
        "units": rng.random((n, 3)),
        "mask": rng.random((n, 1)),
    }
    targets = [t for t in (VALENCE, UNITS, MASK) if rng.random() < 0.7] or [UNITS]
    relations = [random_relation(rng, target) for target in targets]
    found = multiply_in(given_, relations, smoothing)
    for i in range(n):
        row = {name: p[i] for name, p in given_.items()}
        for name, expected in enumerate_joint(row, relations, smoothing).items():
            assert np.allclose(found[name][i], expected, atol=1e-9), name
    for name in given_.keys() - {"emotion"} - {t.name for t in targets}:
        assert (found[name] == given_[name]).all()


def test_without_a_usable_relation_nothing_changes():
    probabilities = {"emotion": np.array([[0.2, 0.3, 0.5]]), "mask": np.array([[0.4]])}
    relation = Relation(EMOTION, VALENCE, [[0, 1], [1, 0], [1, 0]])
    for relations in ([], [relation]):
        found = multiply_in(probabilities, relations)
        assert found.keys() == probabilities.keys()
        assert all((found[name] == probabilities[name]).all() for name in found)


def test_an_identity_table_is_the_product_of_both_predictions():
    other = Multiclass("other", EMOTION.classes)
    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.8, 0.1]])
    found = multiply_in(
        {"emotion": p, "other": q}, [Relation(EMOTION, other, np.eye(3))], smoothing=0
    )
    expected = p * q / (p * q).sum()
    assert np.allclose(found["emotion"], expected)
    assert np.allclose(found["other"], expected)

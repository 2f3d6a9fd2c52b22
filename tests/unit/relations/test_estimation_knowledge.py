import numpy as np
import pytest
from test_estimation import KIND, MARKS, PAIRS, SHAPE, SHAPES, SIGNS, simulate, tables

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, estimate_relations
from labelweave.tasks import Multiclass

RIGHT = [Relation(KIND, SHAPE, SHAPES), Relation(KIND, SIGNS, MARKS)]


def test_a_right_expert_is_kept_and_nothing_is_named():
    annotations, predictions, _ = simulate(1)
    found = estimate_relations(annotations, predictions, PAIRS, knowledge=RIGHT)
    for estimate, expert in zip(found, RIGHT, strict=True):
        assert np.abs(estimate.relation.table - expert.table).max() < 0.05
        assert estimate.trust.min() > 0.7
        assert estimate.wrong_rows() == []
        assert estimate.surprising() == []
        assert (estimate.shares[:, 0] > 0).all()
        assert estimate.shares.sum(axis=1) == pytest.approx(1)
        assert estimate.prior is expert


@pytest.mark.parametrize("wrong", [[1], [0, 2], [0, 1, 2, 3]])
def test_wrong_rows_are_repaired_and_named(wrong):
    annotations, predictions, _ = simulate(2)
    table = SHAPES.copy()
    table[wrong] = np.roll(SHAPES[wrong], 1, axis=1)
    found, _ = estimate_relations(
        annotations, predictions, PAIRS, knowledge=[Relation(KIND, SHAPE, table)]
    )
    assert np.abs(found.relation.table - SHAPES).max() < 0.05
    assert found.wrong_rows() == [KIND.names[k] for k in wrong]
    assert (found.trust[wrong] < 0.1).all()
    surprises = found.surprising()
    gaps = [surprise.surprise for surprise in surprises]
    assert gaps == sorted(gaps, reverse=True)
    for surprise in surprises:
        k, j = KIND.names.index(surprise.class_name), SHAPE.names.index(surprise.label)
        assert surprise.expert == table[k, j]
        assert surprise.data == found.data.table[k, j]
        assert not surprise.low <= surprise.expert <= surprise.high


def test_only_the_wrong_entry_of_a_multilabel_row_is_dropped():
    annotations, predictions, _ = simulate(3)
    table = MARKS.copy()
    table[0, 1] = 1.0
    _, found = estimate_relations(
        annotations, predictions, PAIRS, knowledge=[Relation(KIND, SIGNS, table)]
    )
    assert found.wrong_rows() == ["a"]
    assert [(s.class_name, s.label) for s in found.surprising()] == [("a", "hairy")]
    assert found.trust[0, 1] < 0.1
    assert np.delete(found.trust.ravel(), 1).min() > 0.5


def test_the_data_alone_are_kept_next_to_the_expert():
    annotations, predictions, _ = simulate(4)
    alone = estimate_relations(annotations, predictions, PAIRS)
    both = estimate_relations(annotations, predictions, PAIRS, knowledge=RIGHT)
    for one, two in zip(alone, both, strict=True):
        assert (two.data.table == one.relation.table).all()
        assert (two.data_low == one.low).all()
        assert one.prior is None
        assert one.surprising() == []
        assert not one.trust.any()
    ignored = estimate_relations(
        annotations, predictions, PAIRS, knowledge=RIGHT, use=("annotations", "predictions")
    )
    assert (tables(ignored) == tables(alone)).all()


def test_an_unknown_part_of_the_expert_says_nothing():
    annotations, predictions, _ = simulate(5)
    known = np.ones((4, 3), bool)
    known[2] = False
    found, _ = estimate_relations(
        annotations, predictions, PAIRS, knowledge=[Relation(KIND, SHAPE, SHAPES, known)]
    )
    assert found.shares[2, 0] == 0
    assert (found.shares[[0, 1, 3], 0] > 0).all()
    assert not found.trust[2].any()


def test_strength_per_relation_and_per_entry():
    annotations, _, _ = simulate(6)
    each = np.tile([[2.0], [4.0], [0.0], [8.0]], 3)
    shape, signs = estimate_relations(
        annotations,
        {},
        PAIRS,
        knowledge=RIGHT,
        strength={"kind->shape": each},
        use=("knowledge",),
    )
    width = shape.prior_high - shape.prior_low
    assert width[0, 0] > width[3, 0]
    assert (width[2] == 1).all()
    assert not shape.relation.mask[2].any()
    assert signs.relation.mask.all()


OTHER = Multiclass("shape", ("round", "long"))
GOOD = {"kind": np.full((5, 4), 0.25), "shape": np.full((5, 3), 1 / 3), "signs": np.ones((5, 2))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": []}, "pairs: found no relation to estimate, expected at least one"),
        (
            {"pairs": [("kind", "shape"), ("kind", "shape")]},
            "pairs: found twice: 'kind->shape', expected once",
        ),
        (
            {"pairs": [("signs", "kind")]},
            "relation signs->kind: the source task is multilabel, expected multiclass",
        ),
        (
            {"pairs": [("kind", "kind")]},
            "relation kind->kind: source and target are the same task",
        ),
        (
            {"pairs": [("kind", "shap")]},
            "no task 'shap', expected 'kind', 'shape', 'signs'; did you mean 'shape'?",
        ),
        (
            {"use": ["predictoins"]},
            "use: unknown evidence 'predictoins', expected 'knowledge', 'annotations', "
            "'predictions'; did you mean 'predictions'?",
        ),
        (
            {"use": []},
            "use: found nothing, expected some of 'knowledge', 'annotations', 'predictions'",
        ),
        ({"chunk": 0}, "chunk: found 0, expected at least 1"),
        (
            {"predictions": {"kind": GOOD["kind"]}},
            "predictions: none of task 'shape', expected those of 'kind', 'shape', 'signs'",
        ),
        (
            {"predictions": {**GOOD, "shape": np.ones((5, 2))}},
            "predictions of 'shape': found shape (5, 2), expected (5, 3)",
        ),
        (
            {"predictions": {**GOOD, "signs": np.array([[0, 1]] * 4 + [[0, np.nan]])}},
            "predictions of 'signs': row 5, 'hairy': found nan, expected a probability from 0 to 1",
        ),
        (
            {"sources": [0, 1]},
            "sources: found int64 of shape (2,), expected (5,) integers of 0 or more",
        ),
        (
            {"confusion": {"shape": np.eye(2)}},
            "confusion of 'shape': found shape (2, 2), expected (3, 3)",
        ),
        (
            {"confusion": {"signs": -np.ones((2, 2, 2))}},
            "confusion of 'signs': expected counts of 0 or more",
        ),
        (
            {"knowledge": [Relation(KIND, OTHER, np.eye(4)[:, :2] + [0, 0], np.eye(4, 2) > 2)]},
            "knowledge kind->shape: task 'shape' has other classes than in the annotations, "
            "expected the same",
        ),
        (
            {"knowledge": RIGHT, "pairs": PAIRS[:1]},
            "knowledge kind->signs: no such pair, expected 'kind->shape'; "
            "did you mean 'kind->shape'?",
        ),
        ({"knowledge": RIGHT[:1] * 2}, "knowledge kind->shape: found twice, expected once"),
        (
            {"strength": {"kind->signs": np.ones(3)}},
            "strength of kind->signs: found shape (3,), expected a number or (4, 2)",
        ),
        ({"strength": -1}, "strength of kind->shape: expected pseudo-counts of 0 or more"),
        (
            {"strength": {"kind->sign": 1}},
            "strength of 'kind->sign': no such relation, expected 'kind->shape', 'kind->signs'; "
            "did you mean 'kind->signs'?",
        ),
    ],
)
def test_bad_input_gives_one_line(change, message):
    annotations, _, _ = simulate()
    arguments = {"annotations": annotations[:5], "predictions": GOOD, "pairs": PAIRS, **change}
    with pytest.raises(LabelweaveError) as caught:
        estimate_relations(**arguments)
    assert str(caught.value) == message

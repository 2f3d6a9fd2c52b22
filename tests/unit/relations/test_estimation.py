import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from labelweave.annotations import Annotations
from labelweave.relations import Relation, count_relation, estimate_relations
from labelweave.relations import _em as em
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c", "d"))
SHAPE = Multiclass("shape", ("round", "long", "flat"))
SIGNS = Multilabel("signs", ("red", "hairy"))
TASKS = (KIND, SHAPE, SIGNS)
PAIRS = [("kind", "shape"), ("kind", "signs")]
SHAPES = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
MARKS = np.array([[1.0, 0], [0, 1], [1, 1], [0, 0]])


def head(truth, width, skill, rng):
    # logits are Gaussian around the truth, so that the softmax is a calibrated posterior
    logits = skill**2 * np.eye(width)[truth] + skill * rng.normal(size=(len(truth), width))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def simulate(seed=0, per_class=3, rows=400, skill=1.5, prior=(0.25,) * 4, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    first = np.repeat(np.arange(4), per_class)
    kind = np.concatenate([first, rng.choice(4, size=rows, p=prior)])
    shape = np.array([rng.choice(3, p=shapes[k]) for k in kind])
    signs = (rng.random((len(kind), 2)) < MARKS[kind]).astype(np.int8)
    free = np.arange(len(kind)) >= len(first)
    predictions = {
        "kind": head(kind, 4, skill, rng),
        "shape": head(shape, 3, 2.5, rng),
        "signs": np.stack([head(signs[:, j], 2, 2.5, rng)[:, 1] for j in (0, 1)], axis=1),
    }
    labels = {
        "kind": np.where(free, -1, kind),
        "shape": np.where(free, shape, -1),
        "signs": np.where(free[:, None], signs, -1).astype(np.int8),
    }
    return Annotations(TASKS, labels), predictions, kind


def tables(estimates):
    return np.concatenate([estimate.relation.table for estimate in estimates], axis=1)


TRUE = np.concatenate([SHAPES, MARKS], axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_deterministic_tables_are_found_without_overlap(seed):
    annotations, predictions, _ = simulate(seed)
    found = estimate_relations(annotations, predictions, PAIRS)
    assert np.abs(tables(found) - TRUE).max() < 0.05
    for estimate in found:
        assert estimate.relation.mask.all()
        assert (estimate.low <= estimate.relation.table + 1e-9).all()
        assert (estimate.shares == [0, 0, 1]).all()
        assert str(estimate.relation.origin) == "estimated from predictions 100%"


def test_order_of_rows_and_chunks_change_nothing():
    annotations, predictions, _ = simulate()
    order = np.random.default_rng(1).permutation(len(annotations))
    shuffled = {name: p[order] for name, p in predictions.items()}
    one = tables(estimate_relations(annotations, predictions, PAIRS))
    other = tables(estimate_relations(annotations[order], shuffled, PAIRS, chunk=17))
    assert other == pytest.approx(one, abs=1e-4)


def test_classes_renamed_are_rows_moved():
    annotations, predictions, _ = simulate(2)
    order = np.array([2, 0, 3, 1])
    labels = dict(annotations.labels)
    labels["kind"] = np.where(labels["kind"] >= 0, np.argsort(order)[labels["kind"]], -1)
    moved = {**predictions, "kind": predictions["kind"][:, order]}
    one = tables(estimate_relations(annotations, predictions, PAIRS))
    other = tables(estimate_relations(Annotations(TASKS, labels), moved, PAIRS))
    assert other == pytest.approx(one[order], abs=1e-4)


def test_predictions_for_known_labels_are_not_looked_at():
    annotations, predictions, _ = simulate(3)
    one = estimate_relations(annotations, predictions, PAIRS)
    nonsense = {name: p.copy() for name, p in predictions.items()}
    for task in TASKS:
        nonsense[task.name][annotations.labelled(task.name)] = 0.123
    assert tables(estimate_relations(annotations, nonsense, PAIRS)) == pytest.approx(tables(one))


def test_rows_without_any_label_say_nothing():
    annotations, predictions, _ = simulate(4)
    blank = Annotations(TASKS, {}, 50)
    more = {n: np.concatenate([p, np.full((50, p.shape[1]), 0.2)]) for n, p in predictions.items()}
    one = tables(estimate_relations(annotations, predictions, PAIRS))
    other = tables(estimate_relations(Annotations.concatenate([annotations, blank]), more, PAIRS))
    assert other == pytest.approx(one)


@given(st.integers(0, 10_000), st.integers(30, 200))
@settings(max_examples=20, deadline=None)
def test_co_labelled_rows_are_counted(seed, n):
    rng = np.random.default_rng(seed)
    kind, shape = rng.integers(-1, 4, n), rng.integers(-1, 3, n)
    signs = rng.integers(-1, 2, (n, 2)).astype(np.int8)
    annotations = Annotations(TASKS, {"kind": kind, "shape": shape, "signs": signs})
    first, second = estimate_relations(annotations, {}, PAIRS, use=("annotations",))
    both = (kind >= 0) & (shape >= 0)
    counts = confusion_matrix(kind[both], shape[both], labels=range(4))[:, :3]
    assert first.support == pytest.approx(np.tile(counts.sum(axis=1, keepdims=True), 3))
    seen = np.stack([((kind == k)[:, None] & (signs >= 0)).sum(axis=0) for k in range(4)])
    assert second.support == pytest.approx(seen)
    assert (second.relation.mask == (seen > 0)).all()
    # the prior draws a row towards the base rate, never beyond it
    rates = np.bincount(shape[shape >= 0], minlength=3) + 0.5
    rates = rates / rates.sum()
    for k in np.flatnonzero(counts.sum(axis=1)):
        share = counts[k] / counts[k].sum()
        low, high = np.minimum(share, rates), np.maximum(share, rates)
        assert (
            (low - 1e-9 <= first.relation.table[k]) & (first.relation.table[k] <= high + 1e-9)
        ).all()


def test_many_co_labelled_rows_give_the_counted_table():
    rng = np.random.default_rng(0)
    kind = rng.integers(4, size=5000)
    shapes = rng.dirichlet(np.ones(3), size=4)
    shape = np.array([rng.choice(3, p=shapes[k]) for k in kind])
    annotations = Annotations((KIND, SHAPE), {"kind": kind, "shape": shape})
    (found,) = estimate_relations(annotations, {}, PAIRS[:1], use=("annotations",))
    counted = count_relation(annotations, "kind", "shape")
    assert found.relation.table == pytest.approx(counted.table, abs=0.003)
    assert (found.low < found.relation.table).all()
    assert (found.relation.table < found.high).all()
    assert (found.high - found.low).max() < 0.06


def test_intervals_hold_the_truth_as_often_as_they_say():
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kind = rng.integers(4, size=120)
        shapes = rng.dirichlet([1, 1, 1], size=4)
        shape = np.array([rng.choice(3, p=shapes[k]) for k in kind])
        annotations = Annotations((KIND, SHAPE), {"kind": kind, "shape": shape})
        (found,) = estimate_relations(annotations, {}, PAIRS[:1], use=("annotations",))
        inside.append((found.low <= shapes) & (shapes <= found.high))
    assert 0.9 < np.mean(inside) < 0.99


def test_unrelated_tasks_come_out_at_the_base_rate():
    rates = np.array([0.6, 0.3, 0.1])
    annotations, predictions, _ = simulate(5, per_class=20, shapes=np.tile(rates, (4, 1)))
    annotations = annotations.keep(["kind", "shape"])
    found = estimate_relations(annotations, predictions, PAIRS[:1])[0]
    assert np.abs(found.relation.table - rates).max() < 0.12


def test_each_data_source_has_its_own_class_prior():
    even, p_even, _ = simulate(6)
    tilted, p_tilted, _ = simulate(7, per_class=0, prior=(0.85, 0.05, 0.05, 0.05))
    annotations = Annotations.concatenate([even, tilted])
    predictions = {name: np.concatenate([p_even[name], p_tilted[name]]) for name in p_even}
    sources = np.repeat([0, 1], [len(even), len(tilted)])
    (found, _) = estimate_relations(annotations, predictions, PAIRS, sources=sources)
    assert found.class_prior[0] == pytest.approx(np.full(4, 0.25), abs=0.08)
    assert found.class_prior[1] == pytest.approx([0.85, 0.05, 0.05, 0.05], abs=0.06)
    assert np.abs(found.relation.table - SHAPES).max() < 0.05


def test_label_shift_is_no_relatedness():
    # a source of mostly one class does not draw the other rows to that class's labels
    annotations, predictions, _ = simulate(8, per_class=5, prior=(0.85, 0.05, 0.05, 0.05))
    found = estimate_relations(annotations, predictions, PAIRS)
    assert np.abs(tables(found) - TRUE).mean() < 0.05


def test_over_confident_heads_are_cooled():
    annotations, predictions, kind = simulate(9, skill=1.0)
    hot = {**predictions, "kind": predictions["kind"] ** 4}
    hot["kind"] /= hot["kind"].sum(axis=1, keepdims=True)
    calm = tables(estimate_relations(annotations, predictions, PAIRS))
    cooled = tables(estimate_relations(annotations, hot, PAIRS))
    confusion = confusion_matrix(kind, predictions["kind"].argmax(axis=1))
    corrected = tables(estimate_relations(annotations, hot, PAIRS, confusion={"kind": confusion}))
    assert np.abs(cooled - calm).max() < 0.05
    assert np.abs(corrected - calm).max() < 0.05


def test_large_data_start_from_a_seeded_sample(monkeypatch):
    noisy = 0.7 * SHAPES + 0.1
    annotations, predictions, _ = simulate(10, per_class=50, rows=3000, shapes=noisy)
    whole = tables(estimate_relations(annotations, predictions, PAIRS))
    monkeypatch.setattr(em, "SAMPLE", 300)
    one, same, other = (
        tables(estimate_relations(annotations, predictions, PAIRS, seed=seed)) for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()
    assert np.abs(one - whole).max() < 0.03


def test_a_class_without_evidence_is_unknown():
    annotations, _, _ = simulate(11)
    labels = dict(annotations.labels)
    labels["kind"] = np.where(labels["kind"] == 3, -1, labels["kind"])
    (found,) = estimate_relations(
        Annotations(TASKS, labels), {}, PAIRS[:1], use=("annotations", "knowledge")
    )
    assert not found.relation.mask.any()
    assert str(found.relation.origin) == "estimated from no evidence"
    expert = Relation(KIND, SHAPE, SHAPES)
    (estimate,) = estimate_relations(
        Annotations(TASKS, labels), {}, PAIRS[:1], use=("knowledge",), knowledge=[expert]
    )
    assert estimate.relation.mask.all()
    assert (estimate.shares == [1, 0, 0]).all()
    assert estimate.relation.table.argmax(axis=1).tolist() == SHAPES.argmax(axis=1).tolist()


def test_the_concentration_of_many_classes_is_found_on_some_of_them() -> None:
    columns = em.BlockColumns([Multiclass("target", ("a", "b", "c"))])
    base = np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(4.0 * base, 3000)
    counts = np.array([rng.multinomial(50, row) for row in rows], np.float64)
    found = em.estimate_concentration(columns, counts, base, np.ones(1), steps=200)
    assert found[0] == pytest.approx(4.0, rel=0.15)
    some = counts[np.linspace(0, 2999, 1000).astype(int)]
    np.testing.assert_array_equal(
        found, em.estimate_concentration(columns, some, base, np.ones(1), steps=200)
    )


def test_a_missing_label_is_a_row_of_zeros() -> None:
    task = Multiclass("target", ("a", "b", "c"))
    known = Annotations((task,), {"target": np.array([2, -1, 0])})
    hot = em.BlockColumns([task]).one_hot(known, np.arange(3))
    np.testing.assert_array_equal(hot, [[0, 0, 1], [0, 0, 0], [1, 0, 0]])

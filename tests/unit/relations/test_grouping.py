import numpy as np
import pytest
from test_evidence import world

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, evaluate_relation, propose, rank_pairs
from labelweave.tasks import Multiclass, Multilabel

QUICK = {"replicates": 100, "permutations": 40}
CLASSES = tuple(f"c{i}" for i in range(7))
LABELS = tuple(f"l{i}" for i in range(6))


def evidence_of(source, target, informed=True, seed=0):
    relation, p, labels = world(seed)
    if not informed:
        p = np.random.default_rng(seed).permutation(p)
    named = Relation(
        Multiclass(source, CLASSES), Multilabel(target, relation.target.names), relation.table
    )
    return evaluate_relation(named, p, labels, **QUICK)


def scattered(**rows):
    """Annotations in which every task has its own rows: `kind` is multiclass, the others not."""
    generator = np.random.default_rng(0)
    n = sum(rows.values())
    tasks, labels, start = [], {}, 0
    for name, count in rows.items():
        if name.startswith("kind"):
            tasks.append(Multiclass(name, CLASSES))
            codes = np.full(n, -1)
            codes[start : start + count] = generator.integers(7, size=count)
        else:
            tasks.append(Multilabel(name, LABELS))
            codes = np.full((n, 6), -1)
            codes[start : start + count] = generator.integers(2, size=(count, 6))
        labels[name] = codes
        start += count
    return Annotations(tuple(tasks), labels)


def test_the_scarce_task_gains_from_the_wealthy_one():
    annotations = scattered(kind=50, signs=5000)
    first, second = rank_pairs(annotations, [evidence_of("kind", "signs")])
    assert (first.receiver, first.giver) == ("kind", "signs")
    assert (second.receiver, second.giver) == ("signs", "kind")
    assert first.gain > 10 * second.gain
    assert (first.labelled, first.given) == (50, 5000)
    assert "gains from 5000 rows of 'signs'" in str(first.reason)


def test_more_labels_of_the_giver_promise_more():
    gains = [
        rank_pairs(scattered(kind=50, signs=rows), [evidence_of("kind", "signs")])[0].gain
        for rows in (100, 1000, 10_000)
    ]
    assert 0 < gains[0] < gains[1] < gains[2] < 1


def test_more_labels_of_the_receiver_promise_less():
    gains = [
        {p.receiver: p.gain for p in rank_pairs(scattered(kind=rows, signs=1000), found)}["kind"]
        for found in [[evidence_of("kind", "signs")]]
        for rows in (20, 200, 2000)
    ]
    assert gains[0] > gains[1] > gains[2] > 0


def test_start_with_the_best_and_do_not_join_the_unrelated():
    annotations = scattered(kind=50, signs=3000, marks=2000, noise=4000)
    ranking = rank_pairs(
        annotations,
        [
            evidence_of("kind", "noise", informed=False),
            evidence_of("kind", "signs"),
            evidence_of("kind", "marks"),
        ],
    )
    assert len(ranking) == 6
    found = propose(ranking)
    assert found.tasks == ("kind", "signs", "marks")
    assert "'marks' adds" in str(found.reason)
    assert list(found.apart) == [("kind", "noise")]
    assert str(found.apart["kind", "noise"]).startswith("kind->noise: not related (lift ")


def test_a_third_task_that_adds_little_stays_out():
    annotations = scattered(kind=50, signs=3000, marks=2)
    ranking = rank_pairs(annotations, [evidence_of("kind", "signs")])
    assert propose(ranking).tasks == ("kind", "signs")


def test_without_evidence_tasks_are_trained_apart():
    annotations = scattered(kind=50, signs=500)
    ranking = rank_pairs(annotations, [evidence_of("kind", "signs", informed=False)])
    assert [pair.gain for pair in ranking] == [0, 0]
    found = propose(ranking)
    assert found.tasks == ()
    assert str(found.reason) == "no pair of tasks shows evidence of a gain: train each task alone"
    assert propose([]).apart == {}


def test_a_giver_whose_rows_all_carry_the_receiver_adds_nothing():
    annotations = scattered(kind=50, signs=500)
    labels = dict(annotations.labels)
    labels["kind"] = np.random.default_rng(1).integers(7, size=550)
    whole = Annotations(annotations.tasks, labels)
    pairs = {p.receiver: p for p in rank_pairs(whole, [evidence_of("kind", "signs")])}
    assert pairs["kind"].gain == 0
    assert str(pairs["kind"].reason) == "every row with labels of 'signs' also has labels of 'kind'"
    assert pairs["signs"].gain > 0


def test_of_several_the_better_evidence_counts():
    annotations = scattered(kind=50, signs=500)
    bad, good = evidence_of("kind", "signs", informed=False), evidence_of("kind", "signs")
    assert rank_pairs(annotations, [bad, good]) == rank_pairs(annotations, [good])


def test_an_unknown_task_is_reported():
    with pytest.raises(LabelweaveError) as caught:
        rank_pairs(scattered(kind=50, signs=500), [evidence_of("kind", "sign")])
    assert str(caught.value) == "no task 'sign', expected 'kind', 'signs'; did you mean 'signs'?"

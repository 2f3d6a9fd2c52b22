"""The guard: what hurts goes, what is equal is averaged, few rows do not decide."""

from dataclasses import replace

import numpy as np

from labelweave.annotations import Annotations
from labelweave.coupling._guard import guard, judging_rows, related_evidence, trust_in
from labelweave.coupling._posterior import make_link
from labelweave.coupling._strengths import Strength
from labelweave.coupling._tables import TableVersion
from labelweave.learners._stacking import own_labels
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c"))
SHAPE = Multiclass("shape", ("x", "y"))
SIGNS = Multilabel("signs", ("m", "n"))
TABLE = np.array([[1.0, 0], [0, 1], [0.5, 0.5]])


def sure(y: np.ndarray, p: float) -> np.ndarray:
    found = np.full((len(y), 3), (1 - p) / 2)
    found[np.arange(len(y)), y] = p
    return found


def weights(y: np.ndarray, candidates: dict[str, np.ndarray], trust: float) -> dict[str, float]:
    judged = own_labels(KIND, y, np.arange(len(y)), np.ones(len(y)))
    return {c.name: c.weight for c in guard(KIND, candidates, judged, trust)}


def test_a_candidate_that_hurts_gets_no_weight() -> None:
    y = np.arange(60) % 3
    found = weights(y, {"alone": sure(y, 0.8), "coupled": sure((y + 1) % 3, 0.6)}, 1.0)
    assert found == {"alone": 1.0, "coupled": 0.0}


def test_a_candidate_that_clearly_helps_gets_all() -> None:
    y = np.arange(60) % 3
    right = sure(y, 0.9)
    right[::10] = sure((y[::10] + 1) % 3, 0.6)
    for trust in (0.0, 1.0):
        found = weights(y, {"alone": np.full((60, 3), 1 / 3), "coupled": right}, trust)
        assert found["coupled"] > 0.99


def test_equal_candidates_keep_their_prior() -> None:
    y = np.arange(30) % 3
    p = sure(y, 1 / 3)
    found = weights(y, {"alone": p, "coupled": p}, 0.0)
    np.testing.assert_allclose(found["alone"], 0.5)
    found = weights(y, {"alone": p, "coupled": p}, 1.0)
    np.testing.assert_allclose(found["alone"], 0.1)


def test_a_noisy_gain_of_an_estimated_table_does_not_win() -> None:
    # three rows much better, three much worse: a gain of one nat within an error of five
    y = np.zeros(6, np.int64)
    alone = np.full((6, 3), 1 / 3)
    mixed = np.array([[0.9, 0.05, 0.05]] * 4 + [[0.09, 0.455, 0.455]] * 2)
    estimated = weights(y, {"alone": alone, "coupled": mixed}, 0.0)
    given = weights(y, {"alone": alone, "coupled": mixed}, 1.0)
    assert estimated["alone"] > 0.5
    assert given["coupled"] > 0.9


def test_without_judges_the_prior_decides() -> None:
    p = np.full((4, 3), 1 / 3)
    judged = own_labels(KIND, np.zeros(4, np.int64), np.zeros(0, np.int64), np.ones(4))
    found = {c.name: c.weight for c in guard(KIND, {"alone": p, "coupled": p}, judged, 1.0)}
    np.testing.assert_allclose(found["coupled"], 0.9)


def strength(as_given: float, power: float) -> Strength:
    rates = {"kind": np.full(3, 1 / 3), "shape": np.full(2, 0.5)}
    link = make_link(Relation(KIND, SHAPE, TABLE), rates).with_strengths(power, power)
    flat = np.full(5, 0.2)
    return Strength(
        link.name, power, power, flat, flat, as_given, (as_given, 1 - as_given),
        TableVersion(link, (link,)), link,
    )  # fmt: skip


def test_related_labels_say_what_the_table_says() -> None:
    labels = {"kind": np.array([-1, -1, -1]), "shape": np.array([0, 1, -1])}
    rows = Annotations((KIND, SHAPE), labels)
    found = related_evidence(rows, KIND, np.arange(3), [strength(1.0, 1.0)])
    assert found is not None
    smooth = 0.98 * TABLE + 0.02 * 0.5
    np.testing.assert_allclose(found[0], smooth[:, 0] / smooth[0, 0])
    np.testing.assert_allclose(found[1], smooth[:, 1] / smooth[1, 1])
    np.testing.assert_allclose(found[2], 1)
    half = related_evidence(rows, KIND, np.arange(3), [strength(1.0, 0.5)])
    np.testing.assert_allclose(half, np.sqrt(found))


def test_only_an_experts_table_judges() -> None:
    labels = {"kind": np.array([0, -1, -1]), "shape": np.array([-1, 1, -1])}
    rows = Annotations((KIND, SHAPE), labels)
    folds, ones = np.array([0, 1, 2]), np.ones(3)
    taken = judging_rows(rows, "kind", folds, ones, np.array([1, 2]), [strength(0.9, 1.0)])
    # row 2 has no related label, and says nothing
    assert taken.rows.tolist() == [0, 1]
    refused = judging_rows(rows, "kind", folds, ones, np.array([1, 2]), [strength(0.1, 1.0)])
    assert refused.rows.tolist() == [0]


def test_related_labels_together_count_no_more_than_three_a_class() -> None:
    n = 500
    labels = {"kind": np.full(n, -1), "shape": np.arange(n) % 2}
    rows = Annotations((KIND, SHAPE), labels)
    judged = judging_rows(
        rows, "kind", np.zeros(n, np.int64), np.ones(n), np.arange(n), [strength(1.0, 1.0)]
    )
    np.testing.assert_allclose(judged.weight.sum(), 20)


def test_an_estimated_table_is_trusted_by_how_far_its_strength_was_raised() -> None:
    assert trust_in("kind", [strength(1.0, 0.8)]) == 0.8
    np.testing.assert_allclose(trust_in("kind", [strength(0.0, 0.25)]), 0.0)
    np.testing.assert_allclose(trust_in("kind", [strength(0.0, 1.0)]), 1.0)
    assert trust_in("signs", [strength(1.0, 0.8)]) == 0.0


def test_a_revision_of_an_experts_table_does_not_judge() -> None:
    labels = {"kind": np.array([-1, -1, -1]), "shape": np.array([0, 1, -1])}
    rows = Annotations((KIND, SHAPE), labels)
    given = strength(0.6, 1.0)
    turned = Relation(KIND, SHAPE, TABLE[::-1].copy())
    link = make_link(turned, {"kind": np.full(3, 1 / 3), "shape": np.full(2, 0.5)})
    revised = replace(given, version=TableVersion(link, (link,)))
    both = [related_evidence(rows, KIND, np.arange(3), [s]) for s in (given, revised)]
    np.testing.assert_array_equal(*both)
    assert related_evidence(rows, KIND, np.arange(3), [replace(given, expert=None)]) is None

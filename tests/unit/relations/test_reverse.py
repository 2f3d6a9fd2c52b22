from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.naive_bayes import BernoulliNB

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, reverse, source_posterior
from labelweave.tasks import Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c"))
GROUP = Multiclass("group", ("x", "y"))
SIGNS = Multilabel("signs", ("p", "q", "r", "s"))


@given(st.integers(0, 10_000))
def test_reversing_twice_returns_the_relation(seed):
    generator = np.random.default_rng(seed)
    relation = Relation(KIND, GROUP, generator.dirichlet([1, 1], 3), strength=0.7)
    prior = generator.dirichlet([1, 1, 1])
    back = reverse(relation, prior)
    assert (back.name, back.strength) == ("group->kind", 0.7)
    again = reverse(back, prior @ relation.table)
    np.testing.assert_allclose(again.table, relation.table, atol=1e-9)


def test_a_deterministic_map_gives_the_prior_within_the_group():
    relation = Relation(KIND, GROUP, [[1, 0], [1, 0], [0, 1]])
    back = reverse(relation, [0.6, 0.2, 0.2])
    np.testing.assert_allclose(back.table, [[0.75, 0.25, 0], [0, 0, 1]])


def test_an_impossible_target_class_stays_unknown():
    back = reverse(Relation(KIND, GROUP, [[1, 0]] * 3), [0.5, 0.3, 0.2])
    assert back.mask.tolist() == [[True] * 3, [False] * 3]
    np.testing.assert_allclose(back.table[0], [0.5, 0.3, 0.2])


def test_an_unknown_source_class_is_left_at_its_prior():
    known = np.array([[True] * 2, [True] * 2, [False] * 2])
    back = reverse(Relation(KIND, GROUP, [[0.9, 0.1], [0.2, 0.8], [0, 0]], known), [0.5, 0.2, 0.3])
    np.testing.assert_allclose(back.table[:, 2], 0.3)


def test_the_posterior_is_naive_bayes():
    generator = np.random.default_rng(0)
    table = generator.uniform(0.05, 0.95, (3, 4))
    oracle = BernoulliNB()
    oracle.classes_ = np.arange(3)
    oracle.feature_log_prob_ = np.log(table)
    prior = np.array([0.5, 0.3, 0.2])
    oracle.class_log_prior_ = np.log(prior)
    labels = np.array(list(product([0, 1], repeat=4)))
    found = source_posterior(Relation(KIND, SIGNS, table), prior, labels)
    np.testing.assert_allclose(found, oracle.predict_proba(labels), atol=1e-12)


def test_missing_labels_and_unknown_entries_say_nothing():
    table = np.random.default_rng(1).uniform(0.05, 0.95, (3, 4))
    prior = np.array([0.5, 0.3, 0.2])
    known = np.ones((3, 4), bool)
    known[:, 3] = False
    relation = Relation(KIND, SIGNS, table, known)
    labels = np.array([[1, 0, -1, 1], [1, 0, -1, 0], [-1, -1, -1, 1]])
    found = source_posterior(relation, prior, labels)
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(found[2], prior)
    alone = table[:, 0] * (1 - table[:, 1]) * prior
    np.testing.assert_allclose(found[0], alone / alone.sum())


def test_the_posterior_given_a_class_is_the_reversed_table():
    relation = Relation(KIND, GROUP, [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    prior = [0.5, 0.2, 0.3]
    found = source_posterior(relation, prior, np.array([0, 1, -1]))
    np.testing.assert_allclose(found, [*reverse(relation, prior).table, prior])


def test_contradictory_labels_give_the_prior():
    relation = Relation(KIND, SIGNS, [[1, 0, 0, 0]] * 3)
    found = source_posterior(relation, [0.5, 0.3, 0.2], [[0, 0, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_allclose(found, [[0.5, 0.3, 0.2]] * 2)
    assert np.isfinite(found).all()


def test_bad_input_gives_one_line():
    relation = Relation(KIND, GROUP, [[1, 0]] * 3)
    labels = Relation(KIND, SIGNS, np.zeros((3, 4)))
    cases = [
        (lambda: reverse(labels, [0.5, 0.3, 0.2]),
         "relation kind->signs: found a multilabel target, expected a multiclass one to read "
         "backwards; use source_posterior for the labels together"),
        (lambda: reverse(relation, [0.5, 0.5]),
         "relation kind->group: found a prior of shape (2,), expected (3,)"),
        (lambda: reverse(relation, [0.5, 0.5, 0.5]),
         "relation kind->group: found a prior from 0.5 to 0.5 that sums to 1.5, expected shares "
         "that sum to 1"),
    ]  # fmt: skip
    for call, message in cases:
        with pytest.raises(LabelweaveError) as caught:
            call()
        assert str(caught.value) == message

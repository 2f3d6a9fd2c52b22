import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError
from labelweave.relations import Relation, reverse
from labelweave.relations._graph import acyclic
from labelweave.relations._operations import multiply_in
from labelweave.tasks import Multiclass

PRIOR = np.array([0.5, 0.3, 0.2])


def tables(seed, count):
    return np.random.default_rng(seed).dirichlet(np.full(3, 0.5), size=(count, 3))


def task(name):
    return Multiclass(name, ("0", "1", "2"))


def linked(source, target, table=None):
    return Relation(task(source), task(target), np.eye(3) if table is None else table)


def weights_of(relations, values):
    return {relation.name: value for relation, value in zip(relations, values, strict=True)}


def test_of_both_directions_the_stronger_is_kept():
    both = [linked("a", "b"), linked("b", "a")]
    kept, left_out = acyclic(both, {"a->b": 0.2, "b->a": 0.5})
    assert kept == [both[1]]
    assert {name: str(why) for name, why in left_out.items()} == {
        "a->b": "'a' and 'b' are already joined by stronger evidence (a - b), which would count "
        "twice"
    }


def test_a_cycle_loses_its_weakest_relation():
    cycle = [linked("a", "b"), linked("b", "c"), linked("c", "a")]
    kept, left_out = acyclic(cycle, weights_of(cycle, [0.3, 0.1, 0.2]))
    assert kept == [cycle[0], cycle[2]]
    assert "(b - a - c)" in str(left_out["b->c"])


def test_a_star_and_separate_pairs_are_kept_whole():
    star = [linked("a", "b"), linked("a", "c"), linked("d", "a"), linked("e", "f")]
    kept, left_out = acyclic(star, weights_of(star, [1, 1, 1, 1]))
    assert kept == star
    assert left_out == {}


def test_a_relation_without_weight_is_left_out():
    kept, left_out = acyclic([linked("a", "b")], {"a->b": 0.0})
    assert kept == []
    assert str(left_out["a->b"]) == "its evidence has no weight"


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde"), st.floats(0.01, 1)).filter(
            lambda edge: edge[0] != edge[1]
        ),
        unique_by=lambda edge: edge[:2],
        max_size=12,
    )
)
def test_the_kept_relations_are_a_spanning_forest(edges):
    relations = [linked(source, target) for source, target, _ in edges]
    weights = weights_of(relations, [weight for _, _, weight in edges])
    kept, left_out = acyclic(relations, weights)
    assert {relation.name for relation in kept} | left_out.keys() == weights.keys()

    def components(chosen):
        parts = {name: {name} for name in "abcde"}
        for relation in chosen:
            joined = parts[relation.source.name] | parts[relation.target.name]
            parts |= dict.fromkeys(joined, joined)
        return {frozenset(part) for part in parts.values()}

    # as many relations as tasks less components: no cycle, and nothing cut off
    assert components(kept) == components(relations)
    assert len(kept) == 5 - len(components(kept))
    for relation in relations:
        if relation not in kept:
            weaker = [r for r in kept if weights[r.name] < weights[relation.name]]
            without = [r for r in kept if r not in weaker]
            assert components(without) == components([*without, relation])


def posterior_of_a(p, relations):
    return multiply_in(p, relations, smoothing=0)["a"]


def test_both_directions_count_twice_and_the_forest_once():
    # a -> b, and only b is observed through x: the exact posterior of a is known
    generator = np.random.default_rng(0)
    (table,) = tables(1, 1)
    forward = linked("a", "b", table)
    backward = reverse(forward, PRIOR)
    a = generator.choice(3, 20_000, p=PRIOR)
    b = (generator.random((len(a), 1)) > table[a].cumsum(axis=1)).sum(axis=1)
    seen = np.eye(3)[b]
    p = {"a": np.tile(PRIOR, (len(a), 1)), "b": seen}
    exact = backward.table[b]
    kept, _ = acyclic([forward, backward], {"a->b": 0.4, "b->a": 0.3})
    once = posterior_of_a(p, kept)
    np.testing.assert_allclose(once, exact, atol=1e-9)
    twice = posterior_of_a(p, [forward, backward])
    rows = np.arange(len(a))

    def loss(q):
        return -np.log(np.maximum(q[rows, a], 1e-12)).mean()

    assert twice.max(axis=1).mean() > once.max(axis=1).mean() + 0.05
    assert loss(twice) > loss(once) + 0.05


def test_a_missing_weight_is_reported():
    with pytest.raises(LabelweaveError) as caught:
        acyclic([linked("a", "b")], {"a->c": 1.0})
    assert str(caught.value) == (
        "relation a->b: found no weight for it, expected one next to 'a->c'; did you mean 'a->c'?"
    )
    twice = [linked("a", "b"), linked("a", "b")]
    with pytest.raises(LabelweaveError) as caught:
        acyclic(twice, {"a->b": 1.0})
    assert str(caught.value) == "relation a->b: given 2 times, expected once"

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.relations import Relation
from labelweave.relations._operations import multiply_in
from labelweave.tasks import Binary, Multiclass, Multilabel

EMOTION = Multiclass("emotion", ("joy", "fear", "calm"))
VALENCE = Multiclass("valence", ("bad", "good"))
UNITS = Multilabel("units", ("AU1", "AU4", "AU12"))
MASK = Binary("mask")
seeds = st.integers(0, 2**32 - 1)


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

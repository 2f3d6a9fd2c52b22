"""Class priors that differ between sources: pseudo-labels keep the prior of the own labels."""

import numpy as np

from labelweave.annotations import Annotations
from labelweave.coupling import CoupledStack, fit_coupled
from labelweave.coupling._self_training import fit_self_trained
from labelweave.learners import LEARNERS
from labelweave.relations import Relation
from labelweave.tasks import Multiclass

KIND = Multiclass("kind", ("a", "b", "c"))
SHAPE = Multiclass("shape", ("round", "long"))
TABLE = Relation(KIND, SHAPE, np.array([[1.0, 0], [0, 1], [0, 1]]))
SKEWED = np.array([0.9, 0.05, 0.05])


def drawn(n: int, shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = rng.choice(3, n, p=shares)
    return np.eye(3)[y] * 1.5 + rng.normal(size=(n, 3)), y


def fitted(*, adjusted: bool) -> tuple[CoupledStack, np.ndarray, np.ndarray]:
    """Kinds of 30 even rows; shapes of 400 rows, nine of ten of which are of the kind a."""
    rng = np.random.default_rng(0)
    (X_own, own), (X_other, other) = drawn(30, np.full(3, 1 / 3), rng), drawn(400, SKEWED, rng)
    labels = {
        "kind": np.concatenate([own, np.full(400, -1)]),
        "shape": np.concatenate([np.full(30, -1), (other > 0).astype(np.int64)]),
    }
    annotations = Annotations((KIND, SHAPE), labels)
    even = np.full(3, 1 / 3)
    priors = {
        "kind": np.concatenate([np.tile(even, (30, 1)), np.tile(SKEWED, (400, 1))]),
        "shape": np.concatenate([np.tile([1 / 3, 2 / 3], (30, 1)), np.tile([0.9, 0.1], (400, 1))]),
    }
    stack = fit_coupled(
        np.concatenate([X_own, X_other]), annotations, [TABLE], learners=["logistic_strong"],
        priors=priors if adjusted else None,
    )  # fmt: skip
    return stack, *drawn(3000, even, rng)


def test_self_training_keeps_the_prior_of_the_own_labels() -> None:
    losses, means = {}, {}
    for adjusted in (False, True):
        stack, X, y = fitted(adjusted=adjusted)
        p = stack.self_trained["kind"].predict((X - stack.centre) / stack.scale)
        losses[adjusted] = -np.log(p[np.arange(len(y)), y]).mean()
        means[adjusted] = p[:, 0].mean()
    # without it the learners believe in the other source's share of a
    assert means[False] > 1 / 3 + 0.05
    assert abs(means[True] - 1 / 3) < abs(means[False] - 1 / 3) / 2
    assert losses[True] < losses[False] - 0.01


def test_a_pseudo_label_counts_by_its_factor() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 2))
    own = np.arange(30), np.arange(30) % 3, np.ones(30)
    rows, r = np.arange(30, 60), np.full((30, 3), 1 / 3)
    none = np.ones((30, 3, 2))
    none[:, 0, 1] = 0.0
    learner, arguments = LEARNERS["logistic"], (KIND, X, own, (rows, r), 0)
    plain = fit_self_trained(learner, *arguments)
    same = fit_self_trained(learner, *arguments, np.ones((30, 3, 2)))
    without = fit_self_trained(learner, *arguments, none)
    np.testing.assert_array_equal(plain.predict(X), same.predict(X))
    assert without.predict(X)[:, 0].mean() < plain.predict(X)[:, 0].mean() - 0.1

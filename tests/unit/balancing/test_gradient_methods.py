"""What makes the gradient methods quick changes no result."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning_fabric import Fabric
from scipy.optimize import nnls
from torchjd.aggregation import AlignedMTLWeighting

from labelweave.balancing._gradient_methods import (
    added_by_bounds,
    added_directly,
    aligned_mtl,
    factor,
    lawson_hanson,
    nonnegative,
    pcgrad,
    shortest,
    upgrad,
)
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Binary, Multiclass
from labelweave.training._task_balancing import FeatureBalance

SEEDS = st.integers(0, 10_000)


def gramian(seed, k, n=12, shared=0.3):
    rng = np.random.default_rng(seed)
    gradients = rng.standard_normal((k, n)) + shared * rng.standard_normal(n)
    return gradients @ gradients.T / n


@given(seed=SEEDS, k=st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_pivoting_gives_what_lawson_and_hanson_give(seed, k):
    Q = gramian(seed, k)
    B = np.random.default_rng(seed + 1).standard_normal((5, k))
    np.testing.assert_allclose(nonnegative(Q, B), lawson_hanson(Q, B), atol=1e-7)


@given(seed=SEEDS, k=st.integers(2, 8), rank=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_dependent_gradients_have_a_solution_too(seed, k, rank):
    Q = gramian(seed, k, rank)
    z = nonnegative(Q, -Q)
    assert (z >= 0).all()
    assert ((z + np.eye(k)) @ Q > -1e-7).all()  # no conflict is left


@given(seed=SEEDS, k=st.integers(2, 8))
@settings(max_examples=50, deadline=None)
def test_upgrad_projects_every_gradient(seed, k):
    G = gramian(seed, k)
    root = factor(G)
    expected = np.ones(k) + sum(nnls(root, -root[:, i])[0] for i in range(k))
    np.testing.assert_allclose(upgrad(G, 0), expected, atol=1e-7)


@pytest.mark.parametrize("method", [upgrad, pcgrad])
def test_without_a_conflict_there_is_nothing_to_do(method):
    assert method(np.abs(gramian(0, 6)), 0).tolist() == [1.0] * 6


@given(seed=SEEDS, k=st.integers(2, 8))
@settings(max_examples=50, deadline=None)
def test_pcgrad_is_its_algorithm_on_vectors(seed, k):
    gradients = np.random.default_rng(seed).standard_normal((k, 12))
    rng = np.random.default_rng(7)
    kept = gradients.copy()
    for own in kept:
        for other in gradients[rng.permutation(k)]:
            own -= min(own @ other, 0) / (other @ other) * other
    found = pcgrad(gradients @ gradients.T, 7) @ gradients
    np.testing.assert_allclose(found, kept.sum(axis=0), atol=1e-9)


@given(seed=SEEDS, k=st.integers(2, 8), c=st.floats(0.1, 0.9))
@settings(max_examples=50, deadline=None)
def test_cagrad_directly_and_by_bounds(seed, k, c):
    G = gramian(seed, k, shared=0.6)
    along, reach = G.mean(axis=1), c * np.sqrt(G.mean())
    direct = added_directly(G, along, reach)
    if direct is not None:
        bounds = added_by_bounds(G, along, reach)
        missed = direct - bounds
        assert np.sqrt(missed @ G @ missed) < 0.01 * reach
        # it has the length, and the worst task gains at least as much
        assert np.sqrt(direct @ G @ direct) == pytest.approx(reach)
        bounds *= reach / np.sqrt(bounds @ G @ bounds)
        assert (G @ direct + along).min() >= (G @ bounds + along).min() - 1e-9


def test_cagrad_is_mostly_found_directly():
    found = 0
    for seed in range(100):
        G = gramian(seed, 8, n=100, shared=0.5)
        found += added_directly(G, G.mean(axis=1), 0.4 * np.sqrt(G.mean())) is not None
    assert found > 95


def test_the_shortest_of_two():
    np.testing.assert_allclose(shortest(np.diag([1.0, 3.0])), [0.75, 0.25])
    np.testing.assert_allclose(shortest(np.array([[1.0, 2], [2, 5]])), [1, 0])


@pytest.mark.parametrize("scale", ["min", "median", "rmse"])
@pytest.mark.parametrize("rank", [2, 12])
def test_aligned_mtl_is_torchjd_s(scale, rank):
    for seed in range(10):
        G = gramian(seed, 6, rank)
        theirs = AlignedMTLWeighting(torch.ones(6, dtype=torch.float64), scale_mode=scale)
        expected = theirs(torch.from_numpy(G)).numpy()
        np.testing.assert_allclose(aligned_mtl(G, 0, scale), expected, rtol=1e-6, atol=1e-8)


# at a network -------------------------------------------------------------------------------------

TASKS = (Multiclass("kind", ("a", "b", "c")), Binary("on"))


def gradients(balanced, dtype=torch.float32, frozen=False):
    torch.manual_seed(0)
    network = MultiTaskNetwork(backbone("mlp", 4, hidden=[5, 6], dropout=0.0), TASKS).to(dtype)
    network.heads.requires_grad_(not frozen)
    inputs = torch.randn(7, 4, dtype=dtype)
    balance = None
    if balanced:
        fabric = Fabric(accelerator="cpu")
        balance = FeatureBalance(fabric, lambda gramian, step: np.ones(len(gramian)), network)
        balance.weigh(0, torch.zeros(2), torch.ones(2))
    with torch.no_grad():
        network(inputs)  # as an evaluation between two steps
    sum((scores**2).sum() for scores in network(inputs).values()).backward()
    if balance is not None:
        balance.close()
        assert not network.heads._forward_hooks
        assert not network.heads._forward_pre_hooks
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("frozen", [False, True])
def test_with_weights_of_1_all_parameters_get_what_they_get_without(dtype, frozen):
    plain, found = gradients(False, dtype, frozen), gradients(True, dtype, frozen)
    assert found.keys() == plain.keys()
    rounding = 0.05 if dtype == torch.bfloat16 else 1e-5
    for name, gradient in plain.items():
        assert found[name].dtype == dtype
        torch.testing.assert_close(found[name], gradient, rtol=rounding, atol=rounding)

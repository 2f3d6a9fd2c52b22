import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labelweave.losses.cross_entropies import FLOOR, cross_entropies

seeds = st.integers(0, 2**32 - 1)


def problem(seed, rows=6, columns=4):
    """Random log p and q, some q below the floor, and weights of both directions."""
    random = torch.Generator().manual_seed(seed)
    log_p, q, mass = torch.rand(3, rows, columns, generator=random, dtype=torch.float64)
    q = torch.where(q < 0.3, q * FLOOR, q)
    forth, back = torch.rand(2, columns, generator=random, dtype=torch.float64)
    return [log_p.log().requires_grad_(), q.requires_grad_()], mass, forth, back


def plain(log_p, q, mass, forth, back):
    log_q = q.clamp(min=FLOOR).log()
    one = forth * q.detach() * (log_q.detach() - log_p)
    other = back * log_p.exp().detach() * (log_p.detach() - log_q)
    return (mass * (one + other)).sum(dim=0)


@pytest.mark.parametrize("weighed", [True, False])
@given(seed=seeds)
def test_cross_entropies_are_the_plain_composition(weighed, seed):
    leaves, mass, forth, back = problem(seed)
    mass = mass if weighed else None
    found = cross_entropies(*leaves, mass, forth, back)
    expected = plain(*leaves, 1.0 if mass is None else mass, forth, back)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.arange(1.0, 5.0, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad(found @ weights, leaves),
        torch.autograd.grad(expected @ weights, leaves),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)


def test_below_the_floor_q_gets_no_gradient():
    (log_p, q), mass, _, _ = problem(0)
    cross_entropies(log_p, q, mass, 0.5, 0.5).sum().backward()
    assert (q < FLOOR).any()
    assert ((q.grad == 0) == (q < FLOOR)).all()


def test_the_gradients_of_several_losses_come_in_one_pass():
    # as methods that weigh the tasks' gradients ask for them
    leaves, mass, _, _ = problem(1)
    value = cross_entropies(*leaves, mass, 0.5, 0.5)
    rows = torch.eye(len(value), dtype=torch.float64)
    options = {"retain_graph": True}
    together = torch.autograd.grad(value, leaves, rows, is_grads_batched=True, **options)
    for i, row in enumerate(rows):
        alone = torch.autograd.grad(value, leaves, row, **options)
        assert all(torch.allclose(a[i], b) for a, b in zip(together, alone, strict=True))

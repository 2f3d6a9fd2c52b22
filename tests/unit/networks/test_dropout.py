"""Dropout: the share, the mean, the gradient and the seed."""

import pytest
import torch

from labelweave.networks._layers import Dropout


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_share_and_mean(p: float) -> None:
    torch.manual_seed(0)
    kept = Dropout(p)(torch.ones(401, 1003))
    assert float((kept == 0).double().mean()) == pytest.approx(p, abs=0.004)
    assert float(kept.double().mean()) == pytest.approx(1, abs=0.015)
    found = kept[kept > 0].unique()
    assert found.tolist() == [pytest.approx(1 / (1 - p))]


def test_elements_are_independent() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.3)(torch.ones(20_000, 8)) == 0).double()
    found = torch.corrcoef(dropped.t())
    assert float((found - torch.eye(8)).abs().max()) < 0.03


def test_gradient_is_the_mask() -> None:
    values = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    out = Dropout(0.4)(values)
    out.sum().backward()
    assert torch.equal(out.detach(), values.detach() * values.grad)


def test_seed_decides_and_evaluation_changes_nothing() -> None:
    values, layer = torch.randn(6, 5), Dropout(0.5)
    torch.manual_seed(3)
    first = layer(values)
    torch.manual_seed(3)
    assert torch.equal(first, layer(values))
    assert layer.eval()(values) is values

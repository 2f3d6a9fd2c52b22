import pytest
import torch

from labelweave.training._optimiser import clip

SHAPES = ((16, 5), (16,), (3, 16), (3,))


@pytest.mark.parametrize("most", [1e9, 1.0, 0.01])
@pytest.mark.parametrize("scale", [1e-20, 0.1, 1e20, float("nan"), float("inf")])
def test_clipping_is_bitwise_that_of_torch(most, scale):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in (*SHAPES, (2,))]
    given = [scale * torch.randn(weight.shape, generator=generator) for weight in weights[:-1]]
    found = []
    for function in (torch.nn.utils.clip_grad_norm_, clip):
        for weight, gradient in zip(weights, given, strict=False):
            weight.grad = gradient.clone()
        norm = function(weights, most)
        found.append([norm, *(weight.grad for weight in weights[:-1])])
    for theirs, ours in zip(*found, strict=True):
        assert torch.equal(theirs.nan_to_num(7.0), ours.nan_to_num(7.0))


def test_without_gradients_there_is_nothing_to_clip():
    assert clip([torch.nn.Parameter(torch.zeros(2))], 1.0) == 0

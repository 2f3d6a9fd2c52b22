import numpy as np
import pytest
import torch
from torch import nn

from labelweave.annotations import Annotations
from labelweave.balancing import Proportional
from labelweave.data._batches import Batches
from labelweave.errors import LabelweaveError
from labelweave.losses import Objective
from labelweave.networks import BACKBONES, Backbone, MultiTaskNetwork, backbone, probabilities
from labelweave.tasks import Binary, Multiclass, Multilabel

TASKS = (Multiclass("species", ("a", "b", "c")), Multilabel("signs", ("x", "y")), Binary("b"))


NEEDED = {"cnn": {"shape": [1, 1, 5]}}


def network(name="mlp", **options):
    torch.manual_seed(0)
    return MultiTaskNetwork(backbone(name, 5, **NEEDED.get(name, {}) | options), TASKS)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_its_number_of_features(name):
    body = backbone(name, 5, **NEEDED.get(name, {}))
    assert body(torch.randn(7, 5)).shape == (7, body.features)
    scores = network(name)(torch.randn(7, 5))
    assert {n: tuple(s.shape) for n, s in scores.items()} == {
        task.name: (7, task.width) for task in TASKS
    }


def test_linear_has_no_shared_weights_and_mlp_has_the_sizes_asked_for():
    assert sum(1 for _ in backbone("linear", 5).parameters()) == 0
    sizes = [tuple(p.shape) for p in backbone("mlp", 5, hidden=[7, 3]).parameters()]
    assert sizes == [(7, 5), (7,), (3, 7), (3,)]


def test_a_module_of_ones_own():
    body = nn.Sequential(nn.Conv1d(1, 4, 3), nn.Flatten())
    scores = MultiTaskNetwork(body, TASKS, features=12)(torch.randn(2, 1, 5))
    assert scores["signs"].shape == (2, 2)
    assert MultiTaskNetwork(Backbone(body, 12), TASKS)(torch.randn(2, 1, 5)).keys() == scores.keys()


def test_every_head_is_its_own_linear_layer():
    net = network("linear")
    inputs = torch.randn(3, 5)
    scores = inputs @ net.heads.weight.T + net.heads.bias
    start = 0
    for task in TASKS:
        part = scores[:, start : start + task.width]
        assert torch.allclose(net(inputs)[task.name], part, atol=1e-6)
        start += task.width


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda: backbone("mpl", 5),
            "no such backbone 'mpl', expected 'linear', 'mlp', 'cnn', 'hf:...', 'timm:...', "
            "'module:...'; did you mean 'mlp'?",
        ),
        (
            lambda: backbone("mlp", 5, hiden=[3]),
            "backbone 'mlp': no such option 'hiden', expected 'hidden', 'dropout'; "
            "did you mean 'hidden'?",
        ),
        (
            lambda: backbone("linear", 5, hidden=[3]),
            "backbone 'linear': no such option 'hidden', expected none",
        ),
        (
            lambda: backbone("mlp", 5, hidden=[]),
            "mlp: hidden sizes [], expected at least one above 0",
        ),
        (
            lambda: backbone("mlp", 5, hidden=[4, 0]),
            "backbone 'mlp': option 'hidden' should be greater than or equal to 1, found 0",
        ),
        (
            lambda: backbone("mlp", 5, dropout=1),
            "backbone 'mlp': option 'dropout' should be less than 1, found 1",
        ),
        (
            lambda: backbone("mlp", 5, hidden=3),
            "backbone 'mlp': option 'hidden' should be a valid list, found 3",
        ),
        (
            lambda: MultiTaskNetwork(nn.Identity(), TASKS),
            "the backbone Identity does not say its number of features: give features=",
        ),
        (
            lambda: MultiTaskNetwork(backbone("linear", 5), []),
            "found no task, expected at least one",
        ),
    ],
)
def test_bad_input(act, error):
    with pytest.raises(LabelweaveError) as caught:
        act()
    assert str(caught.value) == error


def test_one_step_lowers_the_loss():
    rng = np.random.default_rng(0)
    labels = {
        "species": rng.integers(-1, 2, 64),
        "signs": rng.integers(-1, 2, (64, 2)),
        "b": rng.integers(-1, 2, (64, 1)),
    }
    inputs = rng.standard_normal((64, 5)).astype(np.float32)
    batch = Batches(inputs, Annotations(TASKS, labels), Proportional([np.arange(64)], 64, 0))[0]
    net, objective = network(dropout=0.0), Objective(TASKS)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = objective(net(batch.inputs), batch.labels)
    before.total.backward()
    optimizer.step()
    after = objective(net(batch.inputs), batch.labels)
    assert (after.raw < before.raw).all()


def test_probabilities_in_chunks_are_those_of_the_whole():
    net = network().train()
    inputs = torch.randn(10, 5)
    whole = net.probabilities(inputs)
    assert net.training
    for chunk in (1, 3, 10, 99):
        parts = net.probabilities(inputs, chunk)
        assert all(torch.allclose(parts[name], whole[name], atol=1e-6) for name in whole)
    expected = probabilities(net.eval()(inputs), TASKS)
    assert all(torch.equal(whole[name], expected[name]) for name in whole)
    assert torch.allclose(whole["species"].sum(dim=1), torch.ones(10))
    assert not whole["b"].requires_grad
    net.probabilities(inputs)
    assert not net.training


def test_probabilities_of_no_rows():
    found = network().probabilities(torch.empty(0, 5))
    assert {name: tuple(p.shape) for name, p in found.items()} == {
        task.name: (0, task.width) for task in TASKS
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_probabilities_of_a_network_of_another_precision(dtype):
    net = network()
    inputs = torch.randn(10, 5)
    expected = net.probabilities(inputs)
    found = net.to(dtype).probabilities(inputs)
    assert all(torch.allclose(found[name], expected[name], atol=0.02) for name in expected)
    assert found["b"].dtype == torch.float32


def test_indices_stay_integers():
    net = MultiTaskNetwork(nn.EmbeddingBag(20, 4), TASKS, features=4).to(torch.float64)
    assert net.probabilities(torch.randint(0, 20, (3, 6)))["b"].shape == (3, 1)

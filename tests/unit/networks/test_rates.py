import math

import pytest
import torch
from torch import nn
from training_setup import Setup, accuracy, assert_same, raise_once

from labelweave.networks import Backbone, MultiTaskNetwork, backbone
from labelweave.networks._multi_task import layer_depths, parameter_groups
from labelweave.tasks import Multiclass
from labelweave.training._optimiser import one_cycle


def deep(layers: int = 3) -> nn.Module:
    body = nn.Module()
    body.embeddings = nn.Embedding(5, 4)
    body.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))
    body.norm = nn.LayerNorm(4)
    return body


def test_layers_are_found_by_the_names_of_the_weights():
    assert layer_depths(deep()) == {
        "embeddings.weight": 0,
        "layers.0.weight": 1, "layers.0.bias": 1,
        "layers.1.weight": 2, "layers.1.bias": 2,
        "layers.2.weight": 3, "layers.2.bias": 3,
        "norm.weight": 4, "norm.bias": 4,
    }  # fmt: skip
    mlp = layer_depths(backbone("mlp", 3, hidden=[4, 4]))
    assert mlp == {"body.0.weight": 0, "body.0.bias": 0, "body.3.weight": 1, "body.3.bias": 1}
    assert layer_depths(nn.Linear(2, 2)) == {"weight": 0, "bias": 0}


def test_every_weight_is_in_one_group_with_the_factor_of_its_layer():
    network = MultiTaskNetwork(Backbone(deep(), 4), [Multiclass("kind", ["a", "b"])])
    groups = parameter_groups(network, backbone_rate=0.1, layer_decay=0.5)
    factors = {id(p): group["factor"] for group in groups for p in group["params"]}
    assert len(factors) == len(list(network.parameters())) == sum(len(g["params"]) for g in groups)
    body = network.backbone.body
    assert factors[id(network.heads.weight)] == 1
    assert math.isclose(factors[id(body.norm.weight)], 0.1)
    assert math.isclose(factors[id(body.layers[2].weight)], 0.05)
    assert math.isclose(factors[id(body.embeddings.weight)], 0.1 * 0.5**4)
    assert groups[0]["params"] == list(network.heads.parameters())


def test_without_rates_all_that_is_not_frozen_is_one_group():
    network = MultiTaskNetwork(backbone("mlp", 3), [Multiclass("kind", ["a", "b"])])
    assert parameter_groups(network) == [{"params": list(network.parameters()), "factor": 1.0}]
    network.backbone.freeze()
    for groups in (parameter_groups(network), parameter_groups(network, 0.1, 0.5)):
        assert [p for g in groups for p in g["params"]] == list(network.heads.parameters())


def test_a_step_moves_weights_by_their_factor_times_the_rate():
    # the last step of a schedule has a small share of the peak
    setup = Setup(backbone_rate=0.1, layer_decay=0.5, weight_decay=0, clip=None, learning_rate=100)
    before = setup.weights()
    history = setup.fit(steps=1)
    after = setup.weights()
    rate = one_cycle(0, 1, setup.trainer.config.learning_rate)
    assert history.records[-1]["learning_rate"] == rate
    # the first step of Adam moves every weight by the rate itself
    for name, factor in {"heads.bias": 1, "backbone.body.0.bias": 0.1}.items():
        moved = (after[name] - before[name]).abs()
        torch.testing.assert_close(moved.max(), torch.tensor(rate * factor), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("rates", "frozen"), [({"backbone_rate": 0.1, "layer_decay": 0.5}, False), ({}, True)]
)
def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path, rates, frozen):
    def setup(folder=None):
        torch.manual_seed(0)
        body = backbone("mlp", 4, hidden=[8, 8], frozen=frozen)
        return Setup(folder, body, evaluations=10, **rates)

    def stop():
        raise KeyboardInterrupt

    unbroken = setup()
    history = unbroken.fit(60, accuracy)
    with pytest.raises(KeyboardInterrupt):
        setup(tmp_path).fit(60, raise_once(4, stop))
    again = setup(tmp_path)
    assert again.fit(60, accuracy).records == history.records
    assert_same(again.weights(), unbroken.weights())
    first = setup().weights()
    for name, value in again.weights().items():
        assert torch.equal(value, first[name]) == (frozen and name.startswith("backbone")), name

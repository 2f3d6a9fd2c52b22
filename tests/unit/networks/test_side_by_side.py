"""Networks trained side by side end as they do one after the other."""

import numpy as np
import pytest
import torch
from study_example import write_study
from torch import nn
from training_setup import assert_same

from labelweave.errors import TrainingError
from labelweave.experiments import Study
from labelweave.fitting import _networks as fits
from labelweave.fitting._fit import fit
from labelweave.fitting._networks import Fit
from labelweave.model import NetworkSpec
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.networks._multi_task import SideBySide
from labelweave.tasks import Binary, Multiclass, Multilabel
from labelweave.training._history import Window
from labelweave.training._optimiser import clip_each

TASKS = (Multiclass("a", ("x", "y", "z")), Binary("b"), Multilabel("c", ("p", "q")))


def networks(dropout=0.0, hidden=(8, 8)):
    torch.manual_seed(0)
    return [
        MultiTaskNetwork(backbone("mlp", 5, hidden=hidden, dropout=dropout), [task])
        for task in TASKS
    ]


def test_scores_and_gradients_are_those_of_each_network():
    one_by_one = networks()
    together = SideBySide.of(one_by_one)
    assert together is not None
    inputs = torch.randn(3, 7, 5)
    found = together(inputs)
    assert list(found) == ["a", "b", "c"]
    for i, (network, task) in enumerate(zip(one_by_one, TASKS, strict=True)):
        expected = network(inputs[i])[task.name]
        torch.testing.assert_close(found[task.name], expected)
        expected.square().sum().backward()
    sum(scores.square().sum() for scores in found.values()).backward()
    first = together.layers[0]
    for i, network in enumerate(one_by_one):
        own = first.weight.grad[i].t()
        torch.testing.assert_close(own, network.backbone.body[0].weight.grad)
        width = network.heads.out_features
        heads = together.heads.weight.grad[i].t()
        torch.testing.assert_close(heads[:width], network.heads.weight.grad)
        assert not heads[width:].any()


def test_separate_gives_the_weights_back():
    given = networks()
    together = SideBySide.of(given)
    with torch.no_grad():
        for weight in together.parameters():
            weight.mul_(2)
    inputs = torch.randn(3, 4, 5)
    expected = together(inputs)
    for i, network in enumerate(together.separate()):
        assert network is given[i]
        torch.testing.assert_close(network(inputs[i])[TASKS[i].name], expected[TASKS[i].name])


def test_all_get_one_dropout_mask():
    given = networks(dropout=0.5, hidden=(64,))
    together = SideBySide.of(given).train()
    inputs = torch.randn(3, 6, 5)
    torch.manual_seed(4)
    found = together(inputs)
    for i, (network, task) in enumerate(zip(given, TASKS, strict=True)):
        torch.manual_seed(4)
        torch.testing.assert_close(found[task.name], network.train()(inputs[i])[task.name])


class Odd(nn.Module):
    def forward(self, inputs):
        return inputs


@pytest.mark.parametrize(
    "other",
    [
        lambda: backbone("mlp", 5, hidden=[8, 9]),
        lambda: backbone("mlp", 5, hidden=[8, 8], dropout=0.5),
        lambda: backbone("mlp", 5, hidden=[8, 8], dropout=0.0, frozen=True),
        lambda: backbone("linear", 5),
        Odd,
    ],
)
def test_other_networks_are_not_for_it(other):
    body = other()
    features = None if hasattr(body, "features") else 5
    assert SideBySide.of([*networks(), MultiTaskNetwork(body, TASKS, features)]) is None


@pytest.mark.parametrize("scale", [1e-3, 0.5, 30.0, float("nan")])
def test_each_network_is_clipped_by_its_own_norm(scale):
    generator = torch.Generator().manual_seed(0)
    stacked = [nn.Parameter(torch.zeros(3, 4, 2)), nn.Parameter(torch.zeros(3, 1, 4))]
    for weight in stacked:
        weight.grad = torch.randn(weight.shape, generator=generator)
        weight.grad[1] *= scale
    single = [[nn.Parameter(torch.zeros_like(w[i])) for w in stacked] for i in range(3)]
    for i, weights in enumerate(single):
        for weight, whole in zip(weights, stacked, strict=True):
            weight.grad = whole.grad[i].clone()
    norms = clip_each(stacked, 1.0)
    for i, weights in enumerate(single):
        torch.testing.assert_close(norms[i], nn.utils.clip_grad_norm_(weights, 1.0), equal_nan=True)
        for weight, whole in zip(weights, stacked, strict=True):
            torch.testing.assert_close(whole.grad[i], weight.grad, equal_nan=True)


def study(folder, validation=0, loss="cross_entropy", **training):
    """Return a study whose single-task networks have batches of two sizes, 12 and 16."""
    path = write_study(
        folder,
        tasks=[
            {"name": "kind"},
            {"name": "round", "kind": "binary", "loss": loss},
            {"name": "hole", "kind": "binary", "loss": loss},
        ],
        split={"test": 60, "validation": validation},
        scatter=[
            {"name": "few", "tasks": ["kind"], "per_class": 4},
            {"name": "rest", "tasks": ["round", "hole"]},
        ],
        training={"steps": 60, "batch_size": 16, "learning_rate": 0.01, "clip": 0.2} | training,
    )
    return Study.from_file(path)


def trained(of, folder=None):
    split = of.first_split()
    model = fit(of.config.method("single_task"), split, of.config, folder=folder)
    weights = [n.state_dict() for n in model.networks]
    return weights, model.under_prior(model.probabilities(split.test.inputs))


def refuse(monkeypatch):
    monkeypatch.setattr(SideBySide, "of", lambda networks: None)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_the_networks_are_those_of_training_one_after_the_other(tmp_path, monkeypatch, loss):
    of = study(tmp_path, loss=loss)
    split = of.first_split()
    assert sorted({len(places) for places in fits._groups(_fits(of, split))}) == [1, 2]
    found, given = trained(of, tmp_path / "together")
    assert (tmp_path / "together" / "networks1" / "log.jsonl").exists()
    refuse(monkeypatch)
    alone, expected = trained(of, tmp_path / "alone")
    for own, other in zip(found, alone, strict=True):
        for name, weight in other.items():
            torch.testing.assert_close(own[name], weight, rtol=1e-3, atol=1e-4)
    for name, probabilities in expected.items():
        np.testing.assert_allclose(given[name], probabilities, atol=1e-3)


def test_large_networks_are_trained_one_after_the_other(tmp_path, monkeypatch):
    of = study(tmp_path)
    monkeypatch.setattr(fits, "SMALL_STEP", 100)
    trained(of, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "network0",
        "network1",
        "network2",
    }


def test_validation_rows_keep_them_apart(tmp_path):
    of = study(tmp_path, validation=20)
    assert [len(places) for places in fits._groups(_fits(of, of.first_split()))] == [1, 1, 1]


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    of = study(tmp_path, checkpoint_seconds=1e-9)
    expected, _ = trained(of)
    add, calls = Window.add, iter(range(1000))

    def broken(self, loss):
        if len(loss.names) == 2 and next(calls) == 41:
            raise RuntimeError("killed")
        add(self, loss)

    with monkeypatch.context() as patch:
        patch.setattr(Window, "add", broken)
        with pytest.raises(RuntimeError, match="killed"):
            trained(of, tmp_path / "run")
    found, _ = trained(of, tmp_path / "run")
    for own, other in zip(found, expected, strict=True):
        assert_same(own, other)


def test_a_loss_that_is_not_finite_names_rows_of_its_task(tmp_path):
    of = study(tmp_path, learning_rate=100, weight_decay=1e6, clip=None)
    with pytest.raises(TrainingError, match=r"loss term 'supervised/\w+' is (nan|inf)") as caught:
        trained(of)
    task, split = str(caught.value).split("/")[1].split("'")[0], of.first_split()
    rows = [int(row) for row in str(caught.value).split("rows ")[1].split(", ...")[0].split(", ")]
    assert split.train.annotations.labelled(task)[rows].all()


def _fits(of, split):
    labels, spec = split.train.annotations, NetworkSpec("mlp", of.config.network.options())
    return [Fit(split, labels, [task], (), (), {}, of.config, spec, None) for task in labels.tasks]

import math
import signal

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from training_setup import TASKS, Setup, accuracy, assert_same, raise_once

from labelweave.annotations import Annotations
from labelweave.balancing import Proportional
from labelweave.data._batches import Batches
from labelweave.losses import Loss, Objective
from labelweave.networks import Backbone, MultiTaskNetwork, backbone
from labelweave.tasks import Binary, Multiclass, Multilabel
from labelweave.training import Trainer, TrainingConfig
from labelweave.training._diagnostics import (
    head_gradients,
    mean_gradients,
    probes,
    shares_and_cosines,
    speeds,
)
from labelweave.training._history import Window

SPECIES = Multiclass("species", ("a", "b", "c"))
SICK = Binary("sick")
EDGE = Multilabel("edge", ("toothed", "wavy"))
THREE = (SPECIES, SICK, EDGE)


def batch(seed, rows=7):
    rng = np.random.default_rng(seed)
    labels = {
        "species": torch.from_numpy(rng.integers(-1, 3, rows)),
        "sick": torch.from_numpy(rng.integers(-1, 2, (rows, 1)).astype(np.int8)),
        "edge": torch.from_numpy(rng.integers(-1, 2, (rows, 2)).astype(np.int8)),
    }
    return torch.from_numpy(rng.normal(size=(rows, 5))).float(), labels


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_head_gradients_are_the_inner_products_of_each_losss_gradient(seed):
    inputs, labels = batch(seed)
    torch.manual_seed(seed % 1000)
    network = MultiTaskNetwork(Backbone(torch.nn.Linear(5, 4), 4), THREE)
    objective = Objective(THREE)
    features = network.backbone(inputs).detach().requires_grad_()
    logits = dict(zip(labels, torch.split(network.heads(features), [3, 1, 2], dim=1), strict=True))
    for scores in logits.values():
        scores.retain_grad()
    objective(logits, labels).total.backward(retain_graph=True)
    products = head_gradients(logits, network)
    gradients = []
    for task in THREE:  # a backward pass each, through the network
        alone = Objective([task])({task.name: logits[task.name]}, {task.name: labels[task.name]})
        gradients += torch.autograd.grad(alone.total, features, retain_graph=True)
    flat = torch.stack([g.flatten() for g in gradients])
    torch.testing.assert_close(products, flat @ flat.T, rtol=1e-4, atol=1e-7)


def test_shares_and_cosines_of_known_gradients():
    found = shares_and_cosines(torch.tensor([[9.0, 0, 0], [0, 1, -1], [0, -1, 1]]), "abc")
    assert found["share"] == pytest.approx({"a": 0.6, "b": 0.2, "c": 0.2})
    assert found["cosine"] == [[1, 0, 0], [0, 1, -1], [0, -1, 1]]
    nothing = shares_and_cosines(torch.tensor([[4.0, 0], [0, 0]]), "ab")
    assert nothing == {"share": {"a": 1, "b": 0}, "cosine": [[1, None], [None, None]]}


def test_means_leave_out_what_a_batch_did_not_contain():
    first = {"share": {"a": 1.0, "b": 0.0}, "cosine": [[1, None], [None, None]]}
    second = {"share": {"a": 0.5, "b": 0.5}, "cosine": [[1, -0.5], [-0.5, 1]]}
    found = mean_gradients([{"gradients": first}, {}, {"gradients": second}])
    assert found == {"share": {"a": 0.75, "b": 0.25}, "cosine": [[1, -0.5], [-0.5, 1]]}
    assert mean_gradients([{}]) is None


def records(curves):
    n = len(next(iter(curves.values())))
    return [
        {"step": 10 * (i + 1), "raw": {f"supervised/{t}": c[i] for t, c in curves.items()}}
        for i in range(n)
    ]


def test_speeds_of_known_curves():
    fast = [math.exp(-i / 10) for i in range(100)]
    slow = [1 - i / 200 for i in range(100)]
    found = speeds(records({"fast": fast, "slow": slow, "rising": [1 + i for i in range(100)]}))
    assert found["fast"]["half"] < 0.15 < 0.4 < found["slow"]["half"] < 0.6
    assert found["rising"]["half"] is None
    assert found["fast"]["rate"] < found["slow"]["rate"] < found["rising"]["rate"]
    rates = [of_task["rate"] for of_task in found.values()]
    assert np.mean(rates) == pytest.approx(1)
    assert found["slow"]["start"] == pytest.approx(np.mean(slow[:10]))
    assert found["slow"]["end"] == pytest.approx(np.mean(slow[-10:]))


def test_a_task_without_labels_has_no_speed():
    assert speeds(records({"a": [1.0, 0.5], "b": [0.0, 0.0]}))["b"]["rate"] is None
    assert speeds([]) == {}


@pytest.mark.parametrize(
    ("steps", "weighting"), [(3, "sum"), (400, "sum"), (230, "uncertainty"), (230, "upgrad")]
)
@pytest.mark.slow
def test_looking_at_gradients_changes_no_weight(steps, weighting):
    plain, watched = Setup(weighting=weighting), Setup(weighting=weighting)
    plain.trainer.diagnose = False
    plain_history, history = plain.fit(steps), watched.fit(steps)
    assert_same(plain.weights(), watched.weights())
    found = [r.pop("gradients") for r in history.records if "gradients" in r]
    assert len(found) == probes(steps)
    assert history.records == plain_history.records
    assert list(found[0]["share"]) == [task.name for task in TASKS]
    assert sum(found[0]["share"].values()) == pytest.approx(1)
    assert all(abs(c) <= 1 for each in found for row in each["cosine"] for c in row)


def test_the_shares_are_those_after_a_gradient_method():
    # the same angle to both of two gradients: both are made equally long
    for record in Setup(weighting="config").fit(230).records:
        if "gradients" in record:
            assert list(record["gradients"]["share"].values()) == pytest.approx([0.5, 0.5])


def test_gradient_methods_on_parameters_are_not_watched():
    weighting = {"upgrad": {"gradients": "parameters"}}
    records = Setup(weighting=weighting).fit(50).records
    assert all("gradients" not in record for record in records)


@pytest.mark.usefixtures("interrupts")
def test_a_resumed_run_has_the_gradients_of_an_unbroken_one(tmp_path):
    whole = Setup(tmp_path / "whole")
    expected = whole.fit(400, accuracy).records
    broken = Setup(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        broken.fit(400, raise_once(9, lambda: signal.raise_signal(signal.SIGINT)))
    assert Setup(tmp_path / "broken").fit(400, accuracy).records == expected


def test_a_single_task_has_no_shares():
    labels = Annotations((SICK,), {"sick": np.ones((8, 1), np.int8)})
    batches = Batches(np.ones((8, 2), np.float32), labels, Proportional([np.arange(8)], 4, 0))
    network = MultiTaskNetwork(backbone("mlp", 2, hidden=[4]), (SICK,))
    trainer = Trainer(TrainingConfig(accelerator="cpu"))
    history = trainer.fit(network, Objective((SICK,)), batches, 80)
    assert all("gradients" not in record for record in history.records)


def test_a_batch_without_a_tasks_labels_is_not_one_that_learnt_it():
    losses = [[2.0, 2.0], [0.0, 2.0], [1.0, 2.0]]  # the second step has no label of "rare"
    window = Window(3)
    for raw in losses:
        values = torch.tensor(raw)
        window.add(Loss(values.sum(), ("rare", "usual"), values, values))
    means = window.means()
    assert means["raw"] == {"rare": 1.5, "usual": 2.0}
    assert means["weighted"] == {"rare": 1.0, "usual": 2.0}


def test_a_record_without_labels_says_nothing_of_the_speed():
    whole = speeds(records({"rare": [2.0, 1.0]}))["rare"]
    found = speeds(records({"rare": [0.0, 2.0, 0.0, 1.0]}))["rare"]
    assert (found["start"], found["end"]) == (whole["start"], whole["end"]) == (2.0, 1.0)

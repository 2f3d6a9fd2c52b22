import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from training_setup import Setup, accuracy, assert_same

from labelweave.training import TrainingConfig
from labelweave.training._optimiser import one_cycle


@pytest.mark.parametrize("total", [2, 3, 4, 5, 7, 10, 100, 333])
@pytest.mark.parametrize("warm_up", [0.15, 0.3, 0.8])
def test_one_cycle_is_that_of_pytorch(total, warm_up):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.02, total_steps=total, pct_start=warm_up, cycle_momentum=False
    )
    for step in range(total):
        assert one_cycle(step, total, 0.02, warm_up) == pytest.approx(oracle.get_last_lr()[0])
        optimizer.step()
        if step + 1 < total:
            oracle.step()


def test_one_cycle_of_a_single_step():
    assert 0 < one_cycle(0, 1, 0.02) <= 0.02


def test_training_lowers_every_loss_and_records_it(tmp_path):
    setup = Setup(tmp_path, evaluations=5)
    history = setup.fit(validate=accuracy)
    first, last = history.records[0], history.records[-1]
    assert last["step"] == 230
    for name in ("supervised/species", "supervised/sick", "marginal/species"):
        assert last["raw"][name] < first["raw"][name]
    assert first["weighted"]["marginal/species"] < first["raw"]["marginal/species"]
    evaluated = [record["step"] for record in history.records if "validation" in record]
    assert evaluated == [46, 92, 138, 184, 230]
    log = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log] == history.records
    assert len(history.curve()["terms"]["marginal/species"]) == len(history.records)
    assert not setup.network.training


@pytest.mark.parametrize(("steps", "wanted", "count"), [(39, 20, 20), (7, 20, 7), (100, 3, 3)])
def test_evaluations_are_as_many_as_asked_for(steps, wanted, count):
    history = Setup(evaluations=wanted).fit(steps, accuracy)
    evaluated = [record["step"] for record in history.records if "validation" in record]
    assert len(evaluated) == count
    assert evaluated[-1] == steps
    assert np.ptp(np.diff([0, *evaluated])) <= 1


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_numbers_alone():
    first, second = Setup(), Setup()
    torch.manual_seed(5)
    first.fit(20)
    after = torch.rand(1)
    torch.rand(7)
    second.fit(20)
    assert_same(first.weights(), second.weights())
    torch.manual_seed(5)
    assert after == torch.rand(1)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_other_precisions(precision):
    setup = Setup(precision=precision, patience=50)
    history = setup.fit(validate=lambda network: {"species": accuracy(network)["species"]})
    losses = [record["raw"]["supervised/species"] for record in history.records]
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:20])


@pytest.mark.parametrize(
    ("settings", "rows", "steps"),
    [
        ({"epochs": 2, "batch_size": 10}, 95, 19),
        ({"epochs": 0.01}, 100, 1),
        ({"steps": 7}, 100, 7),
        ({}, 100, 1000),
    ],
)
def test_the_number_of_steps(settings, rows, steps):
    assert TrainingConfig(**settings).total_steps(rows) == steps


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 3, "epochs": 1},
        {"steps": 0},
        {"learning_rate": 0},
        {"learning_rate": 101},
        {"clip": 0},
        {"ramp": 2},
        {"patience": 0},
        {"precision": "8-bit"},
        {"learningrate": 1e-3},
    ],
)
def test_bad_settings(settings):
    with pytest.raises(ValidationError):
        TrainingConfig(**settings)

import json
import os

import pytest
import torch
from safetensors import safe_open
from torch import nn
from training_setup import TASKS, Setup, accuracy, assert_same

from labelweave.errors import LabelweaveError, TrainingError
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.training._checkpoint import load_tensors, save_tensors


def test_a_loss_that_is_not_finite_names_term_step_and_rows(tmp_path):
    setup = Setup(tmp_path, evaluations=23, checkpoint_seconds=1e-9)
    rows = setup.batches.sampler(114)
    draw = setup.batches.sampler

    def sampler(step):
        if step == 114:
            setup.batches.inputs[draw(step)[0]] = float("nan")
        return draw(step)

    setup.batches.sampler = sampler
    with pytest.raises(TrainingError) as caught:
        setup.fit()
    labelled = torch.tensor([bool((setup.batches.labels["species"][rows[0]] >= 0).all())])
    term = "supervised/species" if labelled else "supervised/sick"
    listed = ", ".join(map(str, rows))
    assert str(caught.value) == (
        f"step 115: loss term '{term}' is nan, expected a finite number "
        f"(batch of rows {listed}, ...)"
    )
    tensors, state = load_tensors(tmp_path / "last.safetensors")
    assert 100 < state["step"] <= 114
    assert all(torch.isfinite(t).all() for t in tensors.values() if t.is_floating_point())


class Cliff(nn.Module):
    """Finite values with a gradient that is none: the square root at zero."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return inputs + torch.sqrt(self.slope * 0)


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    setup = Setup(tmp_path)
    setup.network = MultiTaskNetwork(Cliff(), TASKS, features=4)
    with pytest.raises(TrainingError) as caught:
        setup.fit(1)
    assert str(caught.value) == (
        "step 1: weight 'backbone.slope' is no longer finite, though every loss was"
    )
    assert not (tmp_path / "last.safetensors").exists()


def test_checkpoints_are_safetensors_and_json(tmp_path):
    Setup(tmp_path, patience=5).fit(20, lambda n: {"a": accuracy(n)["species"]})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"last.safetensors", "best.safetensors", "log.jsonl"}
    for path in tmp_path.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert len(list(file.keys())) > 3
            assert json.loads(file.metadata()["state"])["step"] <= 20


def test_tensors_and_state_come_back(tmp_path):
    shared = torch.randn(3)
    tensors = {
        "a": torch.arange(6).reshape(2, 3).T,
        "empty": torch.empty(0, 4),
        "half": torch.randn(3).bfloat16(),
        "tied": shared,
        "again": shared,
    }
    state = {"step": 3, "best": float("inf"), "names": ["a"]}
    path = tmp_path / "new" / "folder" / "file.safetensors"
    save_tensors(path, tensors, state)
    found, found_state = load_tensors(path)
    assert_same(found, tensors)
    assert found_state == state
    assert [p.name for p in path.parent.iterdir()] == ["file.safetensors"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.safetensors"
    save_tensors(path, {"a": torch.ones(1)}, {"step": 1})
    with pytest.raises(TypeError):
        save_tensors(path, {"a": torch.zeros(1)}, {"step": object()})
    assert load_tensors(path)[1] == {"step": 1}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"\x80\x04" + path.read_bytes()),
        lambda path: path.write_bytes(os.urandom(200)),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["empty", "cut", "shifted", "random", "folder"],
)
def test_damaged_checkpoints(tmp_path, damage):
    Setup(tmp_path).fit(3)
    path = tmp_path / "last.safetensors"
    damage(path)
    with pytest.raises(LabelweaveError, match=r"last\.safetensors: not a checkpoint of labelweave"):
        Setup(tmp_path).fit(3)


def test_checkpoints_of_another_run(tmp_path):
    Setup(tmp_path).fit(3)
    path = tmp_path / "last.safetensors"
    with pytest.raises(LabelweaveError) as caught:
        Setup(tmp_path).fit(4)
    assert str(caught.value) == (
        f"{path}: a checkpoint of a run of 3 steps, expected 4; remove the folder to start anew"
    )
    with pytest.raises(LabelweaveError) as caught:
        Setup(tmp_path, backbone("mlp", 4, hidden=[9])).fit(3)
    assert str(caught.value) == (
        f"{path}: a checkpoint of another network; remove the folder to start anew"
    )
    with pytest.raises(LabelweaveError, match="no such checkpoint"):
        load_tensors(tmp_path / "none.safetensors")

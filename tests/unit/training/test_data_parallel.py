from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file

from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training import Trainer, TrainingConfig

KIND = Multiclass("kind", ("x", "y", "z"))
MARKS = Multilabel("marks", ("p", "q"))
STEPS = 20


CHOICES: dict[str, str | dict[str, Any]] = {
    "sum": "sum",
    "learnt": "uncertainty",
    "looks back": "famo",
    "features": "upgrad",
    "random order": "pcgrad",
    "parameters": {"cagrad": {"gradients": "parameters"}},
}


def trained(fabric: Fabric, weighting: str | dict[str, Any]) -> dict[str, torch.Tensor]:
    """Train on 20 rows with a kind and 180 with marks: a process may lack either in a batch."""
    rng = np.random.default_rng(0)
    kind, marks = rng.integers(0, 3, 200), rng.integers(0, 2, (200, 2)).astype(np.int8)
    kind[20:], marks[:20] = -1, -1
    annotations = Annotations((KIND, MARKS), {"kind": kind, "marks": marks})
    torch.manual_seed(0)
    body = backbone("mlp", 6, hidden=[8], dropout=0.0)
    network = MultiTaskNetwork(body, (KIND, MARKS))
    relation = Relation(KIND, MARKS, np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]))
    couplings = {"distribution_matching": {}, "co_annotation": {}}
    batches = Batches(
        rng.normal(size=(200, 6)).astype(np.float32),
        annotations,
        sampler("proportional", [np.arange(20), np.arange(20, 200)], 8, seed=0),
        fabric.device,
        shard=(fabric.global_rank, fabric.world_size),
    )
    config = TrainingConfig(steps=STEPS, batch_size=8, weighting=weighting)
    objective = Objective((KIND, MARKS), [relation], couplings)
    Trainer(config, fabric=fabric).fit(network, objective, batches, STEPS)
    return dict(network.state_dict())


def trained_all(fabric: Fabric) -> dict[str, torch.Tensor]:
    return {
        f"{kind}/{name}": value
        for kind, choice in CHOICES.items()
        for name, value in trained(fabric, choice).items()
    }


def _train_and_save(fabric: Fabric, path: str) -> None:
    weights = trained_all(fabric)
    if fabric.is_global_zero:
        save_file(weights, path)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="PyTorch without distributed")
def test_two_processes_end_with_the_weights_of_one(tmp_path: Path) -> None:
    alone = trained_all(Fabric(accelerator="cpu", devices=1))
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn")
    fabric.launch(_train_and_save, str(tmp_path / "weights"))
    together = load_file(tmp_path / "weights")
    for name, weights in alone.items():
        assert torch.allclose(together[name], weights, atol=1e-5), name
    for kind in list(CHOICES)[1:]:
        name = "backbone.body.0.weight"
        assert not torch.allclose(alone[f"{kind}/{name}"], alone[f"sum/{name}"], atol=1e-4), kind

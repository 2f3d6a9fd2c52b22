"""Checkpoints: tensors and JSON in one safetensors file, written atomically, never pickled."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from labelweave._files import LARGEST_TENSORS, check_regular, make_folder, replacing
from labelweave.errors import LabelweaveError, TrainingError
from labelweave.training._optimiser import Optimizer
from labelweave.training._sharding import share_of


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able state to one file; the old one stays until that is whole."""
    make_folder(path.parent)
    # copies, for safetensors refuses tensors that share memory, such as tied weights
    plain = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(save(plain, metadata={"state": json.dumps(state)}))
        file.flush()
        os.fsync(file.fileno())


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the state of a file written by `save_tensors`.

    Raises:
        LabelweaveError: the file is missing or damaged.
    """
    try:
        check_regular(path, LARGEST_TENSORS)
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
    except (FileNotFoundError, NotADirectoryError):
        raise LabelweaveError(f"{path}: no such checkpoint") from None
    except LabelweaveError:
        raise
    except (SafetensorError, RecursionError, KeyError, ValueError, OSError) as error:
        raise LabelweaveError(f"{path}: not a checkpoint of labelweave ({error})") from None


def check_finite(network: nn.Module, step: int) -> None:
    """Refuse weights that must not replace those of the last checkpoint.

    Raises:
        TrainingError: a weight is not finite; names it and the step.
    """
    # a finite loss can have a gradient that is not
    for name, value in network.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise TrainingError(
                f"step {step}: weight '{name}' is no longer finite, though every loss was"
            )


def training_state(network: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return everything that the next steps depend on: weights, optimiser, random numbers."""
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        for i, state in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{i}"] = state
    return tensors


def restore_training_state(
    tensors: Mapping[str, Tensor], network: nn.Module, optimizer: Optimizer
) -> None:
    """Set the network, the optimiser and the random number generators to a saved state."""
    own = network.state_dict()
    network.load_state_dict(
        {
            name[8:]: share_of(value, own.get(name[8:]))
            for name, value in tensors.items()
            if name.startswith("network/")
        }
    )
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, slot = name.split("/")
            slots.setdefault(int(index), {})[slot] = share_of(value, weights[int(index)])
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    torch.set_rng_state(tensors["random/cpu"])
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            if f"random/cuda/{i}" in tensors:
                torch.cuda.set_rng_state(tensors[f"random/cuda/{i}"], i)

"""Where a training runs: the CPU of one process, with no wrappers, or what Fabric sets up."""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, TypeVar, Union

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.training._config import TrainingConfig
from labelweave.training._sharding import sharding

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.strategy import Strategy


T = TypeVar("T")
ALONE = {"devices": 1, "nodes": 1, "strategy": "ddp"}


class ThisProcess:
    """What the loop asks of Fabric, in one process on the CPU in full precision.

    Fabric's wrappers do nothing there, and importing it takes longer than importing PyTorch,
    because it imports PyTorch's compiler.
    """

    device = torch.device("cpu")
    world_size = 1
    global_rank = 0
    is_global_zero = True

    def backward(self, loss: Tensor) -> None:
        """Give every parameter its gradient."""
        loss.backward()  # type: ignore[no-untyped-call]

    def all_reduce(self, values: Tensor, reduce_op: str = "mean") -> Tensor:
        """Return the values: there is no other process."""
        return values

    def broadcast(self, value: T, src: int = 0) -> T:
        """Return the value: there is no other process."""
        return value

    def no_backward_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()


Device: TypeAlias = Union[ThisProcess, "Fabric"]


def processes() -> int:
    """Return how many processes `torchrun` has started for this training; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if torch.distributed.is_torchelastic_launched() else 1


def is_first() -> bool:
    """Return whether this is the process that writes files and prints."""
    return processes() == 1 or os.environ["RANK"] == "0"


def device_of(config: TrainingConfig) -> Device:
    """Return where a training with these settings runs.

    Raises:
        LabelweaveError: there is no such device, it does not have the precision, or `torchrun` has
            not started as many processes.
    """
    if config.processes != processes():
        raise LabelweaveError(
            f"training: devices {config.devices} x nodes {config.nodes}: found {processes()} "
            f"process(es), expected {config.processes}: start them with torchrun "
            f"--nnodes {config.nodes} --nproc-per-node {config.devices}"
        )
    if config.processes == 1 and config.precision == "32-true" and _is_cpu(config.accelerator):
        return ThisProcess()
    if config.precision == "16-mixed" and _is_cpu(config.accelerator):
        raise LabelweaveError(  # Fabric would take another one and warn
            "training: precision '16-mixed' needs a GPU; expected one of 32-true, bf16-mixed, "
            "bf16-true, 64-true on a CPU"
        )
    from lightning_fabric import Fabric

    for name in ("lightning_fabric", "lightning_utilities"):  # their news of every start
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy=_strategy(config),
            precision=config.precision,
        )
        if config.processes > 1:
            fabric.launch()
        return fabric
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LabelweaveError(
            f"training: accelerator '{config.accelerator}' with precision '{config.precision}' "
            f"cannot be used here: {reason}"
        ) from None


def _strategy(config: TrainingConfig) -> "str | Strategy":
    if config.processes == 1:
        return "auto"
    return sharding(config.processes) if config.strategy == "fsdp" else "ddp"


def check_device(config: TrainingConfig) -> None:
    """Raise what `device_of` would, but one process may check what several will train."""
    device_of(config if processes() > 1 else config.model_copy(update=ALONE))


def _is_cpu(accelerator: str) -> bool:
    if accelerator != "auto":
        return accelerator == "cpu"
    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def adds_nothing(device: Device) -> bool:
    """Return whether Fabric's wrappers would do nothing: one device, full precision."""
    if isinstance(device, ThisProcess):
        return True
    from lightning_fabric.strategies.single_device import SingleDeviceStrategy

    strategy = device.strategy
    return isinstance(strategy, SingleDeviceStrategy) and strategy.precision.precision == "32-true"


def shares_weights(device: Device) -> bool:
    """Return whether each process holds a share of the weights: strategy ``fsdp``."""
    if isinstance(device, ThisProcess):
        return False
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    return isinstance(device.strategy, ModelParallelStrategy)

"""Where a training runs: the CPU of one process, with no wrappers, or what Fabric sets up."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, Union

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.training._config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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

    def no_backward_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Return a context that changes nothing."""
        return nullcontext()


Device: TypeAlias = Union[ThisProcess, "Fabric"]


def device_of(config: TrainingConfig) -> Device:
    """Return where a training with these settings runs.

    Raises:
        LabelweaveError: there is no such device, or it does not have the precision.
    """
    if config.precision == "32-true" and _is_cpu(config.accelerator):
        return ThisProcess()
    from lightning_fabric import Fabric

    try:
        return Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LabelweaveError(
            f"training: accelerator '{config.accelerator}' with precision '{config.precision}' "
            f"cannot be used here: {reason}"
        ) from None


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

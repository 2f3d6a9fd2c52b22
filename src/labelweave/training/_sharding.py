"""FSDP: each device holds a share of every weight, and a whole layer only while it is at work."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError

if TYPE_CHECKING:
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
    from torch.distributed.device_mesh import DeviceMesh

Module = TypeVar("Module", bound=nn.Module)


def sharding(processes: int) -> "ModelParallelStrategy":
    """Return Fabric's strategy of PyTorch's FSDP2 (`torch.distributed.fsdp.fully_shard`).

    Fabric's own FSDP wraps the first version, on GPUs only; this one runs with gloo too.

    Args:
        processes: of all machines.
    """
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    return ModelParallelStrategy(_shard, data_parallel_size=processes, tensor_parallel_size=1)


def _shard(network: Module, mesh: "DeviceMesh") -> Module:
    from torch.distributed.fsdp import fully_shard

    # the scores of the tasks are views of one matrix; no loss changes them in place
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view")
    data = mesh["data_parallel"]
    for layer in _layers(network):
        fully_shard(layer, mesh=data)
    # the heads and what stands in no list of layers stay whole between forward and backward pass
    fully_shard(network, mesh=data, reshard_after_forward=False)
    return network


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Give the members of the outermost lists of layers, such as a transformer's blocks."""
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from (layer for layer in child if any(True for _ in layer.parameters()))
        else:
            yield from _layers(child)


def sharded(network: Module) -> Module:
    """Return a copy to be sharded; the network itself keeps its whole weights."""
    if any(weight.dim() == 0 for weight in network.parameters()):
        raise LabelweaveError(
            "training: strategy 'fsdp' cannot share out a weight that is a single number, as this "
            "network has; expected strategy: ddp"
        )
    return copy.deepcopy(network)


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor with the shares of all processes, each of which must ask; others as is."""
    full = getattr(tensor, "full_tensor", None)  # only a DTensor has it, a slow import
    return tensor if full is None else full()


def whole_each(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Return tensors as `whole` does, those of shares on the CPU; none where not to `keep`."""
    found = {}
    for name, tensor in tensors.items():
        complete = whole(tensor)
        if keep:
            found[name] = complete if complete is tensor else complete.cpu()
    return found


def share_of(tensor: Tensor, of: Tensor | None) -> Tensor:
    """Return this process's share of a whole tensor where `of`, of the same shape, is a share."""
    mesh = getattr(of, "device_mesh", None)
    if of is None or mesh is None or of.shape != tensor.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(mesh.device_type), mesh, of.placements)  # type: ignore[attr-defined]


def same_buffers(network: nn.Module) -> None:
    """Give every process the buffers of the first, such as means of batches; DDP does it too."""
    for buffer in network.buffers():
        torch.distributed.broadcast(buffer, 0)

"""What it costs to run the joint network against one network a task, measured on the saved models.

One thread, in this process, both in turn so that a busy machine slows both; the networks only, for
the encoder of raw columns is the same for both.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.data import Inputs
from labelweave.model import Model
from labelweave.remarks import Remark

BATCHES = (1, 256)
CALLS = {1: 200, 256: 40}
WARM_UP = 5
MB = 1e6
ASSUMPTIONS = ("one_thread", "of_memory", "of_disk", "of_rows", "of_training")  # of `costs`


def measure_costs(
    joint: Path, single: Path, inputs: Inputs, seconds: tuple[float, float]
) -> dict[str, Any]:
    """Return what both models cost, in the form of ``costs`` in results.json.

    Args:
        joint: folder of the joint model.
        single: folder of the single-task networks.
        inputs: encoded rows to predict, at least one.
        seconds: of training, joint and single.
    """
    models = Model.load(joint), Model.load(single)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        times = {size: _times(models, _batch(inputs, size), CALLS[size]) for size in BATCHES}
    finally:
        torch.set_num_threads(threads)
    folders = (joint, single)
    found = [
        _costs(models[i], folders[i], {size: times[size][i] for size in BATCHES}, inputs)
        | {"training_seconds": seconds[i]}
        for i in range(2)
    ]
    return {
        "machine": machine(),
        "joint": found[0],
        "single": found[1],
        "ratio": {
            "latency_1": _ratio(found, lambda c: c["latency_ms"]["1"]["p50"]),
            "latency_256": _ratio(found, lambda c: c["latency_ms"]["256"]["p50"]),
            "throughput": _ratio(found, lambda c: c["rows_per_second"]),
            "memory": _ratio(found, lambda c: c["memory_mb"]),
            "disk": _ratio(found, lambda c: c["disk_mb"]),
            "training": _ratio(found, lambda c: c["training_seconds"]),
        },
        "assumptions": [Remark(f"costs.{each}") for each in ASSUMPTIONS],
    }


def machine() -> str:
    """Return the number of cores and the processor's model, nothing that names a machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    except OSError:
        pass
    cores = os.cpu_count() or 1
    return Remark("costs.machine", n=cores, model=model)


def _batch(inputs: Inputs, size: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(inputs[np.resize(np.arange(len(inputs)), size)])


def _times(models: Sequence[Model], batch: NDArray[np.float32], calls: int) -> NDArray[np.float64]:
    """Return the milliseconds of every call, (models, calls)."""
    found = np.empty((len(models), calls))
    for call in range(-WARM_UP, calls):
        for number, model in enumerate(models):
            started = time.perf_counter()
            model.probabilities(batch)
            if call >= 0:
                found[number, call] = 1000 * (time.perf_counter() - started)
    return found


def _costs(
    model: Model,
    folder: Path,
    times: dict[int, NDArray[np.float64]],
    inputs: Inputs,
) -> dict[str, Any]:
    tensors = [t for network in model.networks for t in network.state_dict().values()]
    latency = {
        str(size): {
            "p50": float(np.percentile(taken, 50)),
            "p95": float(np.percentile(taken, 95)),
        }
        for size, taken in times.items()
    }
    layers = _largest_layer(model, _batch(inputs, max(BATCHES)))
    return {
        "networks": len(model.networks),
        "parameters": sum(p.numel() for network in model.networks for p in network.parameters()),
        "disk_mb": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / MB,
        "memory_mb": (sum(t.numel() * t.element_size() for t in tensors) + layers) / MB,
        "latency_ms": latency,
        "rows_per_second": 1000 * max(BATCHES) / latency[str(max(BATCHES))]["p50"],
    }


def _largest_layer(model: Model, batch: NDArray[np.float32]) -> int:
    """Return the bytes of the inputs and outputs of the layer that has most of them."""
    largest = 0

    def look(_: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal largest
        held = [t for t in (*inputs, output) if isinstance(t, torch.Tensor)]
        largest = max(largest, sum(t.numel() * t.element_size() for t in held))

    hooks = [
        module.register_forward_hook(look)
        for network in model.networks
        for module in network.modules()
        if not list(module.children())
    ]
    model.probabilities(batch)
    for hook in hooks:
        hook.remove()
    return largest


def _ratio(
    costs: Sequence[dict[str, Any]], part: Callable[[dict[str, Any]], float]
) -> float | None:
    joint, single = part(costs[0]), part(costs[1])
    return joint / single if single else None

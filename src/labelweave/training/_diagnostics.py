"""Is a task left behind? How training went for each task, at almost no cost.

Measured at a few steps (`head_gradients`) or read from the history (`speeds`), never by an extra
forward pass, and without any effect on the weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelweave.balancing._gradient_methods import segments_of, task_gramian
from labelweave.networks import MultiTaskNetwork
from labelweave.training._sharding import whole
from labelweave.training._task_balancing import Balance, FeatureBalance, ParameterBalance

PROBES = 20  # gradients are looked at about this often in a training, ...
STEPS_A_PROBE = 40  # ... but in short trainings less often
SUPERVISED = "supervised/"


def probes(steps: int) -> int:
    """Return how often to look at the gradients in a training of that many steps."""
    return max(1, min(PROBES, steps // STEPS_A_PROBE))


def head_gradients(
    logits: Mapping[str, Tensor], network: MultiTaskNetwork, balance: Balance | None = None
) -> Tensor | None:
    """Return the inner products of what the tasks' heads send back into the shared layers.

    What goes back through a head (`labelweave.balancing`) holds the task's supervised
    loss and its share of every coupling, factors included, and those of a gradient method.

    Args:
        logits: task name to (n, width) scores, after the backward pass, their gradients retained.
        network: the network, its heads as in that pass.
        balance: how the tasks are weighed.

    Returns:
        (m, m), on the device, squared norms on the diagonal; None for gradient methods on all
        parameters, whose factors are not of what is sent into the shared features.
    """
    if isinstance(balance, ParameterBalance):
        return None
    parts = [torch.zeros_like(s) if s.grad is None else s.grad for s in logits.values()]
    weight = whole(network.heads.weight.detach()).float()
    segments = segments_of(network.widths).to(weight.device)
    products = task_gramian(torch.cat(parts, dim=1).float(), weight, segments)
    if isinstance(balance, FeatureBalance) and balance.weights is not None:
        factors = balance.weights.to(products)
        products = products * torch.outer(factors, factors)
    return products


def shares_and_cosines(products: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Return `head_gradients` as a record of the history, JSON-able.

    Returns:
        ``share``: task name to its gradient's norm in the sum of all norms; ``cosine``: rows of
        cosines between the tasks' gradients, None where a task has none in the batch.
    """
    inner = products.double().cpu().numpy()
    norms = np.sqrt(inner.diagonal().clip(min=0.0))
    whole, lengths = norms.sum(), np.outer(norms, norms)
    share = norms / whole if whole > 0 else norms
    cosine = np.where(lengths > 0, inner / np.where(lengths > 0, lengths, 1.0), np.nan)
    return {
        "share": dict(zip(names, share.tolist(), strict=True)),
        "cosine": _plain(cosine.clip(-1.0, 1.0)),
    }


def mean_gradients(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the means of the gradients' records over a training; None where it has none."""
    found = [record["gradients"] for record in records if "gradients" in record]
    if not found:
        return None
    names = list(found[0]["share"])
    share = np.mean([[each["share"][name] for name in names] for each in found], axis=0)
    cosines = np.array([each["cosine"] for each in found], dtype=np.float64)  # None becomes NaN
    counts = np.isfinite(cosines).sum(axis=0)
    means = np.where(counts > 0, np.nansum(cosines, axis=0) / np.maximum(counts, 1), np.nan)
    return {"share": dict(zip(names, share.tolist(), strict=True)), "cosine": _plain(means)}


def speeds(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return how fast the supervised loss of every task falls, against its own start and end.

    - ``start``, ``end``: its mean over the first and the last tenth of the records that met one of
      its labels.
    - ``half``: share of the training after which half of the way from start to end is done; None
      where the loss does not fall.
    - ``rate``: the relative inverse training rate, (end / start) over its mean over the tasks:
      above 1 = slower than the others (Chen et al., GradNorm, ICML 2018, section 3.1).

    Args:
        records: of a `History`, in order.
    """
    if not records:
        return {}
    names = [term for term in records[0]["raw"] if term.startswith(SUPERVISED)]
    found: dict[str, dict[str, float | None]] = {}
    steps = np.array([record["step"] for record in records], dtype=np.float64)
    for name in names:
        losses = np.array([record["raw"][name] for record in records])
        at, seen = steps, losses != 0
        if seen.any():  # a record of no labelled element says nothing
            losses, at = losses[seen], steps[seen]
        tenth = max(1, len(losses) // 10)
        start, end = float(losses[:tenth].mean()), float(losses[-tenth:].mean())
        half = None
        if end < start:
            smooth = np.convolve(np.pad(losses, tenth // 2, mode="edge"), np.ones(tenth) / tenth)
            smooth = smooth[tenth - 1 :][: len(losses)]
            half = float(at[np.argmax(smooth <= (start + end) / 2)] / steps[-1])
        found[name.removeprefix(SUPERVISED)] = {"start": start, "end": end, "half": half}
    ratios = {n: f["end"] / f["start"] for n, f in found.items() if f["start"] and f["end"]}
    mean = float(np.mean(list(ratios.values()))) if ratios else 0.0
    for name, of_task in found.items():
        of_task["rate"] = ratios[name] / mean if name in ratios and mean > 0 else None
    return found


def _plain(matrix: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in matrix]

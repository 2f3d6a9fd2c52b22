"""What the coupling losses cost: a training step with all of them over one without.

Run ``python -m benchmarks.coupling_overhead [--quick] [--json OUT]``. A step is forward, objective,
backward and fused AdamW, on one thread; the methods of a case take turns after every step, and the
ratio is the median over turns of the ratio within a turn (low, high: the quartiles). Time is the
processor's, so that other programs disturb it little. Cases and targets:

- mlp: MLP 64-256-256, batch 512, 1 relation of 32 classes to 40 labels: at most 1.35;
- cnn: residual CNN of 11 M weights on 64x64 images, batch 32, the same relation: at most 1.05;
- many: the MLP, 50 relations over 30 tasks, batch 512: at most 2.2.

With ``--compile`` both objectives are compiled (`torch.compile`, needs a C++ compiler): at most
1.15, 1.02 and 1.5.

Half the rows carry the source's label, the other half the target's. "supervised" is our objective
without couplings, "plain" a hand-written PyTorch loop with one masked loss a task: the floor.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks.residual_network import cnn
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel, Task
from labelweave.training._trainer import keep_freed_memory

COUPLINGS: dict[str, dict[str, Any]] = {"distribution_matching": {}, "co_annotation": {}}
TARGETS = {"mlp": 1.35, "cnn": 1.05, "many": 2.2}
COMPILED = {"mlp": 1.15, "cnn": 1.02, "many": 1.5}
Step = Callable[[], None]


class Case(NamedTuple):
    """A network's input, its tasks and relations."""

    tasks: tuple[Task, ...]
    relations: list[Relation]
    inputs: Tensor
    labels: dict[str, Tensor]
    network: Callable[[], nn.Module]


def one_relation(inputs: Tensor, body: Callable[[], nn.Module], features: int) -> Case:
    """Return a case of 32 classes and 40 labels."""
    rng = np.random.default_rng(0)
    source, target = Multiclass("class", range(32)), Multilabel("labels", _names(40))  # type: ignore[arg-type]
    tasks: tuple[Task, ...] = (source, target)
    relation = Relation(source, target, rng.uniform(0.05, 0.95, (32, 40)))
    n = len(inputs)
    classes, labels = rng.integers(0, 32, n), rng.integers(0, 2, (n, 40)).astype(np.int8)
    classes[n // 2 :], labels[: n // 2] = -1, -1
    codes = {"class": torch.from_numpy(classes), "labels": torch.from_numpy(labels)}
    return Case(tasks, [relation], inputs, codes, lambda: MultiTaskNetwork(body(), tasks, features))


def many_relations(tasks: int = 30, relations: int = 50, batch: int = 512) -> Case:
    """Return a case of as many multiclass as multilabel tasks, 2 to 12 classes or labels each."""
    rng = np.random.default_rng(0)
    widths = rng.integers(2, 13, tasks)
    sources = [Multiclass(f"classes{i}", range(w)) for i, w in enumerate(widths[: tasks // 2])]  # type: ignore[arg-type]
    others = [Multilabel(f"labels{i}", _names(w)) for i, w in enumerate(widths[tasks // 2 :])]
    all_tasks: tuple[Task, ...] = (*sources, *others)
    pairs = [(s, t) for s in sources for t in all_tasks if s != t]
    found: list[Relation] = []
    for place in rng.permutation(len(pairs))[:relations]:
        source, target = pairs[place]
        shape = (source.width, target.width)
        multiclass = isinstance(target, Multiclass)
        table = rng.dirichlet(np.ones(shape[1]), shape[0]) if multiclass else rng.random(shape)
        found.append(Relation(source, target, table))
    labels: dict[str, Tensor] = {}
    for task in all_tasks:
        one = isinstance(task, Multiclass)
        size, top = ((batch,), task.width) if one else ((batch, task.width), 2)
        codes = np.where(rng.random(size) < 0.5, rng.integers(0, top, size), -1)
        labels[task.name] = torch.from_numpy(codes)

    def network() -> nn.Module:
        return MultiTaskNetwork(backbone("mlp", 64), all_tasks)

    return Case(all_tasks, found, torch.randn(batch, 64), labels, network)


def _names(number: int) -> tuple[str, ...]:
    return tuple(f"label{j}" for j in range(number))


def step_of(case: Case, loss: Callable[[dict[str, Tensor]], Tensor]) -> Step:
    """Return a training step of a fresh network."""
    torch.manual_seed(0)
    network = case.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        total = loss(network(case.inputs))
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def plain_loss(case: Case) -> Callable[[dict[str, Tensor]], Tensor]:
    """Return masked losses as one would write them by hand, their sum over tasks."""

    def loss(logits: dict[str, Tensor]) -> Tensor:
        total = torch.zeros(())
        for task in case.tasks:
            scores, codes = logits[task.name], case.labels[task.name]
            if isinstance(task, Multiclass):
                total = total + F.cross_entropy(scores, codes, ignore_index=-1)
            else:
                seen = (codes >= 0).to(scores.dtype)
                every = F.binary_cross_entropy_with_logits(
                    scores, codes.to(scores.dtype), weight=seen, reduction="sum"
                )
                total = total + every / seen.sum().clamp(min=1.0)
        return total

    return loss


def objective_loss(
    case: Case, couplings: dict[str, dict[str, Any]], compiled: bool = False
) -> Callable[[dict[str, Tensor]], Tensor]:
    """Return our objective's total."""
    objective = Objective(case.tasks, case.relations, couplings)
    progress = torch.tensor(0.5)
    if compiled:
        objective = torch.compile(objective, fullgraph=True)  # type: ignore[assignment]
    return lambda logits: objective(logits, case.labels, progress).total


def times(steps: Sequence[Step], turns: int) -> np.ndarray[Any, Any]:
    """Return seconds of single steps, (turns, methods).

    The methods take turns after every step: what slows the machine for longer slows all of them.
    """
    found = np.empty((turns, len(steps)))
    for turn in range(-max(1, turns // 20), turns):  # the first ones only warm up
        for place, step in enumerate(steps):
            start = time.process_time()
            step()
            if turn >= 0:
                found[turn, place] = time.process_time() - start
    return found


def measure(name: str, case: Case, turns: int, compiled: bool) -> list[dict[str, Any]]:
    """Return the rows of one case: seconds a step, and ratios to the supervised step."""
    torch.compiler.reset()  # every objective is compiled once, within the limit of recompilations
    losses = {
        "supervised": objective_loss(case, {}, compiled),
        "coupled": objective_loss(case, COUPLINGS, compiled),
        "distribution_matching": objective_loss(case, {"distribution_matching": {}}, compiled),
        "co_annotation": objective_loss(case, {"co_annotation": {}}, compiled),
        "plain": plain_loss(case),
    }
    if name == "cnn":  # a step takes too long for the parts
        del losses["distribution_matching"], losses["co_annotation"]
    seconds = times([step_of(case, loss) for loss in losses.values()], turns)
    ratios = dict(zip(losses, (seconds / seconds[:, :1]).T, strict=True))
    ratios["supervised"] = seconds[:, 0] / seconds[:, list(losses).index("plain")]
    rows = []
    for place, method in enumerate(losses):
        rows.append(_row(name, method, "milliseconds", 1e3 * seconds[:, place]))
        if method != "plain":
            over = "plain" if method == "supervised" else "supervised"
            rows.append(_row(name, f"{method} / {over}", "ratio", ratios[method]))
    return rows


def _row(case: str, method: str, metric: str, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    low, middle, high = (float(v) for v in np.quantile(values, (0.25, 0.5, 0.75)))
    quantiles = {"mean": middle, "low": low, "high": high, "seeds": len(values)}
    return {"case": case, "method": method, "metric": metric, **quantiles}


def print_profile(case: Case) -> None:
    """Print what takes the time of the coupled step, by torch's profiler."""
    step = step_of(case, objective_loss(case, COUPLINGS))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(20):
            step()
    print("\nmlp, coupled: 20 steps by self CPU time")
    entries = sorted(profiler.key_averages(), key=lambda entry: -entry.self_cpu_time_total)
    for entry in entries[:12]:
        print(f"{entry.key[:44]:44} {entry.self_cpu_time_total / 1e3:9.2f} ms {entry.count:7}")


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--compile", action="store_true", help="compile the objectives")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the trainer does
    mlp = one_relation(torch.randn(512, 64), lambda: backbone("mlp", 64), 256)
    images = one_relation(torch.randn(32, 3, 64, 64), cnn, 512)
    small, large = (100, 4) if options.quick else (600, 40)
    many = many_relations()
    cases = {"mlp": (mlp, small), "cnn": (images, large), "many": (many, small)}
    targets = COMPILED if options.compile else TARGETS
    results: list[dict[str, Any]] = []
    print(f"{'case':6} {'method':36} {'metric':13} {'median':>9} {'low':>9} {'high':>9}")
    for name, (case, turns) in cases.items():
        for row in measure(name, case, turns, options.compile):
            figures = " ".join(f"{row[key]:9.3f}" for key in ("mean", "low", "high"))
            aim = row["method"] == "coupled / supervised"
            results.append(row)
            note = f"  (aim: at most {targets[name]})" if aim else ""
            print(f"{name:6} {row['method']:36} {row['metric']:13} {figures}{note}", flush=True)
    print_profile(mlp)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

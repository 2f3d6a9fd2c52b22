"""What a step costs against other ways to train several tasks: ratios in one run, with the limit.

Run ``python -m benchmarks.ways [--quick] [--only PART ...] [--json OUT]``. One thread, processor
time; the ways of a part take turns after every step. A ratio is another way's seconds over ours,
the median over turns (low, high: the quartiles). MLP 64-256-256, tasks of 10 classes.

- passes: one pass per task, as LibMTL trains tasks whose rows differ: each task's own rows go
  through the network, the losses are added; the same 512 rows in one pass here
- loader: a batch of 512 rows from PyTorch's DataLoader with default collation, and from indices of
  numpy arrays; ours is `Batches`
- alone: scikit-learn's MLPClassifier for each of four tasks, with the same layers, as many passes
  over the task's 4,000 rows and as many rows of the task a step; ours is one network for all
- torchjd: `mtl_backward` of TorchJD with PCGrad, MGDA and AlignedMTL at 8 tasks; ours combines the
  gradients at the shared features, or as TorchJD does, of the shared parameters

The limit is the time of the matrix products alone at the rate of one large product, or of the
bytes alone at the rate of one large copy, both measured in the same run; share is limit / ours.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchjd.aggregation import MGDA, AlignedMTL, PCGrad
from torchjd.autojac import jac_to_grad, mtl_backward

from benchmarks.coupling_overhead import Case, Step, objective_loss, step_of, times
from labelweave.annotations import Annotations
from labelweave.balancing import sampler
from labelweave.data._batches import Batches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Multiclass
from labelweave.training._device import ThisProcess
from labelweave.training._task_balancing import balance_of
from labelweave.training._trainer import keep_freed_memory

BATCH, FEATURES, CLASSES, WIDTH = 512, 64, 10, 256
ROWS, PASSES = 4_000, 3
Row = dict[str, Any]


def task_list(tasks: int) -> tuple[Multiclass, ...]:
    """Return so many tasks of ten classes."""
    return tuple(Multiclass(f"task{i}", tuple("abcdefghij")) for i in range(tasks))


def scattered(tasks: int, rows: int) -> dict[str, Tensor]:
    """Return labels of rows that carry one task each, -1 = missing, task after task."""
    owner = torch.arange(rows) * tasks // rows
    codes = torch.randint(CLASSES, (rows,))
    return {f"task{t}": torch.where(owner == t, codes, -1) for t in range(tasks)}


def case_of(tasks: int) -> Case:
    """Return a batch of rows that carry one task each."""
    every = task_list(tasks)
    labels = scattered(tasks, BATCH)
    return Case(
        every, [], torch.randn(BATCH, FEATURES), labels,
        lambda: MultiTaskNetwork(backbone("mlp", FEATURES), every),
    )  # fmt: skip


def product_seconds(tasks: int, rows: int, rate: float) -> float:
    """Return the seconds of a step's matrix products: forward, and twice that backward."""
    weights = FEATURES * WIDTH + WIDTH * WIDTH + WIDTH * CLASSES * tasks
    return 3 * 2 * rows * weights / rate


def one_pass_per_task(tasks: int) -> Step:
    """Return a step that runs the network once for every task, on the task's own rows."""
    case = case_of(tasks)
    torch.manual_seed(0)
    network = case.network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    parts = []
    for task in case.tasks:
        own = case.labels[task.name] >= 0
        parts.append((task.name, case.inputs[own], case.labels[task.name][own]))

    def step() -> None:
        losses = [F.cross_entropy(network(x)[name], codes) for name, x, codes in parts]
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def passes(turns: int, rates: dict[str, float]) -> list[Row]:
    """Return the cost of one pass per task over one pass for all, by the number of tasks."""
    rows = []
    for tasks in (2, 4, 8, 16):
        case = case_of(tasks)
        seconds = times([step_of(case, objective_loss(case, {})), one_pass_per_task(tasks)], turns)
        limit = product_seconds(tasks, BATCH, rates["product"])
        rows += compared(f"passes, {tasks} tasks", ["one pass per task"], seconds, limit)
    return rows


class Rows(Dataset[dict[str, Any]]):
    """Rows as a PyTorch data set gives them: one dictionary each."""

    def __init__(self, inputs: Tensor, labels: dict[str, Tensor]) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> dict[str, Any]:
        own = {name: codes[row] for name, codes in self.labels.items()}
        return {"inputs": self.inputs[row], **own}


def loader(turns: int, rates: dict[str, float]) -> list[Row]:
    """Return the cost of a batch of four tasks from other loaders over that of `Batches`."""
    n, tasks = 100_000, 4
    labels = scattered(tasks, n)
    inputs = torch.randn(n, FEATURES)
    arrays = {name: codes.numpy() for name, codes in labels.items()}
    annotations = Annotations(task_list(tasks), arrays)
    batches = Batches(
        inputs.numpy(), annotations, sampler("proportional", [np.arange(n)], BATCH, 0)
    )
    endless = iter(DataLoader(Rows(inputs, labels), batch_size=BATCH, shuffle=True, drop_last=True))
    order, x = np.random.default_rng(0).permutation(n), inputs.numpy()
    place = iter(range(10**9))

    def ours() -> None:
        batches[next(place)]

    def by_loader() -> None:
        next(endless)

    def by_numpy() -> None:
        start = next(place) * BATCH % (n - BATCH)
        chosen = order[start : start + BATCH]
        torch.from_numpy(x[chosen])
        for codes in arrays.values():
            torch.from_numpy(codes[chosen])

    size = 2 * BATCH * (FEATURES * 4 + tasks * 8)  # read and written
    seconds = times([ours, by_loader, by_numpy], min(turns, 150))
    names = ["DataLoader, default collation", "numpy gather"]
    return compared("loader, 4 tasks", names, seconds, size / rates["bytes"])


def alone(turns: int, rates: dict[str, float]) -> list[Row]:
    """Return the cost of scikit-learn's network for each task over that of one for all."""
    tasks = 4
    every, rng = task_list(tasks), np.random.default_rng(0)
    inputs = rng.standard_normal((tasks * ROWS, FEATURES), dtype=np.float32)
    labels = scattered(tasks, tasks * ROWS)
    annotations = Annotations(every, {name: codes.numpy() for name, codes in labels.items()})
    steps = PASSES * tasks * ROWS // BATCH

    def ours() -> None:
        torch.manual_seed(0)
        network = MultiTaskNetwork(backbone("mlp", FEATURES), every)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        objective = Objective(every)
        found = [np.arange(tasks * ROWS)]
        batches = Batches(inputs, annotations, sampler("proportional", found, BATCH, 0))
        for step in range(steps):
            batch = batches[step]
            total = objective(network(batch.inputs), batch.labels).total
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()

    def theirs() -> None:
        for task in every:
            own = labels[task.name].numpy() >= 0
            network = MLPClassifier((WIDTH, WIDTH), batch_size=BATCH // tasks)
            # a pass each, as in its fit, which would warn that so few do not converge
            for _ in range(PASSES):
                network.partial_fit(
                    inputs[own], labels[task.name].numpy()[own], classes=np.arange(CLASSES)
                )

    seconds = times([ours, theirs], max(3, turns // 60))
    limit = steps * product_seconds(tasks, BATCH, rates["product"])
    return compared("alone, 4 tasks", ["MLPClassifier for each task"], seconds, limit)


def balanced(choice: Any, case: Case) -> Step:
    """Return a step with one of our gradient methods."""
    torch.manual_seed(0)
    network = case.network()
    assert isinstance(network, MultiTaskNetwork)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    objective, balance = Objective(case.tasks), balance_of(choice, network, ThisProcess())
    assert balance is not None

    def step() -> None:
        logits = network(case.inputs)
        loss = objective(logits, case.labels, weigh=lambda *given: balance.weigh(0, *given))
        optimizer.zero_grad(set_to_none=True)
        balance.backward(loss.total, logits)
        optimizer.step()

    return step


def by_torchjd(aggregator: Any, case: Case) -> Step:
    """Return the step as TorchJD's documentation writes it: a separate head for each task."""
    torch.manual_seed(0)
    body = backbone("mlp", FEATURES)
    heads = nn.ModuleList(nn.Linear(WIDTH, task.width) for task in case.tasks)
    shared = list(body.parameters())
    optimizer = torch.optim.AdamW([*shared, *heads.parameters()], lr=1e-3, fused=True)

    def step() -> None:
        features = body(case.inputs)
        losses = [
            F.cross_entropy(head(features), case.labels[task.name], ignore_index=-1)
            for task, head in zip(case.tasks, heads, strict=True)
        ]
        optimizer.zero_grad(set_to_none=True)
        mtl_backward(losses, features=features, shared_params=shared)
        jac_to_grad(shared, aggregator)
        optimizer.step()

    return step


def torchjd(turns: int, rates: dict[str, float]) -> list[Row]:
    """Return the cost of gradient methods by TorchJD over ours, at eight tasks."""
    case, rows = case_of(8), []
    limit = product_seconds(8, BATCH, rates["product"])
    theirs = {"pcgrad": PCGrad, "mgda": MGDA, "aligned_mtl": AlignedMTL}
    for name, method in theirs.items():
        steps = [
            balanced(name, case),
            by_torchjd(method(), case),
            balanced({name: {"gradients": "parameters"}}, case),
        ]
        seconds = times(steps, max(5, turns // 4))
        names = ["TorchJD", "ours, gradients of parameters"]
        rows += compared(f"torchjd, {name}", names, seconds, limit)
    return rows


def compared(case: str, others: Sequence[str], seconds: Any, limit: float) -> list[Row]:
    """Return the rows of a part: ours in milliseconds and its share of the limit, then ratios."""
    ours = float(np.median(seconds[:, 0]))
    rows: list[Row] = [
        {"case": case, "method": "ours", "metric": "milliseconds", "mean": 1e3 * ours},
        {"case": case, "method": "limit", "metric": "milliseconds", "mean": 1e3 * limit},
        {"case": case, "method": "ours", "metric": "share of the limit", "mean": limit / ours},
    ]
    for name, ratio in zip(others, (seconds[:, 1:] / seconds[:, :1]).T, strict=True):
        low, middle, high = (float(q) for q in np.quantile(ratio, (0.25, 0.5, 0.75)))
        rows.append({
            "case": case, "method": name, "metric": "ratio", "mean": middle, "low": low,
            "high": high,
        })  # fmt: skip
    return rows


def machine_rates() -> dict[str, float]:
    """Return the rates of one thread: operations a second of a product, bytes a second of a copy.

    The best of several tries: a limit is what the machine can do.
    """
    a, b, source = torch.randn(1024, 1024), torch.randn(1024, 1024), torch.randn(2**25)
    target, product = torch.empty_like(source), torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=product)

    def copy() -> None:
        target.copy_(source)

    def best(work: Step) -> float:
        return min(float(seconds) for seconds in times([work], 9)[:, 0])

    return {
        "product": 2 * 1024**3 / best(multiply),
        "bytes": 2 * source.nbytes / best(copy),
    }


PARTS: dict[str, Callable[[int, dict[str, float]], list[Row]]] = {
    "passes": passes, "loader": loader, "alone": alone, "torchjd": torchjd,
}  # fmt: skip


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the turns")
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), help="parts")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the trainer does
    rates = machine_rates()
    print(f"product {rates['product'] / 1e9:.1f} GFLOP/s, copy {rates['bytes'] / 1e9:.1f} GB/s")
    rows: list[Row] = []
    for part in options.only or PARTS:
        for row in PARTS[part](60 if options.quick else 300, rates):
            rows.append(row)
            spread = f" ({row['low']:.2f} to {row['high']:.2f})" if "low" in row else ""
            print(
                f"{row['case']:20} {row['method']:30} {row['metric']:19} {row['mean']:9.3f}"
                + spread,
                flush=True,
            )
    if options.json is not None:
        found = {"rates": rates, "rows": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

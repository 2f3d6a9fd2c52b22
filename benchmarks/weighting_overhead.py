"""What weighing the tasks costs: a training step with each weighting over one with the plain sum.

Run ``python -m benchmarks.weighting_overhead [--quick] [--json OUT]``. 8 tasks of 6 classes, each
labelled on a quarter of 512 rows, and an MLP 64-256-256; or the residual network of 11 M weights of
`benchmarks.residual_network` on 32 images. A step is forward, objective, backward and fused AdamW
on one thread; the methods take turns after every step, and the ratio is the median over turns of
the ratio within a turn (low, high: the quartiles), in the processor's time. Aim for the gradient
methods on the features: at most 1.15.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.coupling_overhead import Step, times
from benchmarks.residual_network import cnn
from labelweave._options import Named
from labelweave.balancing import WEIGHTINGS
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Multiclass
from labelweave.training._task_balancing import balance_of

TASKS = tuple(Multiclass(f"task{i}", tuple("abcdef")) for i in range(8))
AIM = 1.15


def step_of(choice: Named, body: nn.Module, features: int, inputs: Tensor) -> Step:
    """Return a training step of a fresh network with a weighting, as the trainer does it."""
    torch.manual_seed(0)
    network = MultiTaskNetwork(body, TASKS, features)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    objective = Objective(TASKS)
    labels = {
        task.name: torch.where(torch.rand(len(inputs)) < 0.25, torch.randint(6, (len(inputs),)), -1)
        for task in TASKS
    }
    balance = balance_of(choice, network, Fabric(accelerator="cpu", devices=1))

    def step() -> None:
        logits = network(inputs)
        if balance is None:
            total = objective(logits, labels).total
            optimizer.zero_grad(set_to_none=True)
            total.backward()
        else:
            loss = objective(logits, labels, weigh=lambda *given: balance.weigh(0, *given))
            optimizer.zero_grad(set_to_none=True)
            balance.backward(loss.total, logits)
        optimizer.step()
        if balance is not None and balance.looks_back:
            with torch.no_grad():
                balance.look_back(objective(network(inputs), labels).raw)

    return step


def main() -> None:
    """Measure, print a table and write the rows as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    choices: dict[str, Named] = {name: name for name in WEIGHTINGS}
    choices["upgrad, parameters"] = {"upgrad": {"gradients": "parameters"}}
    rows: list[dict[str, Any]] = []
    for case in ("mlp", "cnn"):
        chosen = choices if case == "mlp" else {name: name for name in ("sum", "upgrad", "cagrad")}
        steps = []
        for choice in chosen.values():
            if case == "mlp":
                body, features, inputs = backbone("mlp", 64), 256, torch.randn(512, 64)
                steps.append(step_of(choice, body, features, inputs))
            else:
                steps.append(step_of(choice, cnn(), 512, torch.randn(32, 3, 64, 64)))
        turns = (40, 3)[case == "cnn"] if options.quick else (160, 8)[case == "cnn"]
        seconds = times(steps, turns)
        print(f"{case}: a step with the sum takes {1e3 * np.median(seconds[:, 0]):.1f} ms")
        for name, ratio in zip(chosen, (seconds / seconds[:, :1]).T, strict=True):
            low, middle, high = (float(q) for q in np.quantile(ratio, (0.25, 0.5, 0.75)))
            rows.append({
                "case": case, "method": name, "metric": "ratio", "mean": middle, "low": low,
                "high": high, "seeds": turns,
            })  # fmt: skip
            each = WEIGHTINGS[name.partition(",")[0]]
            aim = each.kind == "gradient" and "," not in name
            note = f"  (aim: at most {AIM})" if aim else ""
            print(f"{case:4} {name:20} {middle:6.3f} ({low:.3f} to {high:.3f}){note}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What it costs to look at the gradients of the tasks while training.

Run: python -m benchmarks.diagnostics [--pairs 7] [--steps 800]

Eight tasks of leaves' size, 256-256 mlp, batches of 128, CPU time of whole trainings with and
without, in turn, in one process.
"""

import argparse
import time

import numpy as np
import torch

from labelweave.annotations import Annotations
from labelweave.balancing import Equal
from labelweave.data._batches import Batches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.tasks import Multiclass
from labelweave.training import Trainer, TrainingConfig

ROWS, INPUTS, CLASSES = 1400, 80, (32, 9, 5, 4, 3, 2, 2, 2)


def seconds(steps: int, diagnose: bool) -> float:
    """Return the CPU time of one training."""
    rng = np.random.default_rng(0)
    tasks = tuple(Multiclass(f"t{i}", tuple(map(str, range(k)))) for i, k in enumerate(CLASSES))
    codes = {task.name: rng.integers(-1, task.width, ROWS) for task in tasks}
    inputs = rng.standard_normal((ROWS, INPUTS)).astype(np.float32)
    torch.manual_seed(0)
    network = MultiTaskNetwork(backbone("mlp", INPUTS), tasks)
    sampler = Equal([np.arange(64), np.arange(64, ROWS)], 128, 0)
    batches = Batches(inputs, Annotations(tasks, codes), sampler)
    trainer = Trainer(TrainingConfig(accelerator="cpu"), diagnose=diagnose)
    start = time.process_time()
    trainer.fit(network, Objective(tasks), batches, steps)
    return time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=800)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seconds(50, True)
    ratios = []
    for _ in range(given.pairs):
        without, with_ = seconds(given.steps, False), seconds(given.steps, True)
        ratios.append(with_ / without)
        print(f"without {without:.3f} s, with {with_:.3f} s, ratio {ratios[-1]:.4f}", flush=True)
    print(f"median ratio {np.median(ratios):.4f}")

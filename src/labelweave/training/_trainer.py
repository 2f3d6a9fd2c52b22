"""The trainer: what a run needs, and its start."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from labelweave.data._batches import Batches
from labelweave.errors import LabelweaveError
from labelweave.losses import Objective
from labelweave.training._config import TrainingConfig
from labelweave.training._device import device_of
from labelweave.training._history import History
from labelweave.training._loop import Interrupt, Loop, LoopSettings, Validate, Watch
from labelweave.training._optimiser import Network

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BLOCK = 16 * 2**20  # bytes


def keep_freed_memory() -> None:
    """Have the C library keep what is freed at the end of its heap, up to twice a block's size.

    glibc hands it back to the system above twice the largest block that was ever freed, and every
    step then faults the same pages in anew: with 50 relations a tenth of its time. So one block is
    freed here, never written to. Other C libraries are not touched by it.
    """
    torch.empty(BLOCK, dtype=torch.uint8)


RANK_SEED = 1_000_003  # apart, so that processes do not drop the same units
SMALL_STEP = 50_000_000  # weights x rows of a step below which a second thread does not pay


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Train on one thread inside the block when a step is small.

    Threads that wait for each other at every small layer cost more than they save, most of all on
    a busy machine.

    Args:
        work: the network's weights times the rows of a step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < SMALL_STEP else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Trainer:
    """Trains a `MultiTaskNetwork`, or several `SideBySide`, on batches by an objective.

    With a folder, the run writes ``last.safetensors`` (everything needed to go on), with early
    stopping ``best.safetensors``, and ``log.jsonl``. Started again on the same folder it goes on
    where it stopped and ends with the weights of an unbroken run; Ctrl-C saves before it stops.

    Args:
        config: the settings.
        seed: decides dropout and every other random number of the loop.
        folder: where to keep checkpoints and log; None = nowhere.
        fabric: your own launched Fabric, for several devices.
        progress: show a progress bar when on a terminal.
        title: text before the bar.
        diagnose: note at some of the records what gradient each task gets; changes no weight.
        watch: called after every evaluation with its number from 1 and the scores; may raise
            `Stopped`.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        seed: int = 0,
        folder: Path | None = None,
        fabric: "Fabric | None" = None,
        progress: bool = False,
        title: str = "training",
        diagnose: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self.config, self.seed, self.folder = config, seed, folder
        self.fabric = fabric or device_of(config)
        self.progress, self.title = progress, title
        self.diagnose, self.watch = diagnose, watch

    def fit(
        self,
        network: Network,
        objective: Objective,
        batches: Batches,
        steps: int,
        validate: Validate | None = None,
    ) -> History:
        """Train the network in place and return the history.

        Args:
            network: the network; ends with the last weights, or the best ones with `patience`.
            objective: the loss.
            batches: step to batch; on the fabric's device.
            steps: optimiser steps.
            validate: scores per task on the validation rows, higher is better, None = no label.

        Raises:
            LabelweaveError: the folder holds the checkpoint of a run of other length or network,
                or a damaged one.
            TrainingError: a loss term is not finite; names term, step and some rows. Or a weight
                is not. The last checkpoint is one from before.
            KeyboardInterrupt: after Ctrl-C, when the state is saved.
        """
        if self.config.patience is not None and validate is None:
            raise LabelweaveError("training: patience needs validation rows, found none")
        setting = LoopSettings(
            self.config, self.seed, self.folder, self.fabric, self.progress, self.title,
            self.diagnose, self.watch,
        )  # fmt: skip
        keep_freed_memory()
        work = sum(p.numel() for p in network.parameters()) * self.config.batch_size
        with torch.random.fork_rng(), threads_for(work), Interrupt() as interrupt:
            torch.manual_seed(self.seed + RANK_SEED * self.fabric.global_rank)
            return Loop(setting, network, objective, batches, steps, validate).train(interrupt)

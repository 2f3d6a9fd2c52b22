"""One call of `Trainer.fit`: the state of the training loop and its steps."""

import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from labelweave._progress import StepBar
from labelweave.data._batches import Batch, Batches
from labelweave.errors import LabelweaveError, TrainingError, listing
from labelweave.losses import Logits, Loss, Objective
from labelweave.losses._objective import Weigh
from labelweave.networks import MultiTaskNetwork
from labelweave.training._augmentation import augmentation
from labelweave.training._checkpoint import (
    check_finite,
    load_tensors,
    restore_training_state,
    save_tensors,
    training_state,
)
from labelweave.training._config import TrainingConfig
from labelweave.training._device import Device, ThisProcess, adds_nothing, shares_weights
from labelweave.training._diagnostics import head_gradients, probes, shares_and_cosines
from labelweave.training._history import LOG, History, Window
from labelweave.training._optimiser import (
    AdamW,
    Network,
    Optimizer,
    clip_each,
    one_cycle,
    optimizer_of,
)
from labelweave.training._sharding import same_buffers, sharded, whole_each
from labelweave.training._task_balancing import balance_of

Validate = Callable[[MultiTaskNetwork], Mapping[str, float | None]]
Watch = Callable[[int, Mapping[str, float | None]], None]


@dataclass(frozen=True)
class LoopSettings:
    """How the loop runs; see `labelweave.training.Trainer`."""

    config: TrainingConfig
    seed: int
    folder: Path | None
    fabric: Device
    progress: bool
    title: str
    diagnose: bool
    watch: Watch | None


@dataclass
class EarlyStopping:
    """Remembers the best weights and how long ago they were found.

    Tasks without validation labels (score None) are left out of the mean, and named in a warning.

    Args:
        patience: evaluations without a better score after which to stop; None = never stop, and
            the last weights are taken.
    """

    patience: int | None
    best: float = float("-inf")
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    warned: bool = False

    def update(self, scores: Mapping[str, float | None], weights: Mapping[str, Tensor]) -> bool:
        """Take in one evaluation; return whether it is the best so far."""
        if self.patience is None:
            return False
        left_out = [name for name, score in scores.items() if score is None]
        if left_out and not self.warned:
            self.warned = True
            warnings.warn(
                f"early stopping leaves out tasks without validation labels: {listing(left_out)}",
                stacklevel=2,
            )
        known = [score for score in scores.values() if score is not None]
        if not known:
            return False
        mean = sum(known) / len(known)
        if not mean > self.best:  # a mean that is no number is no better one
            self.waited += 1
            return False
        self.best, self.waited = mean, 0
        self.weights = {name: value.detach().cpu().clone() for name, value in weights.items()}
        return True

    @property
    def stop(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def tensors(self) -> dict[str, Tensor]:
        """Return the best weights, for a checkpoint."""
        return {f"best/{name}": value for name, value in self.weights.items()}

    def state(self) -> dict[str, Any]:
        """Return what else a checkpoint needs, JSON-able."""
        return {"best": self.best if self.weights else None, "waited": self.waited}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take back what `tensors` and `state` gave."""
        self.waited = state["waited"]
        self.best = float("-inf") if state["best"] is None else state["best"]
        self.weights = {k[5:]: v for k, v in tensors.items() if k.startswith("best/")}


class Interrupt:
    """Turns Ctrl-C into a question that the loop asks between two steps; a second one stops it."""

    def __init__(self) -> None:
        self.asked = False
        self.previous: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)  # type: ignore[arg-type]


RECORDS = 100  # a run's history has about this many records, whatever its length


class Loop:
    """One call of `Trainer.fit`: the state of the loop and its steps."""

    def __init__(
        self,
        setting: LoopSettings,
        network: Network,
        objective: Objective,
        batches: Batches,
        steps: int,
        validate: Validate | None,
    ) -> None:
        self.setting, self.config, self.fabric = setting, setting.config, setting.fabric
        self.batches, self.steps, self.validate = batches, steps, validate
        self.shared = shares_weights(self.fabric)
        self.given, self.network = network, sharded(network) if self.shared else network
        self.objective = objective.to(self.fabric.device)
        self.augment = augmentation(self.config.augment, setting.seed, self.fabric.global_rank)
        self.bare = adds_nothing(self.fabric)
        self.module, self.optimizer = self._set_up()
        self.weights = list(self.network.parameters())
        # the network of several tasks; those side by side share nothing to look at or to balance
        self.joint = self.network if isinstance(self.network, MultiTaskNetwork) else None
        choice = self.config.weighting
        self.balance = None if self.joint is None else balance_of(choice, self.joint, self.fabric)
        self.step = 0
        self.history = History()
        self.window = Window(max(1, steps // RECORDS))
        self.stopping = EarlyStopping(self.config.patience)
        # one task alone gets all of the gradient
        self.probes = (
            probes(steps) if setting.diagnose and self.joint and len(network.tasks) > 1 else 0
        )
        self.gradients: torch.Tensor | None = None
        self.saved = time.monotonic()
        # where the first process writes checkpoints, all of them hand it their shares
        self.gathers = self.shared and self.fabric.broadcast(setting.folder is not None)
        self._resume()

    def _set_up(self) -> tuple[nn.Module, Optimizer]:
        if isinstance(self.fabric, ThisProcess):
            return self.network, optimizer_of(self.network, self.config, self.fabric)
        # in this order: the optimiser takes the weights as they are on the device
        module = self.fabric.setup_module(self.network)
        optimizer = optimizer_of(self.network, self.config, self.fabric)
        if self.bare:  # Fabric's wrappers cost a tenth of a small network's step
            return self.network, optimizer
        return module, self.fabric.setup_optimizers(optimizer)  # type: ignore[return-value,arg-type]

    def train(self, interrupt: Interrupt) -> History:
        """Train to the end and return the history; stop, saved, when the interrupt is asked for."""
        try:
            return self._train(interrupt)
        finally:
            if self.balance is not None:
                self.balance.close()

    def _train(self, interrupt: Interrupt) -> History:
        with StepBar(self.steps, self.setting.title, self.setting.progress) as bar:
            while self.step < self.steps and not self.stopping.stop:
                due = self._evaluated(self.step + 1) > self._evaluated(self.step)
                recorded = due or self.window.filled + 1 == self.window.size
                self._train_step(probe=recorded and self._probe_due())
                if recorded:
                    self._record(due)
                    bar.update(self.step, self.history.records[-1]["raw"])
                if interrupt.asked:
                    if not self.shared:  # the others may be at another step: nothing to gather
                        self._check()
                        self._save()
                    raise KeyboardInterrupt
        self._save()
        if self.shared or self.stopping.weights:
            best = self.stopping.weights or whole_each(self.network.state_dict())
            self.given.to(self.fabric.device).load_state_dict(best)
        self.given.eval()
        return self.history

    def _evaluated(self, step: int) -> int:
        return step * self.config.evaluations // self.steps

    def _probe_due(self) -> bool:
        """Return whether a look at the gradients is due since the last record."""
        last = self.history.records[-1]["step"] if self.history.records else 0
        return (self.step + 1) * self.probes // self.steps > last * self.probes // self.steps

    def _train_step(self, probe: bool) -> None:
        rate = one_cycle(self.step, self.steps, self.config.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        if not self.network.training:  # evaluation ends it; walking all modules each step is slow
            self.module.train()
        batch = self.batches[self.step]
        batch = batch._replace(inputs=self.augment(batch.inputs, self.step))
        loss, logits = self._backward(batch, probe)
        if probe and self.joint is not None:
            self.gradients = head_gradients(logits, self.joint, self.balance)
        if self.config.clip is not None:
            self._clip(self.config.clip)
        self.optimizer.step()
        if self.balance is not None and self.balance.looks_back:
            with torch.no_grad():
                again = self._loss(self.module(batch.inputs), batch)
            self.balance.look_back(again.raw[: len(self.network.tasks)])
        self.window.add(loss)
        self.step += 1

    def _backward(self, batch: Batch, probe: bool) -> tuple[Loss, Logits]:
        balance = self.balance
        with nullcontext() if balance is None else balance.forward_pass(self.module):
            logits = self.module(batch.inputs)
        if probe:
            for scores in logits.values():
                scores.retain_grad()
        weigh = None if balance is None else partial(balance.weigh, self.step)
        loss = self._loss(logits, batch, weigh)
        for weight in self.weights:
            weight.grad = None
        if balance is None and self.bare:
            loss.total.backward()  # type: ignore[no-untyped-call]
        elif balance is None:
            self.fabric.backward(loss.total)
        else:
            balance.backward(loss.total, logits)
        return loss, logits

    def _loss(self, logits: Logits, batch: Batch, weigh: Weigh | None = None) -> Loss:
        return self.objective(  # type: ignore[no-any-return]
            logits, batch.labels, self.step / self.steps, self._reduce(),
            source=batch.source, teachers=batch.teachers, weigh=weigh,
        )  # fmt: skip

    def _clip(self, most: float) -> None:
        if self.bare or isinstance(self.optimizer, AdamW) or isinstance(self.fabric, ThisProcess):
            (nn.utils.clip_grad_norm_ if self.joint else clip_each)(self.weights, most)
            return
        self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=most, error_if_nonfinite=False
        )

    def _reduce(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        if self.fabric.world_size == 1:
            return None
        # gradients are averaged over the processes, so counts are averaged too
        return self._mean

    def _mean(self, values: torch.Tensor) -> torch.Tensor:
        return self.fabric.all_reduce(values, reduce_op="mean")  # type: ignore[return-value]

    def _check(self) -> None:
        bad = self.window.first_bad()
        if bad is None:
            return
        place, term, value = bad
        step = self.step - self.window.filled + place
        rows = ", ".join(str(row) for row in self.batches.rows(step, term)[:8])
        raise TrainingError(
            f"step {step + 1}: loss term '{term}' is {value}, expected a finite number "
            f"(batch of rows {rows}, ...)"
        )

    def _record(self, evaluate: bool) -> None:
        if self.fabric.world_size > 1:  # each process has the sums of its rows over a mean count
            self.window.average(self._mean)
        self._check()
        record = {"step": self.step, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        record |= self.window.means()
        if self.gradients is not None:
            names = [task.name for task in self.network.tasks]
            record["gradients"] = shares_and_cosines(self.gradients, names)
            self.gradients = None
        if self.shared:
            same_buffers(self.network)
        if evaluate and self.validate is not None and self.joint is not None:
            scores = {
                name: None if score is None else float(score)
                for name, score in self.validate(self.joint).items()
            }
            record["validation"] = scores
            if self.setting.watch is not None:
                self.setting.watch(self._evaluated(self.step), scores)
            weights = self.network.state_dict() if self.config.patience is not None else {}
            if self.stopping.update(scores, whole_each(weights)) and self._writes:
                assert self.setting.folder is not None
                best = {f"network/{k}": v for k, v in self.stopping.weights.items()}
                save_tensors(self.setting.folder / "best.safetensors", best, {"step": self.step})
        self.history.records.append(record)
        # all of them save at once, by the clock of the first
        if self.fabric.broadcast(time.monotonic() - self.saved > self.config.checkpoint_seconds):
            self._save()

    def _save(self) -> None:
        check_finite(self.network, self.step)
        self.saved = time.monotonic()
        folder = self.setting.folder
        if not (self._writes or self.gathers):
            return
        tensors = whole_each(training_state(self.network, self.optimizer), keep=self._writes)
        if folder is None or not self._writes:
            return
        tensors |= self.window.tensors()
        if self.balance is not None:
            tensors |= self.balance.tensors()
        tensors |= self.stopping.tensors()
        state = {
            "step": self.step,
            "steps": self.steps,
            "names": self.window.names,
            "records": self.history.records,
            **self.stopping.state(),
        }
        save_tensors(folder / "last.safetensors", tensors, state)
        self.history.write(folder / LOG)

    @property
    def _writes(self) -> bool:
        return self.setting.folder is not None and self.fabric.is_global_zero

    def _resume(self) -> None:
        path = self.setting.folder / "last.safetensors" if self.setting.folder else None
        found = load_tensors(path) if path is not None and self._writes and path.exists() else None
        if self.fabric.world_size > 1:  # the others need not see the folder
            path, found = self.fabric.broadcast((path, found))
        if found is None:
            return
        tensors, state = found
        if state.get("steps") != self.steps:
            raise LabelweaveError(
                f"{path}: a checkpoint of a run of {state.get('steps')} steps, "
                f"expected {self.steps}; remove the folder to start anew"
            )
        try:
            restore_training_state(tensors, self.network, self.optimizer)
            if self.balance is not None:
                self.balance.restore(tensors)
        except (RuntimeError, LookupError, ValueError):
            raise LabelweaveError(
                f"{path}: a checkpoint of another network; remove the folder to start anew"
            ) from None
        if not self.fabric.is_global_zero:  # the random numbers are those of the first process
            torch.manual_seed(self.setting.seed + state["step"] + self.fabric.global_rank)
        self.window.restore(tensors, tuple(state["names"]), self.fabric.device)
        self.step, self.history = state["step"], History(state["records"])
        self.stopping.restore(tensors, state)

"""Early stopping on the mean over tasks of the validation score."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from labelweave.errors import listing


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

"""Early stopping on the mean over tasks of the validation score."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class EarlyStopping:
    """Remembers the best weights and how long ago they were found.

    Tasks without validation labels (score None) are left out of the mean.

    Args:
        patience: evaluations without a better score after which to stop; None = never stop, and
            the last weights are taken.
    """

    patience: int | None
    best: float = float("-inf")
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def update(self, scores: Mapping[str, float | None], weights: Mapping[str, Tensor]) -> bool:
        """Take in one evaluation; return whether it is the best so far."""
        known = [score for score in scores.values() if score is not None]
        if self.patience is None or not known:
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

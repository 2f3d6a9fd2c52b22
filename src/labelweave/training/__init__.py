"""Training: the loop, its settings, checkpoints and history."""

from labelweave.training._augmentation import AugmentConfig
from labelweave.training._config import TrainingConfig
from labelweave.training._history import History
from labelweave.training._trainer import Trainer

__all__ = [
    "AugmentConfig",
    "History",
    "Trainer",
    "TrainingConfig",
]

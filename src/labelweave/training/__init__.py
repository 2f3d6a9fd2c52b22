"""Training: the loop, its settings, checkpoints and history."""

from labelweave.training._augmentation import AugmentConfig, augmentation
from labelweave.training._checkpoint import load_tensors, save_tensors
from labelweave.training._config import TRAINING_SPACE, TrainingConfig
from labelweave.training._diagnostics import mean_gradients, speeds
from labelweave.training._history import LOG, History
from labelweave.training._loop import Watch, adds_nothing
from labelweave.training._optimiser import one_cycle
from labelweave.training._trainer import SMALL_STEP, Trainer, keep_freed_memory

__all__ = [
    "LOG",
    "SMALL_STEP",
    "TRAINING_SPACE",
    "AugmentConfig",
    "History",
    "Trainer",
    "TrainingConfig",
    "Watch",
    "adds_nothing",
    "augmentation",
    "keep_freed_memory",
    "load_tensors",
    "mean_gradients",
    "one_cycle",
    "save_tensors",
    "speeds",
]

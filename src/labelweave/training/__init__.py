"""Training: the loop, its settings, checkpoints and history."""

from labelweave.training.augmentation import AugmentConfig, augmentation
from labelweave.training.checkpoint import load_tensors, save_tensors
from labelweave.training.config import TRAINING_SPACE, TrainingConfig
from labelweave.training.diagnostics import mean_gradients, speeds
from labelweave.training.history import LOG, History
from labelweave.training.memory import keep_freed_memory
from labelweave.training.schedule import one_cycle
from labelweave.training.setting import Watch, adds_nothing
from labelweave.training.threads import SMALL_STEP
from labelweave.training.trainer import Trainer

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

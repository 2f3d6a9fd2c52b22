"""Training: the loop, its settings, checkpoints and history."""

from labelweave.training.checkpoint import load_tensors, save_tensors
from labelweave.training.config import TrainingConfig
from labelweave.training.history import History
from labelweave.training.schedule import one_cycle
from labelweave.training.trainer import Trainer

__all__ = ["History", "Trainer", "TrainingConfig", "load_tensors", "one_cycle", "save_tensors"]

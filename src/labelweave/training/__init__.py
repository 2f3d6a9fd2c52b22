"""Training: the loop, its settings, checkpoints and history."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.training._config import AugmentConfig, TrainingConfig
    from labelweave.training._history import History
    from labelweave.training._trainer import Trainer
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_config": ["AugmentConfig", "TrainingConfig"],
            "_history": ["History"],
            "_trainer": ["Trainer"],
        },
    )

__all__ = [
    "AugmentConfig",
    "History",
    "Trainer",
    "TrainingConfig",
]

"""How a training loop runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labelweave.networks import MultiTaskNetwork, SideBySide
from labelweave.training.config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Network = MultiTaskNetwork | SideBySide
Validate = Callable[[MultiTaskNetwork], Mapping[str, float | None]]
Watch = Callable[[int, Mapping[str, float | None]], None]


@dataclass(frozen=True)
class Setting:
    """How the loop runs; see `labelweave.training.Trainer`."""

    config: TrainingConfig
    seed: int
    folder: Path | None
    fabric: "Fabric"
    progress: bool
    title: str
    diagnose: bool
    watch: Watch | None


def adds_nothing(fabric: "Fabric") -> bool:
    """Return whether Fabric's wrappers do nothing: one device, full precision."""
    from lightning_fabric.strategies.single_device import SingleDeviceStrategy

    strategy = fabric.strategy
    return isinstance(strategy, SingleDeviceStrategy) and strategy.precision.precision == "32-true"

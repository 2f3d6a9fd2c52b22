"""The options of the backbones, with their bounds and what a search may try."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from labelweave._options import Options
from labelweave._search_space import Choice, Space, Uniform

TIMM_PREFIX = "timm:"
MOST_LAYERS = 100
Width = Annotated[int, Field(ge=1, le=65_536)]
"""The size of a layer, or of a side of an image."""
Pooling = Literal["mean", "first"]


class MlpOptions(Options):
    """hidden, dropout: see `mlp`."""

    space: ClassVar[Space] = {
        "hidden": Choice(([128], [256], [128, 128], [256, 256], [512, 512])),
        "dropout": Uniform(0.0, 0.6),
    }
    hidden: list[Width] = Field(default=[256, 256], max_length=MOST_LAYERS)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class CnnOptions(Options):
    """shape, channels, hidden, dropout: see `cnn`."""

    space: ClassVar[Space] = {
        "channels": Choice(([16], [16, 32], [32, 64], [16, 32, 64])),
        "hidden": Choice(([128], [256], [256, 256])),
        "dropout": Uniform(0.0, 0.6),
    }
    shape: list[Width] = Field(default=[], max_length=3)
    channels: list[Width] = Field(default=[16, 32], max_length=MOST_LAYERS)
    hidden: list[Width] = Field(default=[256, 256], max_length=MOST_LAYERS)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class HuggingFaceOptions(Options):
    """config, pooling, architecture: see `hugging_face`."""

    config: Mapping[str, Any] | None = None
    pooling: Pooling | None = None
    architecture: Mapping[str, Any] | None = None


class TimmOptions(Options):
    """config, weights, statistics: see `timm_model`."""

    config: Mapping[str, Any] | None = None
    weights: str | None = None
    statistics: Mapping[str, Any] | None = None


class ModuleOptions(Options):
    """config: see `own_module`."""

    config: Mapping[str, Any] | None = None

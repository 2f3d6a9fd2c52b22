"""The section of a study file that says which network."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from labelweave.errors import listing, nearest
from labelweave.networks import BACKBONES, backbone_options
from labelweave.study.sections import Section


class NetworkSection(Section):
    """The shared backbone.

    Attributes:
        backbone: ``mlp``, ``linear``, or ``cnn`` for small images.
        hidden: sizes of the hidden layers of an mlp, or of those after a cnn's convolutions.
        dropout: share of hidden units dropped in training.
        shape: of a cnn's images that are given as columns: channels, height and width, for example
            ``[1, 28, 28]``; the columns go channel by channel, row by row. Such columns want
            ``inputs: {scale: together}``.
        channels: channels of a cnn's convolutions, each of which halves height and width.
    """

    backbone: str = "mlp"
    hidden: list[Annotated[int, Field(ge=1)]] = Field(default=[256, 256], min_length=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None, min_length=3, max_length=3
    )
    channels: list[Annotated[int, Field(ge=1)]] = Field(default=[16, 32], min_length=1)

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BACKBONES:
            options = f"{listing(BACKBONES)}{nearest(name, BACKBONES)}"
            raise ValueError(f"no such backbone '{name}', expected {options}")
        return name

    def options(self) -> dict[str, Any]:
        """Return the backbone's options."""
        given = {name: getattr(self, name) for name in backbone_options(self.backbone)}
        return {name: value for name, value in given.items() if value is not None}

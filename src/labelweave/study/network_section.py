"""The section of a study file that says which network."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from labelweave.errors import listing, nearest
from labelweave.networks import BACKBONES, backbone_options
from labelweave.study.sections import Section


class NetworkSection(Section):
    """The shared backbone.

    Attributes:
        backbone: ``mlp``, ``linear``, or ``cnn`` for small images given as columns.
        hidden: sizes of the hidden layers of an mlp, or of those after a cnn's convolutions.
        dropout: share of hidden units dropped in training.
        shape: of a cnn's images: channels, height and width, for example ``[1, 28, 28]``; the
            columns go channel by channel, row by row. Such columns want ``inputs: {scale:
            together}``.
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

    @model_validator(mode="after")
    def _shape_of_images(self) -> Self:
        if (self.backbone == "cnn") != (self.shape is not None):
            found = "none" if self.shape is None else f"it for '{self.backbone}'"
            raise ValueError(f"the backbone 'cnn', and it alone, needs 'shape'; found {found}")
        return self

    def options(self) -> dict[str, Any]:
        """Return the backbone's options."""
        return {name: getattr(self, name) for name in backbone_options(self.backbone)}

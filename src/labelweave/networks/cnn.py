"""A small convolutional network for images."""

import math
from collections.abc import Sequence

from torch import nn

from labelweave.errors import LabelweaveError
from labelweave.networks.layers import Backbone, mlp
from labelweave.networks.pixels import Pixels
from labelweave.shapes import Shape, Tokens
from labelweave.spaces import Choice, Space, Uniform

KERNEL = 5
CNN_SPACE: Space = {
    "channels": Choice(([16], [16, 32], [32, 64], [16, 32, 64])),
    "hidden": Choice(([128], [256], [256, 256])),
    "dropout": Uniform(0.0, 0.6),
}
GROUPS = 4  # of channels, each normalised by itself


def cnn(
    inputs: Shape,
    shape: Sequence[int] = (),
    channels: Sequence[int] = (16, 32),
    hidden: Sequence[int] = (256, 256),
    dropout: float = 0.2,
) -> Backbone:
    """Convolve 5 x 5 with stride 2, normalise, ReLU for each of `channels`; then an mlp.

    Strides instead of pooling cost a third of the time on a CPU. Group normalisation (Wu and He,
    2018) treats every image alone: batch statistics would be those of a batch that mixes the
    sources in shares of its own, not those of the images to predict.

    Args:
        inputs: (channels, height, width) of images, uint8; or the columns of a row: channel by
            channel, row by row from the top, left to right.
        shape: of images given as columns: channels, height and width.
        channels: channels of the convolutions; each halves height and width.
        hidden: sizes of the mlp's hidden layers.
        dropout: share of its units dropped in training.

    Raises:
        LabelweaveError: a shape or channels that make no sense, or do not fit the columns.
    """
    if isinstance(inputs, Tokens):
        raise LabelweaveError("cnn: takes images, found texts as tokens; expected 'hf:...'")
    if isinstance(inputs, tuple):
        first: nn.Module = Pixels()
        shape, inputs = inputs, math.prod(inputs)
    else:
        first = nn.Unflatten(1, tuple(shape))
    if len(shape) != 3 or min(shape) < 1:
        raise LabelweaveError(
            f"cnn: shape {list(shape)}, expected channels, height and width, such as [1, 28, 28]"
        )
    if not channels or min(channels) < 1 or any(width % GROUPS for width in channels):
        raise LabelweaveError(
            f"cnn: channels {list(channels)}, expected at least one, multiples of {GROUPS}"
        )
    if math.prod(shape) != inputs:
        raise LabelweaveError(
            f"cnn: found {inputs} inputs, expected {math.prod(shape)} for shape {list(shape)} "
            "(constant columns are dropped unless the study says inputs: {scale: together})"
        )
    before, height, width = shape
    layers: list[nn.Module] = [first]
    for after in channels:
        layers += [
            nn.Conv2d(before, after, KERNEL, stride=2, padding=KERNEL // 2, bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.ReLU(),
        ]
        before, height, width = after, (height + 1) // 2, (width + 1) // 2
    top = mlp(before * height * width, hidden, dropout)
    return Backbone(nn.Sequential(*layers, nn.Flatten(), top), top.features)

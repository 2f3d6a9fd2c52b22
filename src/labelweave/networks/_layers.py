"""The simple backbones: none at all, and a multi-layer perceptron."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from labelweave._shapes import Shape, Tokens
from labelweave.errors import LabelweaveError

BITS = 16  # of random numbers an element: the share is met to 1 in 65,536


class Dropout(nn.Module):
    """Dropout (Srivastava et al., JMLR 2014): in training, elements are 0 with a probability.

    The others are multiplied by what keeps the mean. On a CPU PyTorch draws a number for every
    element; here one draw of 64 bits serves four. With PyTorch's a small network's step takes 13
    to 17 % longer.

    Args:
        p: share of elements that become 0, from 0 to below 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Return values of any shape with elements dropped; in evaluation, as they are."""
        if not self.training or self.p == 0:
            return values
        if values.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(values, self.p)
        return values * self.mask(values)

    def mask(self, like: Tensor) -> Tensor:
        """Return the factors of elements as those of `like`: 0, or 1 / (1 - p)."""
        if like.device.type != "cpu":
            return F.dropout(torch.ones_like(like), self.p)
        count = like.numel()
        words = torch.empty(-(-count * BITS // 64), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[:count].view(like.shape).float()
        # whole numbers: what lies between 0 and 1/2 is 0 or 1/2; quicker than to compare
        below = round(self.p * 2**BITS) - 2 ** (BITS - 1) - 0.5
        kept = numbers.sub_(below).clamp_(0, 0.5).mul_(2 / (1 - self.p))
        return kept.to(like.dtype)

    def extra_repr(self) -> str:
        """Return the share."""
        return f"p={self.p}"


CHUNK = 8192  # rows that a small network predicts together


class Backbone(nn.Module):
    """A module with a known number of features.

    Args:
        body: any module that maps inputs (n, ...) to features (n, features).
        features: the number of features.
        saved: name and options that build it again without the files that it was read from; None =
            those that it was built by.
        chunk: rows to predict together, to bound memory.
    """

    def __init__(
        self,
        body: nn.Module,
        features: int,
        saved: tuple[str, Mapping[str, Any]] | None = None,
        chunk: int = CHUNK,
    ) -> None:
        super().__init__()
        self.body, self.features = body, features
        self.saved, self.chunk = saved, chunk
        self.frozen = False

    def freeze(self) -> Self:
        """Keep the weights as they are, and dropout and batch statistics as in prediction."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but for a frozen backbone, which stays as it is in prediction."""
        return super().train(mode and not self.frozen)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features, (n, features)."""
        features: Tensor = self.body(inputs)
        return features


def linear(inputs: Shape) -> Backbone:
    """No shared layer: the heads see the inputs, as many logistic regressions side by side."""
    return Backbone(nn.Identity(), columns("linear", inputs))


def mlp(inputs: Shape, hidden: Sequence[int] = (256, 256), dropout: float = 0.2) -> Backbone:
    """Stack linear, ReLU and dropout for every hidden size: a multi-layer perceptron."""
    if not hidden or min(hidden) < 1:
        raise LabelweaveError(f"mlp: hidden sizes {list(hidden)}, expected at least one above 0")
    if not 0 <= dropout < 1:
        raise LabelweaveError(f"mlp: dropout {dropout}, expected from 0 to below 1")
    layers: list[nn.Module] = []
    size = columns("mlp", inputs)
    for width in hidden:
        layers += [nn.Linear(size, width), nn.ReLU(), Dropout(dropout)]
        size = width
    return Backbone(nn.Sequential(*layers), size)


def columns(name: str, inputs: Shape) -> int:
    """Return the number of columns; raise `LabelweaveError` where a backbone is given images."""
    if isinstance(inputs, int):
        return inputs
    if isinstance(inputs, Tokens):
        raise LabelweaveError(f"{name}: takes columns, found texts as tokens; expected 'hf:...'")
    raise LabelweaveError(f"{name}: takes columns, found images of {inputs}; expected a 'cnn'")


class StandardizedPixels(nn.Module):
    """Standardise pixels, 0 to 255, channel by channel: (x / 255 - mean) / deviation.

    Args:
        mean: one for all channels, or one each.
        deviation: likewise.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, mean: Sequence[float] = (0.5,), deviation: Sequence[float] = (0.25,)
    ) -> None:
        super().__init__()
        # constants of the code, not of the weights
        for name, values in {"mean": mean, "deviation": deviation}.items():
            self.register_buffer(name, 255 * torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return floats of the same shape, (n, channels, height, width)."""
        return (images.to(self.mean.dtype) - self.mean) / self.deviation


KERNEL = 5
CNN_GROUPS = 4  # of channels, each normalised by itself


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
    sources in different shares from the images to predict.

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
        first: nn.Module = StandardizedPixels()
        shape, inputs = inputs, math.prod(inputs)
    else:
        first = nn.Unflatten(1, tuple(shape))
    if len(shape) != 3 or min(shape) < 1:
        raise LabelweaveError(
            f"cnn: shape {list(shape)}, expected channels, height and width, such as [1, 28, 28]"
        )
    if not channels or min(channels) < 1 or any(width % CNN_GROUPS for width in channels):
        raise LabelweaveError(
            f"cnn: channels {list(channels)}, expected at least one, multiples of {CNN_GROUPS}"
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
            nn.GroupNorm(CNN_GROUPS, after),
            nn.ReLU(),
        ]
        before, height, width = after, (height + 1) // 2, (width + 1) // 2
    top = mlp(before * height * width, hidden, dropout)
    return Backbone(nn.Sequential(*layers, nn.Flatten(), top), top.features)


NORM_GROUPS = 32  # at most, as in the paper


def to_group_norm(name: str, module: nn.Module) -> None:
    """Put group normalisation in the place of every batch normalisation, in place.

    The statistics of a batch are those of the mix of sources in it, which is not the mix that is
    met in prediction; group normalisation treats every row alone (Wu and He, 2018). Scale and
    shift of each channel are kept. There are up to 32 groups, of 4 channels or more where that
    divides.

    Args:
        name: what errors call the module.
        module: any network.

    Raises:
        LabelweaveError: it has no batch normalisation.
    """
    found = [
        (parent, child_name, child)
        for parent in module.modules()
        for child_name, child in parent.named_children()
        if isinstance(child, _BatchNorm)
    ]
    if not found:
        raise LabelweaveError(f"{name}: has no batch normalisation, expected it for norm 'group'")
    for parent, child_name, child in found:
        setattr(parent, child_name, _group_norm(child))


def _group_norm(batch: _BatchNorm) -> nn.Module:
    channels = batch.num_features
    group = nn.GroupNorm(_groups(channels), channels, batch.eps, batch.affine)
    if batch.affine:
        group.weight, group.bias = batch.weight, batch.bias
    # timm's bring along what follows them
    after = [getattr(batch, name) for name in ("drop", "act") if hasattr(batch, name)]
    return nn.Sequential(group, *after) if after else group


def _groups(channels: int) -> int:
    # a group of a single value would be 0 whatever that is
    return math.gcd(NORM_GROUPS, channels // 4 if channels % 4 == 0 else channels)

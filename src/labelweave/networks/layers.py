"""The simple backbones: none at all, and a multi-layer perceptron."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.networks.dropout import Dropout
from labelweave.shapes import Shape, Tokens
from labelweave.spaces import Choice, Space, Uniform

CHUNK = 8192  # rows that a small network predicts together
MLP_SPACE: Space = {
    "hidden": Choice(([128], [256], [128, 128], [256, 256], [512, 512])),
    "dropout": Uniform(0.0, 0.6),
}


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

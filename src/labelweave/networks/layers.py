"""The simple backbones: none at all, and a multi-layer perceptron."""

from collections.abc import Sequence

from torch import Tensor, nn

from labelweave.errors import LabelweaveError


class Backbone(nn.Module):
    """A module with a known number of features.

    Args:
        body: any module that maps inputs (n, ...) to features (n, features).
        features: the number of features.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body, self.features = body, features

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the features, (n, features)."""
        features: Tensor = self.body(inputs)
        return features


def linear(inputs: int | tuple[int, ...]) -> Backbone:
    """No shared layer: the heads see the inputs, as many logistic regressions side by side."""
    return Backbone(nn.Identity(), columns("linear", inputs))


def mlp(
    inputs: int | tuple[int, ...], hidden: Sequence[int] = (256, 256), dropout: float = 0.2
) -> Backbone:
    """Stack linear, ReLU and dropout for every hidden size: a multi-layer perceptron."""
    if not hidden or min(hidden) < 1:
        raise LabelweaveError(f"mlp: hidden sizes {list(hidden)}, expected at least one above 0")
    if not 0 <= dropout < 1:
        raise LabelweaveError(f"mlp: dropout {dropout}, expected from 0 to below 1")
    layers: list[nn.Module] = []
    size = columns("mlp", inputs)
    for width in hidden:
        layers += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)]
        size = width
    return Backbone(nn.Sequential(*layers), size)


def columns(name: str, inputs: int | tuple[int, ...]) -> int:
    """Return the number of columns; raise `LabelweaveError` where a backbone is given images."""
    if isinstance(inputs, int):
        return inputs
    raise LabelweaveError(f"{name}: takes columns, found images of {inputs}; expected a 'cnn'")

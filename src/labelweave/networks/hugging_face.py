"""Backbones of Hugging Face transformers: images as pixels, texts as tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.model_folders import (
    PREFIX,
    TEXT_MODELS,
    architectures,
    read_config,
    read_statistics,
    weight_files,
)
from labelweave.networks.dry_pass import described, features_of
from labelweave.networks.layers import Backbone
from labelweave.networks.pixels import Pixels
from labelweave.networks.transformers_model import own_settings, transformers_model
from labelweave.shapes import Shape, Tokens

Pooling = Literal["mean", "first"]
CHUNK = 64  # rows that such a network predicts together
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HALVES = [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]  # of vision transformers from Google


def hugging_face(
    inputs: Shape,
    source: str,
    config: Mapping[str, Any] | None = None,
    pooling: Pooling | None = None,
    architecture: Mapping[str, Any] | None = None,
) -> Backbone:
    """Return a network of transformers without its head, with the weights of a folder or random.

    Args:
        inputs: images, or texts as tokens.
        source: the name of an architecture, for random weights; or a folder with ``config.json``
            and weights, or without weights, for random ones.
        config: changes to the configuration, where weights are random.
        pooling: how states become features: their ``mean`` over the tokens or patches, or the
            ``first``, which stands for all of them. Default: what the architecture is trained
            with; for texts the mean.
        architecture: the whole of what was read from `source`, which is not looked at then.

    Raises:
        LabelweaveError: no such architecture or folder, weights or inputs that do not fit, or
            transformers is not installed.
    """
    name = f"{PREFIX}{source}"
    mean_of: tuple[list[float], list[float]] | None = None
    files: list[Path] = []
    if architecture is not None:
        settings = dict(architecture["config"])
        mean_of = _given(architecture)
    elif source in architectures():
        settings = {"model_type": source} | _for_inputs(source, inputs) | dict(config or {})
    else:
        folder = Path(source)
        settings, mean_of = read_config(folder), read_statistics(folder)
        files = weight_files(folder)
        if config and files:
            raise LabelweaveError(
                f"{name}: found changes to its configuration, which its weights do not fit; leave "
                "'config' out"
            )
        settings |= dict(config or {})
    kind = str(settings.get("model_type"))
    _check_inputs(name, kind, settings, inputs)
    model = transformers_model(name, kind, settings, config or {}, files)
    settings = {"model_type": kind} | own_settings(cast(Any, model).config.to_dict())
    said: dict[str, Any] = {"config": settings}
    if isinstance(inputs, Tokens):
        body: nn.Module = Texts(model, inputs.padding, pooling or "mean")
    else:
        assert isinstance(inputs, tuple)
        mean, deviation = mean_of or (HALVES if kind == "vit" else IMAGENET)
        said |= {"mean": mean, "deviation": deviation}
        body = Images(model, _channels(mean, inputs[0]), _channels(deviation, inputs[0]), pooling)
    features = features_of(name, body, inputs)
    options = {"architecture": said} | ({"pooling": pooling} if pooling else {})
    return Backbone(body, features, (f"{PREFIX}{kind}", options), CHUNK)


class Images(nn.Module):
    """Pixels in, features out.

    Args:
        model: a vision model of transformers without its head.
        mean: of the pixels it was trained on, 0 to 1, one a channel.
        deviation: likewise.
        pooling: see `hugging_face`.
    """

    def __init__(
        self,
        model: nn.Module,
        mean: list[float],
        deviation: list[float],
        pooling: Pooling | None = None,
    ) -> None:
        super().__init__()
        self.pixels, self.model, self.pooling = Pixels(mean, deviation), model, pooling

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, features) of images (n, channels, height, width)."""
        found = self.model(pixel_values=self.pixels(images))
        states: Tensor = found.last_hidden_state
        if states.ndim == 4:  # (n, features, height, width) of a convolutional network
            pooled: Tensor | None = getattr(found, "pooler_output", None)
            return states.mean(dim=(2, 3)) if pooled is None else pooled.flatten(1)
        return states[:, 0] if self._first() else states.mean(dim=1)

    def _first(self) -> bool:
        if self.pooling is not None:
            return self.pooling == "first"
        return hasattr(self.model.embeddings, "cls_token")


class Texts(nn.Module):
    """Tokens in, features out; padding is left out everywhere.

    Args:
        model: a text encoder of transformers without its head.
        padding: the token after a text's end.
        pooling: see `hugging_face`.
    """

    def __init__(self, model: nn.Module, padding: int, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.model, self.padding, self.pooling = model, padding, pooling

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (n, features) of tokens (n, length)."""
        mask = tokens != self.padding
        mask[:, 0] = True  # an empty text still has a mean
        length = mask.shape[1]
        # a mask of rows would be looked at inside, which waits for the device
        seen = mask[:, None, None, :].expand(-1, 1, length, length)
        states: Tensor = self.model(input_ids=tokens, attention_mask=seen).last_hidden_state
        if self.pooling == "first":
            return states[:, 0]
        weights = mask.to(states.dtype)[:, :, None]
        return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _given(architecture: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    said = architecture.get("mean"), architecture.get("deviation")
    return None if said[0] is None or said[1] is None else (said[0], said[1])


def _for_inputs(kind: str, inputs: Shape) -> dict[str, Any]:
    """Return the settings of random weights that inputs decide."""
    if isinstance(inputs, Tokens):
        # positions of the roberta family start after the padding's number
        positions = max(512, inputs.length) + inputs.padding + 1
        return {
            "vocab_size": inputs.vocabulary,
            "pad_token_id": inputs.padding,
            "max_position_embeddings": positions,
        }
    if isinstance(inputs, tuple):
        channels, height, width = inputs
        size: dict[str, Any] = {"num_channels": channels}
        if kind in ("vit", "deit", "dinov2", "swin", "swinv2"):
            size["image_size"] = height if height == width else [height, width]
        return size | ({"use_mask_token": False} if kind == "dinov2" else {})
    return {}


def _check_inputs(name: str, kind: str, settings: Mapping[str, Any], inputs: Shape) -> None:
    wanted = "texts as tokens" if kind in TEXT_MODELS else "images"
    if isinstance(inputs, int) or isinstance(inputs, Tokens) != (kind in TEXT_MODELS):
        raise LabelweaveError(f"{name}: takes {wanted}, found {described(inputs)}")
    if isinstance(inputs, Tokens):
        words, padding = settings.get("vocab_size"), settings.get("pad_token_id", inputs.padding)
        if isinstance(words, int) and words < inputs.vocabulary:
            raise LabelweaveError(
                f"{name}: knows {words} tokens, found a tokenizer of {inputs.vocabulary}; expected "
                "that of the model"
            )
        if padding != inputs.padding:
            raise LabelweaveError(
                f"{name}: padding is token {padding}, found a tokenizer that pads with "
                f"{inputs.padding}; expected that of the model"
            )


def _channels(values: list[float], channels: int) -> list[float]:
    return values if len(values) in (1, channels) else [sum(values) / len(values)]

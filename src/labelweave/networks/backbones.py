"""Backbones by name: what turns inputs into the features that all heads share."""

import inspect
from collections.abc import Callable

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.networks.cnn import cnn
from labelweave.networks.layers import Backbone, linear, mlp

BACKBONES: dict[str, Callable[..., Backbone]] = {"linear": linear, "mlp": mlp, "cnn": cnn}


def backbone(name: str, inputs: int | tuple[int, ...], **options: object) -> Backbone:
    """Return the backbone of that name.

    Args:
        name: the name.
        inputs: the number of input features; or (channels, height, width) of images, whose pixels
            are uint8.
        options: its options.

    Raises:
        LabelweaveError: an unknown name or option, or an option's value that makes no sense.
    """
    if name not in BACKBONES:
        raise LabelweaveError(
            f"unknown backbone '{name}', expected {listing(BACKBONES)}{nearest(name, BACKBONES)}"
        )
    known = backbone_options(name)
    for option in options:
        if option not in known:
            raise LabelweaveError(
                f"backbone '{name}': unknown option '{option}', "
                f"expected {listing(known) or 'none'}{nearest(option, known)}"
            )
    try:
        return BACKBONES[name](inputs, **options)
    except TypeError as error:
        raise LabelweaveError(f"backbone '{name}': {error}") from None


def backbone_options(name: str) -> list[str]:
    """Return the names of the options of a backbone."""
    return list(inspect.signature(BACKBONES[name]).parameters)[1:]

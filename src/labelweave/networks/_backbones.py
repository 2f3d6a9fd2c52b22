"""Backbones by name: what turns inputs into the features that all heads share."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labelweave._search_space import Space
from labelweave._shapes import Shape
from labelweave._trust import MODULE
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.networks import _model_folders, _pretrained
from labelweave.networks._layers import (
    CNN_SPACE,
    MLP_SPACE,
    Backbone,
    cnn,
    linear,
    mlp,
    to_group_norm,
)
from labelweave.networks._pretrained import hugging_face, own_module

BACKBONES: dict[str, Callable[..., Backbone]] = {"linear": linear, "mlp": mlp, "cnn": cnn}
FAMILIES: dict[str, Callable[..., Backbone]] = {
    _model_folders.PREFIX: hugging_face,
    _pretrained.TIMM_PREFIX: _pretrained.timm_model,
    MODULE: own_module,
}
"""By the beginning of a name: what makes the backbone of the rest of it."""
SPACES: dict[str, Space] = {"mlp": MLP_SPACE, "cnn": CNN_SPACE}
NORMS = ("batch", "group")


def backbone(
    name: str, inputs: Shape, *, norm: str = "batch", frozen: bool = False, **options: object
) -> Backbone:
    """Return the backbone of that name.

    Args:
        name: the name, or one that starts as `FAMILIES` say.
        inputs: the number of input features; or (channels, height, width) of images, whose pixels
            are uint8; or `Tokens`.
        norm: ``group`` puts group in the place of batch normalisation.
        frozen: leave the weights as they are.
        options: its options.

    Raises:
        LabelweaveError: an unknown name or option, or an option's value that makes no sense.
    """
    check_name(name)
    known = backbone_options(name)
    for option in options:
        if option not in known:
            raise LabelweaveError(
                f"backbone '{name}': unknown option '{option}', "
                f"expected {listing(known) or 'none'}{nearest(option, known)}"
            )
    family = family_of(name)
    try:
        if family is None:
            made = BACKBONES[name](inputs, **options)
        else:
            made = FAMILIES[family](inputs, name.removeprefix(family), **options)
    except TypeError as error:
        raise LabelweaveError(f"backbone '{name}': {error}") from None
    if norm == "group":
        to_group_norm(f"backbone '{name}'", made)
    return made.freeze() if frozen else made


def family_of(name: str) -> str | None:
    """Return the beginning of a name that says where the backbone comes from; None = from here."""
    return next((prefix for prefix in FAMILIES if name.startswith(prefix)), None)


def check_name(name: str) -> str:
    """Return the name of a backbone; raise `LabelweaveError` where there is none."""
    if name not in BACKBONES and (name in FAMILIES or family_of(name) is None):
        others = ", ".join(f"'{prefix}...'" for prefix in FAMILIES)
        raise LabelweaveError(
            f"no such backbone '{name}', expected {listing(BACKBONES)}, {others}"
            f"{nearest(name, BACKBONES)}"
        )
    return name


def backbone_options(name: str) -> list[str]:
    """Return the names of the options of a backbone."""
    family = family_of(name)
    if family is None:
        return list(inspect.signature(BACKBONES[name]).parameters)[1:]
    return list(inspect.signature(FAMILIES[family]).parameters)[2:]


def identity(name: str, options: Mapping[str, Any]) -> list[Any]:
    """Return what tells a backbone's network and first weights from another's, ready for JSON.

    Files are told by what they hold, not by their place.

    Raises:
        LabelweaveError: a file cannot be read.
    """
    told = dict(options)
    if told.get("weights"):
        told["weights"] = _model_folders.content_of([Path(told["weights"])])
    source = name.removeprefix(_model_folders.PREFIX)
    if name == source or source in _model_folders.architectures():
        return [name, told]
    folder = Path(source)
    files = [folder / "config.json", *_model_folders.weight_files(folder)]
    said = folder / "preprocessor_config.json"
    content = _model_folders.content_of(files + [said] * said.exists())
    return [f"{_model_folders.PREFIX}{content}", told]


def backbone_space(name: str) -> Space:
    """Return the values of a backbone's options that a search may try."""
    return SPACES.get(name, {})

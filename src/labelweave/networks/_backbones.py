"""Backbones by name: what turns inputs into the features that all heads share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from labelweave._options import Options, resolve
from labelweave._search_space import Space
from labelweave._shapes import Shape
from labelweave._trust import MODULE
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.networks import _model_folders, _pretrained
from labelweave.networks._layers import (
    CNN_SPACE,
    MLP_SPACE,
    MOST_LAYERS,
    Backbone,
    Width,
    cnn,
    linear,
    mlp,
    to_group_norm,
)
from labelweave.networks._pretrained import Pooling, hugging_face, own_module, timm_model


class MlpOptions(Options):
    """hidden, dropout: see `mlp`."""

    space = MLP_SPACE
    hidden: list[Width] = Field(default=[256, 256], max_length=MOST_LAYERS)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class CnnOptions(Options):
    """shape, channels, hidden, dropout: see `cnn`."""

    space = CNN_SPACE
    shape: list[Width] = Field(default=[], max_length=3)
    channels: list[Width] = Field(default=[16, 32], max_length=MOST_LAYERS)
    hidden: list[Width] = Field(default=[256, 256], max_length=MOST_LAYERS)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class HuggingFaceOptions(Options):
    """config, pooling, architecture: see `hugging_face`."""

    config: Mapping[str, Any] | None = None
    pooling: Pooling | None = None
    architecture: Mapping[str, Any] | None = None


class TimmOptions(Options):
    """config, weights, statistics: see `timm_model`."""

    config: Mapping[str, Any] | None = None
    weights: str | None = None
    statistics: Mapping[str, Any] | None = None


class ModuleOptions(Options):
    """config: see `own_module`."""

    config: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class BackboneKind:
    """A backbone, or a family of them, that a study can name.

    Attributes:
        options: the class of its options.
        make: the inputs, in a family the rest of the name, and the options to the backbone.
    """

    options: type[Options]
    make: Callable[..., Backbone]


BACKBONES: dict[str, BackboneKind] = {
    "linear": BackboneKind(Options, linear),
    "mlp": BackboneKind(MlpOptions, mlp),
    "cnn": BackboneKind(CnnOptions, cnn),
}
FAMILIES: dict[str, BackboneKind] = {
    _model_folders.PREFIX: BackboneKind(HuggingFaceOptions, hugging_face),
    _pretrained.TIMM_PREFIX: BackboneKind(TimmOptions, timm_model),
    MODULE: BackboneKind(ModuleOptions, own_module),
}
"""By the beginning of a name: the backbone of the rest of it."""
NORMS = ("batch", "group")


def backbone(
    name: str, inputs: Shape, *, norm: str = "batch", frozen: bool = False, **options: object
) -> Backbone:
    """Return the backbone of that name.

    Args:
        name: a name of `BACKBONES`, or one that starts with a name of `FAMILIES`.
        inputs: the number of input features; or (channels, height, width) of images, whose pixels
            are uint8; or `Tokens`.
        norm: ``group`` puts group in the place of batch normalisation.
        frozen: leave the weights as they are.
        options: its options.

    Raises:
        LabelweaveError: an unknown name or option, or an option's value that makes no sense.
    """
    kind, family = _kind(name), family_of(name)
    _, valid = resolve("backbone", {name: options}, {name: kind.options})
    given = {key: getattr(valid, key) for key in valid.model_fields_set}
    rest = () if family is None else (name.removeprefix(family),)
    made = kind.make(inputs, *rest, **given)
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


def _kind(name: str) -> BackboneKind:
    check_name(name)
    family = family_of(name)
    return BACKBONES[name] if family is None else FAMILIES[family]


def backbone_options(name: str) -> list[str]:
    """Return the names of the options of a backbone.

    Raises:
        LabelweaveError: an unknown name.
    """
    return list(_kind(name).options.model_fields)


def identity(name: str, options: Mapping[str, Any]) -> list[Any]:
    """Return what identifies a backbone's network and first weights, ready for JSON.

    Files are identified by their contents, not by their place.

    Raises:
        LabelweaveError: a file cannot be read.
    """
    known = dict(options)
    if known.get("weights"):
        known["weights"] = _model_folders.content_of([Path(known["weights"])])
    source = name.removeprefix(_model_folders.PREFIX)
    if name == source or source in _model_folders.architectures():
        return [name, known]
    folder = Path(source)
    files = [folder / "config.json", *_model_folders.weight_files(folder)]
    statistics = folder / "preprocessor_config.json"
    content = _model_folders.content_of(files + [statistics] * statistics.exists())
    return [f"{_model_folders.PREFIX}{content}", known]


def backbone_space(name: str) -> Space:
    """Return the values of a backbone's options that a search may try.

    Raises:
        LabelweaveError: an unknown name.
    """
    return _kind(name).options.space

"""Backbones by name: what turns inputs into the features that all heads share."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelweave._options import Options, resolve
from labelweave._search_space import Space
from labelweave._shapes import Shape
from labelweave._trust import MODULE
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.networks import _model_folders
from labelweave.networks._backbone_options import (
    TIMM_PREFIX,
    CnnOptions,
    HuggingFaceOptions,
    MlpOptions,
    ModuleOptions,
    TimmOptions,
)

if TYPE_CHECKING:
    from labelweave.networks._layers import Backbone


@dataclass(frozen=True)
class BackboneKind:
    """A backbone, or a family of them, that a study can name.

    Attributes:
        options: the class of its options.
        module: of this package, where the function is that makes one.
        function: the inputs, in a family the rest of the name, and the options to the backbone.
    """

    options: type[Options]
    module: str
    function: str

    def make(self, *given: object, **options: object) -> "Backbone":
        """Return the backbone; PyTorch is loaded here, so that a study is checked without it."""
        module = import_module(f"labelweave.networks.{self.module}")
        made: Backbone = getattr(module, self.function)(*given, **options)
        return made


BACKBONES: dict[str, BackboneKind] = {
    "linear": BackboneKind(Options, "_layers", "linear"),
    "mlp": BackboneKind(MlpOptions, "_layers", "mlp"),
    "cnn": BackboneKind(CnnOptions, "_layers", "cnn"),
}
FAMILIES: dict[str, BackboneKind] = {
    _model_folders.PREFIX: BackboneKind(HuggingFaceOptions, "_pretrained", "hugging_face"),
    TIMM_PREFIX: BackboneKind(TimmOptions, "_pretrained", "timm_model"),
    MODULE: BackboneKind(ModuleOptions, "_pretrained", "own_module"),
}
"""By the beginning of a name: the backbone of the rest of it."""
NORMS = ("batch", "group")


def backbone(
    name: str, inputs: Shape, *, norm: str = "batch", frozen: bool = False, **options: object
) -> "Backbone":
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
        from labelweave.networks._layers import to_group_norm

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

"""Backbones of timm, an extra of its own, for it brings torchvision."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from labelweave.errors import LabelweaveError, listing, missing_package, nearest
from labelweave.networks.dry_pass import described, features_of
from labelweave.networks.layers import Backbone
from labelweave.networks.pixels import Pixels
from labelweave.shapes import Shape, Tokens

PREFIX = "timm:"
CHUNK = 64  # rows that such a network predicts together
OURS = ("num_classes", "in_chans")
ELSEWHERE = ("pretrained", "checkpoint", "features_only", "cache_dir", "scriptable")


def timm_model(
    inputs: Shape,
    source: str,
    config: Mapping[str, Any] | None = None,
    weights: str | None = None,
    statistics: Mapping[str, Any] | None = None,
) -> Backbone:
    """Return a network of timm without its head, with random weights or those of a file.

    Args:
        inputs: images.
        source: timm's name of the network.
        config: options of ``timm.create_model``, such as ``img_size``.
        weights: a safetensors file; timm's own downloads may be pickled, so they are not made.
        statistics: mean and deviation of the pixels, of a model that was saved.

    Raises:
        LabelweaveError: timm is not installed, no such network, or weights or inputs that do not
            fit.
    """
    name = f"{PREFIX}{source}"
    if isinstance(inputs, int | Tokens):
        raise LabelweaveError(f"{name}: takes images, found {described(inputs)}")
    options = dict(config or {})
    for key in options:
        if key in OURS or key.startswith(ELSEWHERE):
            raise LabelweaveError(f"{name}: found the option '{key}', which is not for a study")
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # torchvision for another torch: RuntimeError
        if isinstance(error, ImportError) and error.name in ("timm", "torchvision"):
            raise missing_package(f"the backbone '{name}'", error, "timm") from None
        reason = " ".join(str(error).split())[:200]
        raise LabelweaveError(
            f"the backbone '{name}': timm cannot be imported ({reason})"
        ) from None
    if not timm.is_model(source):  # nor a name with a place to download from
        known = timm.list_models()
        raise LabelweaveError(
            f"{name}: timm has no such network, expected {listing(known, 3)}"
            f"{nearest(source, known)}"
        )
    try:
        model: nn.Module = timm.create_model(
            source, pretrained=False, num_classes=0, in_chans=inputs[0], **options
        )
    except (TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise LabelweaveError(f"{name}: cannot be built ({reason})") from None
    if weights is not None:
        _load(name, model, Path(weights))
    said = statistics or getattr(model, "pretrained_cfg", None) or {}
    taken = {"mean": list(said.get("mean", [0.5])), "std": list(said.get("std", [0.25]))}
    mean, deviation = (_channels(values, inputs[0]) for values in taken.values())
    body = nn.Sequential(Pixels(mean, deviation), model)
    saved: dict[str, Any] = {"statistics": taken} | ({"config": options} if options else {})
    return Backbone(body, features_of(name, body, inputs), (name, saved), CHUNK)


def _load(name: str, model: nn.Module, path: Path) -> None:
    """Load weights; those of a head, which `model` has not, are left out."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise LabelweaveError(f"{path}: not weights in safetensors ({reason})") from None
    own = model.state_dict()
    lacking = [key for key in own if key not in found]
    if lacking:
        raise LabelweaveError(
            f"{path}: lacks {len(lacking)} weights of {name}, such as '{lacking[0]}'"
        )
    try:
        model.load_state_dict({key: found[key] for key in own})
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise LabelweaveError(f"{path}: does not fit {name} ({reason})") from None


def _channels(values: list[float], channels: int) -> list[float]:
    return values if len(values) in (1, channels) else [sum(values) / len(values)]

"""A backbone that is the user's own code, ``module:package.attribute``."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from labelweave.errors import LabelweaveError
from labelweave.networks.dry_pass import features_of
from labelweave.networks.layers import Backbone
from labelweave.networks.pixels import Pixels
from labelweave.shapes import Shape, Tokens
from labelweave.trusting import MODULE, trusted_attribute

CHUNK = 64  # rows to predict together, for it may be of any size


def own_module(inputs: Shape, source: str, config: Mapping[str, Any] | None = None) -> Backbone:
    """Return what the user's own callable gives for inputs, ``callable(inputs, **config)``.

    Images are standardised first, by the attributes ``mean`` and ``deviation`` of the module,
    where it has them.

    Args:
        inputs: the number of columns, (channels, height, width), or `Tokens`.
        source: ``package.attribute``.
        config: the callable's options.

    Raises:
        LabelweaveError: the package is not trusted, or gives no module that takes such inputs.
    """
    name = f"{MODULE}{source}"
    made = trusted_attribute(name)
    try:
        module = made(inputs, **dict(config or {}))
    except TypeError as error:
        raise LabelweaveError(
            f"{name}: cannot be called with inputs and 'config' ({error})"
        ) from None
    if not isinstance(module, nn.Module):
        raise LabelweaveError(
            f"{name}: gave {type(module).__name__}, expected a torch.nn.Module that maps inputs "
            "(n, ...) to features (n, number)"
        )
    if isinstance(inputs, tuple) and not isinstance(inputs, Tokens):
        statistics = [getattr(module, key) for key in ("mean", "deviation") if hasattr(module, key)]
        module = nn.Sequential(Pixels(*statistics), module)
    return Backbone(module, features_of(name, module, inputs), chunk=CHUNK)

"""Backbones of Hugging Face transformers: images as pixels, texts as tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from labelweave._files import LARGEST_TENSORS, check_regular
from labelweave._shapes import Shape, Tokens, describe_inputs
from labelweave._trust import MODULE, trusted_attribute
from labelweave.errors import LabelweaveError, listing, missing_package, nearest
from labelweave.networks._backbone_options import TIMM_PREFIX, Pooling
from labelweave.networks._layers import Backbone, StandardizedPixels
from labelweave.networks._model_folders import (
    IMAGE_MODELS,
    PREFIX,
    TEXT_MODELS,
    architectures,
    read_config,
    read_statistics,
    weight_files,
)

NOT_OURS = {
    # code, or how to run: none of it comes from a file
    "auto_map", "quantization_config", "attn_implementation", "experts_implementation",
    # what does not concern features
    "architectures", "dtype", "torch_dtype", "transformers_version", "id2label", "label2id",
    "return_dict", "output_hidden_states", "output_attentions", "torchscript", "is_decoder",
}  # fmt: skip


def transformers_model(
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    changes: Mapping[str, Any],
    files: list[Path],
) -> nn.Module:
    """Return a model of transformers without its head, ready for training.

    Args:
        name: what errors call it.
        kind: its model type.
        settings: its configuration.
        changes: those of the settings that the user gave.
        files: its weights, in safetensors; none = random ones.

    Raises:
        LabelweaveError: another model type or setting, weights that do not fit or cannot be read,
            or transformers is not installed.
    """
    try:
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_MAPPING
        from transformers.utils import logging
    except ImportError as error:
        extra = "text" if kind in TEXT_MODELS else "vision"
        raise missing_package(f"the backbone '{name}'", error, extra) from None
    if kind not in (*IMAGE_MODELS, *TEXT_MODELS):
        raise LabelweaveError(
            f"{name}: found the model type '{kind}'{nearest(kind, architectures())}"
        )
    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # weights of a head that is not taken are no news
    try:
        blank = AutoConfig.for_model(kind)
        for key in changes:
            if key == "model_type" or not hasattr(blank, key):
                raise LabelweaveError(
                    f"{name}: 'config' has no setting '{key}'{nearest(key, blank.to_dict())}"
                )
        chosen = AutoConfig.for_model(kind, **own_settings(settings))
        build = MODEL_MAPPING[type(chosen)]
        pooler = {"add_pooling_layer": False} if _has_pooler(build) else {}
        if not files:
            model: nn.Module = build._from_config(chosen, **pooler)
        else:
            for file in files:
                check_regular(file, LARGEST_TENSORS)
            weights = {key: value for file in files for key, value in load_file(file).items()}
            model, said = build.from_pretrained(
                None, config=chosen, state_dict=weights, dtype=torch.float32,
                ignore_mismatched_sizes=True, output_loading_info=True, **pooler,
            )  # fmt: skip
            _check_weights(name, said)
    except LabelweaveError:
        raise
    except (SafetensorError, OSError) as error:
        raise LabelweaveError(f"{name}: its weights cannot be read ({_line(error)})") from None
    except Exception as error:  # whatever a configuration that makes no sense leads to
        raise LabelweaveError(f"{name}: cannot be built ({_line(error)})") from None
    finally:
        logging.set_verbosity(before)
    return model.train()


def own_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that shape the network."""
    left_out = NOT_OURS | {"model_type"}
    return {k: v for k, v in settings.items() if k not in left_out and not k.startswith("_")}


def _has_pooler(build: Any) -> bool:
    return "add_pooling_layer" in build.__init__.__code__.co_varnames


def _check_weights(name: str, said: Mapping[str, Any]) -> None:
    lacking = sorted(said["missing_keys"])
    if lacking:
        raise LabelweaveError(
            f"{name}: its weights lack {len(lacking)} that config.json asks for, such as "
            f"'{lacking[0]}'"
        )
    if said["mismatched_keys"]:
        first = sorted(str(key[0]) for key in said["mismatched_keys"])[0]
        raise LabelweaveError(f"{name}: its weights do not fit config.json, such as '{first}'")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


ROWS = 2


def features_of(name: str, module: nn.Module, inputs: Shape) -> int:
    """Return the number of features that a module gives; its weights and mode stay as they are.

    Args:
        name: what errors call the module.
        module: takes inputs (n, ...) and gives features (n, features).
        inputs: what the inputs are.

    Raises:
        LabelweaveError: it does not take such inputs, or gives something else.
    """
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            found = module(example(inputs))
    except LabelweaveError:
        raise
    except Exception as error:  # whatever a module of any origin does with inputs that do not fit
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise LabelweaveError(
            f"{name}: does not take {describe_inputs(inputs)} ({reason})"
        ) from None
    module.train(training)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != ROWS:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise LabelweaveError(
            f"{name}: gave {shape} for {ROWS} rows, expected features of shape ({ROWS}, number)"
        )
    return int(found.shape[1])


def example(inputs: Shape) -> Tensor:
    """Return two rows of such inputs, of the type that batches have."""
    if isinstance(inputs, Tokens):
        token = 0 if inputs.padding else 1
        return torch.full((ROWS, inputs.length), token, dtype=torch.int32)
    if isinstance(inputs, tuple):
        return torch.full((ROWS, *inputs), 127, dtype=torch.uint8)
    return torch.zeros(ROWS, inputs)


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
        self.pixels, self.model, self.pooling = StandardizedPixels(mean, deviation), model, pooling

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
        raise LabelweaveError(f"{name}: takes {wanted}, found {describe_inputs(inputs)}")
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
    name = f"{TIMM_PREFIX}{source}"
    if isinstance(inputs, int | Tokens):
        raise LabelweaveError(f"{name}: takes images, found {describe_inputs(inputs)}")
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
    mean, deviation = (_timm_channels(values, inputs[0]) for values in taken.values())
    body = nn.Sequential(StandardizedPixels(mean, deviation), model)
    saved: dict[str, Any] = {"statistics": taken} | ({"config": options} if options else {})
    return Backbone(body, features_of(name, body, inputs), (name, saved), CHUNK)


def _load(name: str, model: nn.Module, path: Path) -> None:
    """Load weights; those of a head, which `model` has not, are left out."""
    try:
        check_regular(path, LARGEST_TENSORS)
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


def _timm_channels(values: list[float], channels: int) -> list[float]:
    return values if len(values) in (1, channels) else [sum(values) / len(values)]


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
        module = nn.Sequential(StandardizedPixels(*statistics), module)
    return Backbone(module, features_of(name, module, inputs), chunk=CHUNK)

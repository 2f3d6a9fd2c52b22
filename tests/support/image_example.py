"""Small pictures of bolts, discs and rings: files, tables that name them, and a study."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from study_example import HOLE, KINDS, ROUND

SIDE = 12


def picture(kind: str, rng: np.random.Generator) -> Image.Image:
    """Return a bright shape on a dark ground, with noise: 16 x 12 pixels, colour."""
    y, x = np.mgrid[:SIDE, : SIDE + 4]
    far = np.hypot(y - SIDE / 2, x - SIDE / 2 - 2)
    shape = {"bolt": np.abs(x - 8) < 2, "disc": far < 5, "ring": (far < 5) & (far > 2.5)}[kind]
    grey = 40 + 170 * shape + rng.normal(0, 15, shape.shape)
    return Image.fromarray(np.stack([grey, grey, grey / 2], 2).clip(0, 255).astype(np.uint8))


def write_images(folder: Path, rows: int = 60, seed: int = 0) -> None:
    """Write a folder tree of labelled kinds, and a table with paths and attributes of others."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(2 * rows):
        kind = KINDS[number % 3]
        path = Path("photos", kind) if number < rows else Path("lab", "files")
        path = path / f"{number}.{'png' if number % 2 else 'bmp'}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        picture(kind, rng).save(folder / path)
        if number >= rows:
            found.append((f"files/{path.name}", ROUND[kind], HOLE[kind], number / 7))
    frame = pd.DataFrame(found, columns=["image", "round", "hole", "weight"])
    frame.to_csv(folder / "lab" / "lab.csv", index=False)
    rows_of = {"kind": KINDS, "round": ROUND.values(), "hole": HOLE.values()}
    pd.DataFrame(rows_of).to_csv(folder / "knowledge.csv", index=False)


def image_content(**changes: Any) -> dict[str, Any]:
    """Return the content of a study file over these images, with changes to its keys."""
    study: dict[str, Any] = {
        "name": "pictures",
        "tasks": [
            {"name": "kind"},
            {"name": "form", "kind": "multilabel", "labels": ["round", "hole"]},
        ],
        "sources": [
            {"path": "photos", "folders": "kind"},
            {"path": "lab/lab.csv", "exclude": ["weight"]},
        ],
        "relations": [{"table": "knowledge.csv", "source": "kind"}],
        "relatedness": {"from": "given"},
        "inputs": {"image": {"size": SIDE}},
        "network": {"backbone": "cnn", "channels": [8, 8], "hidden": [16], "dropout": 0},
        "split": {"test": 40},
        "training": {"steps": 60, "batch_size": 32},
        "methods": ["single_task", "full"],
        "seeds": [3],
        "statistics": {"replicates": 100},
        "label_curves": False,
    }
    return {name: value for name, value in (study | changes).items() if value is not None}


def write_image_study(folder: Path, rows: int = 60, **changes: Any) -> Path:
    """Write images, tables and ``study.yaml`` to a folder; return the study file."""
    write_images(folder, rows)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(image_content(**changes), sort_keys=False), encoding="utf-8")
    return path

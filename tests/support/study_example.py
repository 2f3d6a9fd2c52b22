"""Two small tables with labels of different tasks, an expert's table, and a study of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from labelweave.results import Results

KINDS = ("bolt", "disc", "ring")
ROUND = {"bolt": 0, "disc": 1, "ring": 1}
HOLE = {"bolt": 0, "disc": 0, "ring": 1}


def draw_nothing(wanted: Sequence[object]) -> list[str]:
    """Stand in for the pictures of a page, which take most of a report's time."""
    return [""] * len(wanted)


def tables(rows: int = 120, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return a table with kinds, one with attributes (a few rows with both), and the knowledge."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=2 * rows)
    inputs = rng.normal(size=(2 * rows, 4)) + np.eye(4)[kind] * 2
    frame = pd.DataFrame(inputs.round(4), columns=["length", "width", "weight", "noise"])
    frame["colour"] = rng.choice(["red", "blue"], 2 * rows)
    names = pd.Series(KINDS)[kind].to_numpy()
    frame["kind"] = names
    frame["round"] = [ROUND[name] for name in names]
    frame["hole"] = [HOLE[name] for name in names]
    a = frame[:rows].drop(columns=["round", "hole"])
    b = frame[rows:].reset_index(drop=True)
    b.loc[b.index >= 30, "kind"] = None
    b["hole"] = b["hole"].astype(float).mask(b.index % 4 == 0)
    knowledge = pd.DataFrame({"kind": KINDS, "round": ROUND.values(), "hole": HOLE.values()})
    return a, b, knowledge


def parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return 240 rows of inputs, and labels with gaps: kind in half of the rows, round and hole."""
    a, b, _ = tables()
    frame = pd.concat([a, b], ignore_index=True)
    return frame[["length", "width", "weight", "noise"]], frame[["kind", "round", "hole"]]


def content(**changes: Any) -> dict[str, Any]:
    """Return the content of a study file over these tables, with changes to its keys."""
    study: dict[str, Any] = {
        "name": "parts",
        "tasks": [
            {"name": "kind"},
            {"name": "form", "kind": "multilabel", "labels": ["round", "hole"]},
        ],
        "sources": [{"path": "a.csv"}, {"path": "b.csv"}],
        "relations": [{"table": "knowledge.csv", "source": "kind"}],
        "relatedness": {"from": "given"},  # as they are: most tests need no second stage
        "split": {"test": 60},
        "network": {"hidden": [16]},
        "training": {"steps": 40, "batch_size": 32},
        "methods": ["single_task", "full"],
        "seeds": [3],
        "statistics": {"replicates": 100},
        "label_curves": False,  # most tests need none
    }
    return {name: value for name, value in (study | changes).items() if value is not None}


def write_study(folder: Path, **changes: Any) -> Path:
    """Write the tables and ``study.yaml`` to a folder; return the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in zip(("a", "b", "knowledge"), tables(), strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content(**changes), sort_keys=False), encoding="utf-8")
    return path


def as_json(results: Results) -> dict[str, Any]:
    """Return the content of ``results.json``."""
    found: dict[str, Any] = json.loads(results.to_json())
    return found

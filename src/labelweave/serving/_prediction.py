"""Predictions of a saved model as a table."""

from pathlib import Path

import pandas as pd

from labelweave._files import replacing
from labelweave.class_priors import PriorChoice
from labelweave.data._input_encoder import InputEncoder
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting._stack import load_model
from labelweave.model import EncodedPredictor, probability_columns
from labelweave.results import read_results
from labelweave.tables import read_folder, read_table
from labelweave.tasks import Binary, Multiclass


def find_model(
    folder: Path, method: str | None = None, seed: int | None = None
) -> EncodedPredictor:
    """Return the model of a folder that its `save` wrote, or of a study's results folder.

    Args:
        folder: the model's or the study's folder.
        method: the study's method; None = the one that its report recommends.
        seed: the seed of the method's run; None = the first.

    Raises:
        LabelweaveError: neither a model nor results there, or the method keeps no model.
    """
    if (folder / "model.json").exists():
        return load_model(folder)
    path = folder / "results.json"
    if not path.exists():
        inner = f"; did you mean {folder / 'model'}?" if (folder / "model").is_dir() else ""
        raise LabelweaveError(
            f"{folder}: found neither model.json nor results.json, expected a model's folder or "
            f"the results folder of a study{inner}"
        )
    results = read_results(folder)
    chosen = method or results.recommended.method
    models = {
        (run.method, run.seed): folder / "runs" / run.folder / "model"
        for run in results.runs
        if (folder / "runs" / run.folder / "model").exists()
    }
    methods = sorted({name for name, _ in models})
    seeds = [s for name, s in models if name == chosen]
    if not seeds:
        raise LabelweaveError(
            f"{folder}: no model of method '{chosen}', expected {listing(methods)}"
            f"{nearest(chosen, methods)}"
        )
    if seed is not None and seed not in seeds:
        raise LabelweaveError(f"{folder}: no model of seed {seed}, expected one of {seeds}")
    return load_model(models[chosen, seeds[0] if seed is None else seed])


def prediction_table(
    model: EncodedPredictor,
    inputs: pd.DataFrame,
    *,
    labels: bool = True,
    prior: PriorChoice | None = None,
) -> pd.DataFrame:
    """Return one row per input row: a probability per class or label and, with `labels`, the
    predicted label of every task under ``<task> predicted``; `prior` as in `Model.predict_proba`.
    """  # noqa: D205
    probabilities = model.predict_proba(inputs, prior)
    decided = model.decide(probabilities)
    columns: dict[str, object] = {}
    for task in model.tasks:
        if labels and isinstance(task, Multiclass | Binary):
            columns[f"{task.name} predicted"] = decided[task.name]
        elif labels:
            for j, label in enumerate(task.names):
                columns[f"{task.name}={label} predicted"] = decided[task.name][:, j]
        for j, name in enumerate(probability_columns(task)):
            columns[name] = probabilities[task.name][:, j]
    return pd.DataFrame(columns)


def read_inputs(path: Path, model: EncodedPredictor) -> pd.DataFrame:
    """Return the rows of a table, or of a folder of images, that a model can predict.

    Paths of images are relative to the table, or to the folder; they come back as they are found.

    Raises:
        LabelweaveError: no such file or folder, or a folder for a model without images.
    """
    columns = model.encoder.columns if isinstance(model.encoder, InputEncoder) else ()
    if path.is_dir():
        paths = [each.column for each in columns if each.is_path]
        if not paths:
            raise LabelweaveError(f"{path}: a folder, expected a table: the model takes no images")
        table, root = read_folder(path, paths[0]), path
    else:
        table, root = read_table(path), path.parent
    present = [each for each in columns if each.column in table]
    return table.assign(**{c.column: c.resolved(table[c.column], root) for c in present})


def check_writable(path: Path) -> None:
    """Raise `LabelweaveError` when `write_table` would: another ending, or no such folder."""
    if path.suffix not in {".csv", ".parquet"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .csv or .parquet")
    if not path.parent.is_dir():
        raise LabelweaveError(f"{path}: no folder '{path.parent}' to write to")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as .csv or .parquet, whole or not at all.

    Raises:
        LabelweaveError: see `check_writable`.
    """
    check_writable(path)
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)

"""Predictions of a saved model as a table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from labelweave._files import replacing, write_csv
from labelweave.class_priors import PriorChoice
from labelweave.data._input_encoder import InputEncoder
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting._stack import load_model
from labelweave.model import EncodedPredictor, probability_columns
from labelweave.results import read_results
from labelweave.tables import ReadOptions, Table, read_cells, read_folder, read_table
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
        for option, value in (("method", method), ("seed", seed)):
            if value is not None:
                raise LabelweaveError(
                    f"{folder}: found '--{option} {value}', expected none for a model's folder, "
                    "which holds one model; it chooses among those of a study"
                )
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
    inputs: pd.DataFrame | Table,
    *,
    labels: bool = True,
    prior: PriorChoice | None = None,
    keep: Sequence[str] = (),
) -> pd.DataFrame:
    """Return one row per input row: a probability per class or label and, with `labels`, the
    predicted label of every task under ``<task> predicted``; `prior` as in `Model.predict_proba`.
    The columns `keep`, and those that the model's schema calls identifiers, stand in front as they
    are in the inputs; a data frame keeps its index.
    """  # noqa: D205
    kept = _kept(model, inputs, keep)
    probabilities = model.predict_proba(inputs, prior)
    decided = model.decide(probabilities)
    columns: dict[str, object] = dict(kept)
    for task in model.tasks:
        if labels and isinstance(task, Multiclass | Binary):
            columns[f"{task.name} predicted"] = decided[task.name]
        elif labels:
            for j, label in enumerate(task.names):
                columns[f"{task.name}={label} predicted"] = decided[task.name][:, j]
        for j, name in enumerate(probability_columns(task)):
            columns[name] = probabilities[task.name][:, j]
    made = pd.DataFrame(columns)
    return made if isinstance(inputs, Table) else made.set_axis(inputs.index, axis=0)


def _kept(
    model: EncodedPredictor, inputs: pd.DataFrame | Table, keep: Sequence[str]
) -> dict[str, object]:
    names = [str(name) for name in inputs.columns]
    for name in keep:
        if name not in names:
            raise LabelweaveError(
                f"no column '{name}' to keep, found {listing(names)}{nearest(name, names)}"
            )
    schema = model.encoder.schema
    known = [] if schema is None else schema.named("identifier")
    chosen = list(dict.fromkeys([*keep, *(name for name in known if name in names)]))
    if isinstance(inputs, Table):
        return {name: inputs.cells[name].to_pandas() for name in chosen}
    frame = inputs.set_axis(names, axis=1)
    return {name: frame[name].to_numpy() for name in chosen}


def read_inputs(
    path: Path, model: EncodedPredictor, read: ReadOptions | None = None
) -> pd.DataFrame | Table:
    """Return the rows of a table, or of a folder of images, that a model can predict.

    Paths of images are relative to the table, or to the folder; they come back as they are found.
    What means missing, and the encoding of a file that is not UTF-8, are those of the training
    files, where `read` does not say.

    Raises:
        LabelweaveError: no such file or folder, or a folder for a model without images.
    """
    columns = model.encoder.columns if isinstance(model.encoder, InputEncoder) else ()
    if path.is_dir():
        paths = [each.column for each in columns if each.is_path]
        if not paths:
            raise LabelweaveError(f"{path}: a folder, expected a table: the model takes no images")
        table, root = Table.of_frame(read_folder(path, paths[0]), str(path)), path
    else:
        options, schema = read or ReadOptions(), model.encoder.schema
        if schema is None:
            return read_table(path, options)
        options = replace(options, missing=schema.missing, fallback=schema.encoding)
        table, root = read_cells(path, options), path.parent
    for each in columns:
        if each.column in table.columns:
            table = table.with_texts(each.column, each.resolved(table.texts(each.column), root))
    return table


def check_writable(path: Path, source: Path | None = None) -> None:
    """Raise `LabelweaveError` when `write_table` would: another ending, or no such folder.

    So it does where the path is that of `source`, the table to predict.
    """
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise LabelweaveError(f"{path}: is the table to predict, expected another file to write")
    if path.suffix not in {".csv", ".parquet"}:
        raise LabelweaveError(f"{path}: found ending '{path.suffix}', expected .csv or .parquet")
    if not path.parent.is_dir():
        raise LabelweaveError(f"{path}: no folder '{path.parent}' to write to")


def write_table(
    table: pd.DataFrame, path: Path, *, bom: bool = False, formulas: bool = False
) -> None:
    """Write a table as .csv or .parquet, whole or not at all.

    Args:
        table: the table, without its index.
        path: the file.
        bom: of a CSV file: begin with the mark by which Excel knows UTF-8.
        formulas: of a CSV file: leave cells that start a formula as they are.

    Raises:
        LabelweaveError: see `check_writable`.
    """
    check_writable(path)
    if path.suffix == ".csv":
        write_csv(path, table, bom=bom, formulas=formulas)
        return
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)

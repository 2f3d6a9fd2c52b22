"""What a model predicts from: its folder, or that of a study, and a table or folder of rows."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from labelweave.data._input_encoder import InputEncoder
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting._stack import load_model
from labelweave.fitting._versions import current_version
from labelweave.model import EncodedPredictor
from labelweave.results import read_results
from labelweave.tables import ReadOptions, Table, read_cells, read_folder, read_table


def find_model(
    folder: Path, method: str | None = None, seed: int | None = None
) -> EncodedPredictor:
    """Return the model in `model_folder`, of the same arguments and errors."""
    return load_model(model_folder(folder, method, seed))


def model_folder(folder: Path, method: str | None = None, seed: int | None = None) -> Path:
    """Return a folder that a model's `save` wrote, given itself or a study's results folder.

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
        return current_version(folder).folder
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
    return models[chosen, seeds[0] if seed is None else seed]


def read_inputs(
    path: Path,
    model: EncodedPredictor,
    read: ReadOptions | None = None,
    *,
    folder: Path | None = None,
) -> pd.DataFrame | Table:
    """Return the rows of a table, or of a folder of images, that a model can predict.

    Paths of images are relative to the table, or to the folder; they come back as they are found.
    What means missing, and the encoding of a file that is not UTF-8, are those of the training
    files, where `read` does not say. Cells of text files are kept in `folder`, or in memory.

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
        table, root = read_cells(path, options, folder=folder), path.parent
    return with_files(table, model, root)


def with_files(table: Table, model: EncodedPredictor, root: Path) -> Table:
    """Return a table with its columns that name files as these are found, relative to `root`."""
    columns = model.encoder.columns if isinstance(model.encoder, InputEncoder) else ()
    for each in columns:
        if each.column in table.columns:
            table = table.with_texts(each.column, each.resolved(table.texts(each.column), root))
    return table

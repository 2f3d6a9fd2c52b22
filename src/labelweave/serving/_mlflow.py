"""A final model as a model of MLflow: a flat table in, a flat table out, without pickle."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import labelweave
from labelweave._files import unwritable
from labelweave.errors import LabelweaveError, missing_package
from labelweave.fitting._versions import POINTER, VERSIONS, current_version
from labelweave.model import EncodedPredictor, probability_columns
from labelweave.serving._final import FULL, FinalModel, load
from labelweave.serving._images import image_columns
from labelweave.serving._prediction import prediction_table
from labelweave.serving._rows import example_row, schema_of
from labelweave.tables import Schema

DESCRIPTION = "MLmodel"  # the file that makes a folder a model of MLflow
LEFT_OUT = (VERSIONS, POINTER, "*.onnx", "*.pt2", "*.mlflow", "*.html", ".*")


class TablePredictor:
    """What MLflow calls: `prediction_table` of a final model.

    Args:
        model: the final model.
    """

    def __init__(self, model: FinalModel) -> None:
        self.model = model

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> Any:
        """Return one row per input row: labels and probabilities of every task, in flat columns.

        Raises:
            LabelweaveError: rows that do not fit.
        """
        return prediction_table(self.model.model, model_input)


def _load_pyfunc(path: str) -> TablePredictor:
    """Return the model of a folder; MLflow calls it by this name."""
    # a copy has the folder only where the stack is what predicts
    return TablePredictor(load(path, full=(Path(path) / FULL).is_dir()))


def write_mlflow(
    folder: Path,
    typed: pd.DataFrame,
    target: Path,
    check: Callable[[dict[str, float]], Any],
    *,
    full: bool = False,
) -> dict[str, float]:
    """Write a final model as a folder of MLflow; return by task the largest difference.

    The folder holds a copy of the model's, a signature of columns, and an example. MLflow loads it
    by this module, so no pickle is written.

    Args:
        folder: the model's folder.
        typed: rows to compare on, read by the schema.
        target: the folder to write; a model of MLflow there is replaced.
        check: raises where a difference is too large; nothing is written then.
        full: the stack that taught the network, in its place.

    Raises:
        LabelweaveError: images or dates among the inputs, something else at `target`, or MLflow
            lacks.
    """
    try:
        from mlflow.models import ModelSignature
        from mlflow.pyfunc import load_model, save_model
        from mlflow.types import ColSpec
        from mlflow.types import Schema as Columns
    except ImportError as error:
        raise missing_package("export --format mlflow", error, "mlflow") from None
    final = load(folder, full=full)
    _check(final.model, target)
    schema = schema_of(final.model)
    example = _example(schema)
    answer = prediction_table(final.model, example)
    signature = ModelSignature(
        inputs=Columns(
            [
                ColSpec(
                    "double" if schema.columns[name].type == "number" else "string",
                    name,
                    required=not schema.columns[name].optional,
                )
                for name in schema.named("input")
            ]
        ),
        outputs=Columns([ColSpec(_kind(answer[name]), name) for name in answer]),
    )
    place = target.parent
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=f".{target.name}.") as made:
            copy = Path(made) / "model"
            ignored = shutil.ignore_patterns(*LEFT_OUT, *(() if full else (FULL,)))
            shutil.copytree(current_version(folder).folder, copy, ignore=ignored)
            draft = Path(made) / "mlflow"
            save_model(
                draft, loader_module=__name__, data_path=str(copy), signature=signature,
                input_example=example, pip_requirements=[f"labelweave=={labelweave.__version__}"],
            )  # fmt: skip
            differences = _differences(final.model, load_model(str(draft)), typed)
            check(differences)
            if target.exists():
                shutil.rmtree(target)
            draft.rename(target)
    except OSError as error:
        raise unwritable(target, error) from None
    return differences


def _check(model: EncodedPredictor, target: Path) -> None:
    if image_columns(model):
        raise LabelweaveError(
            "export --format mlflow: found images as inputs, expected columns and texts; "
            "'labelweave serve' takes images"
        )
    schema = schema_of(model)
    dates = [name for name in schema.named("input") if schema.columns[name].type == "date"]
    if dates:
        raise LabelweaveError(
            f"export --format mlflow: found the date '{dates[0]}' as an input, expected numbers, "
            "categories and texts; 'labelweave serve' takes dates"
        )
    if target.exists() and not (target / DESCRIPTION).is_file():
        raise LabelweaveError(
            f"{target}: exists and is no model of MLflow, expected a new folder or one to replace"
        )


def _example(schema: Schema) -> pd.DataFrame:
    """Return a row that fits the schema, numbers as floats; no row of the fit."""
    given = example_row(schema)
    return pd.DataFrame({n: [float(v) if _number(v) else str(v)] for n, v in given.items()})


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _kind(values: "pd.Series[Any]") -> str:
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_integer_dtype(values):
        return "long"
    if pd.api.types.is_float_dtype(values):
        return "float" if values.dtype == np.float32 else "double"
    return "string"


def _differences(model: EncodedPredictor, loaded: Any, typed: pd.DataFrame) -> dict[str, float]:
    wanted = model.typed_proba(typed)
    found = loaded.predict(typed[schema_of(model).named("input")])

    def difference(task: Any, p: NDArray[Any]) -> float:
        return float(np.abs(found[probability_columns(task)].to_numpy() - p).max())

    return {task.name: difference(task, wanted[task.name]) for task in model.tasks}

"""A folder of MLflow predicts what the model predicts; run where mlflow-skinny is installed."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from study_example import tables

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.serving import _mlflow as mlflow_module
from labelweave.serving import export_model


def rows(count: int) -> pd.DataFrame:
    return tables(count, seed=9)[0].drop(columns="kind")


def test_without_mlflow_one_line_names_the_extra(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.models", None)
    with pytest.raises(LabelweaveError, match=r"^export --format mlflow needs .*\[mlflow"):
        export_model(network, "mlflow", rows=rows(30), out=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_images_and_other_folders_are_refused(
    network: Path, pictures_model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(LabelweaveError, match="exists and is no model of MLflow"):
        mlflow_module._check(labelweave.load(network).model, other)
    with pytest.raises(LabelweaveError, match="found images as inputs, expected columns"):
        mlflow_module._check(labelweave.load(pictures_model).model, tmp_path / "new")


@pytest.fixture(scope="module")
def exported(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mlflow")
    copy = shutil.copytree(network, tmp_path_factory.mktemp("mlflow") / "model")
    made = export_model(copy, "mlflow", rows=rows(40))
    assert made.path == copy / "model.mlflow"
    assert max(made.differences.values()) < 1e-6
    return made.path


def test_mlflow_predicts_what_the_model_predicts(exported: Path, network: Path) -> None:
    import mlflow

    loaded = mlflow.pyfunc.load_model(str(exported))
    frame, model = rows(20), labelweave.load(network)
    found = loaded.predict(frame)
    (wanted,) = model.tables(frame)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    gaps = frame.assign(length=float("nan"), colour=None)
    assert loaded.predict(gaps)["kind predicted"].tolist() == list(model.predict(gaps)["kind"])
    with pytest.raises(mlflow.exceptions.MlflowException, match="length"):
        loaded.predict(frame.drop(columns="length"))


def test_signature_example_and_no_pickle(exported: Path) -> None:
    from mlflow.models import Model
    from mlflow.pyfunc import load_model

    described = Model.load(str(exported))
    assert described.signature is not None
    columns: Any = described.signature.inputs.to_dict()
    assert {each["name"]: each["type"] for each in columns} == {
        "length": "double", "width": "double", "weight": "double", "noise": "double",
        "colour": "string",
    }  # fmt: skip
    outputs = [each["name"] for each in described.signature.outputs.to_dict()]
    example = pd.DataFrame(**json.loads((exported / "input_example.json").read_text()))
    assert list(load_model(str(exported)).predict(example)) == outputs
    kept = {path.suffix for path in exported.rglob("*") if path.is_file()}
    assert not kept & {".pkl", ".pickle", ".pt2", ".onnx"}


def test_the_stack_is_a_model_of_mlflow(stack: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow.pyfunc import load_model

    made = export_model(stack, "mlflow", full=True, rows=rows(40), out=tmp_path / "full.mlflow")
    frame = rows(20)
    (wanted,) = labelweave.load(stack, full=True).tables(frame)
    (students,) = labelweave.load(stack).tables(frame)
    found = load_model(str(made.path)).predict(frame)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)
    assert not np.allclose(found["kind=bolt"], students["kind=bolt"])

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from command_line import CommandLine
from study_example import tables

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.evaluation._calibration_maps import fitted_map
from labelweave.fitting._stack import load_model
from labelweave.model import Model
from labelweave.serving import _export as export_module
from labelweave.serving import export_model
from labelweave.serving._graph import PredictionGraph
from labelweave.trust import Calibration


def rows(count: int) -> pd.DataFrame:
    return tables(max(count, 1), seed=9)[0].drop(columns="kind")[:count]


def given(frame: pd.DataFrame, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the inputs as another program makes them: from the metadata alone."""
    numbers, categories = (json.loads(metadata[key]) for key in ("numbers", "categories"))
    return {
        "numbers": frame[numbers].to_numpy(np.float64),
        "categories": frame[list(categories)].fillna("").to_numpy(object),
    }


@pytest.fixture(scope="module")
def exported(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "parts.onnx"
    made = export_model(network, rows=rows(60), out=out, int8=True)
    assert made.rows == 60
    assert max(made.differences.values()) < 1e-4
    return out


@pytest.mark.parametrize("kind", ["none", "temperature", "vector", "isotonic"])
def test_every_calibration_map_is_the_same_in_the_graph(kind: str, network: Path) -> None:
    model, frame = labelweave.load(network).model, rows(200)
    assert isinstance(model, Model)
    rng, maps = np.random.default_rng(0), {}
    for task, p in model.uncalibrated(model.encoder.transform(model.typed(frame))).items():
        codes = rng.integers(p.shape[1] if task == "kind" else 2, size=200)
        for j in range(1 if task == "kind" else p.shape[1]):
            both = p if task == "kind" else np.stack([1 - p[:, j], p[:, j]], axis=1)
            name = "kind" if task == "kind" else f"form={('round', 'hole')[j]}"
            maps[name] = fitted_map(both.astype(np.float64), codes, kind)
    model.calibration = Calibration(model.tasks, maps)
    graph = PredictionGraph(model)
    typed = model.typed(frame)
    arrays = {name: torch.from_numpy(array) for name, array in graph.arrays(typed).items()}
    found = dict(zip(graph.outputs, graph(**arrays), strict=True))
    for name, p in model.predict_proba(frame).items():
        np.testing.assert_allclose(found[name].detach().numpy(), p, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 17, 500])
def test_onnxruntime_gives_the_models_probabilities_and_labels_for_any_batch(
    count: int, exported: Path, network: Path
) -> None:
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == [
        "kind", "form", "kind predicted", "form predicted",
    ]  # fmt: skip
    frame = rows(count)
    frame.loc[frame.index % 3 == 0, "length"] = np.nan
    frame.loc[frame.index % 4 == 1, "colour"] = "never seen"
    frame.loc[frame.index % 5 == 2, "colour"] = None
    metadata = session.get_modelmeta().custom_metadata_map
    found = dict(
        zip(
            [each.name for each in session.get_outputs()],
            session.run(None, given(frame, metadata)),
            strict=True,
        )
    )
    model = labelweave.load(network)
    for name, p in model.predict_proba(frame).items():
        assert found[name].shape == p.shape
        assert np.abs(found[name] - p).max() < 1e-4
    classes = json.loads(metadata["tasks"])[0]["classes"]
    predicted = model.predict(frame)
    assert [classes[code] for code in found["kind predicted"]] == predicted["kind"].tolist()
    assert np.array_equal(found["form predicted"], predicted["form"])


def test_the_metadata_describe_the_graph(exported: Path) -> None:
    made = onnx.load(exported)
    onnx.checker.check_model(made, full_check=True)
    metadata = {entry.key: entry.value for entry in made.metadata_props}
    assert metadata["labelweave"] == labelweave.__version__
    assert metadata["torch"] == torch.__version__
    kind, form = json.loads(metadata["tasks"])
    assert kind == {
        "name": "kind", "kind": "multiclass", "classes": ["bolt", "disc", "ring"],
        "thresholds": None,
    }  # fmt: skip
    assert form["classes"] == ["round", "hole"]
    assert len(form["thresholds"]) == 2
    assert json.loads(metadata["categories"]) == {"colour": ["blue", "red"]}


def test_int8_is_smaller_in_its_weights_and_its_loss_is_measured(
    exported: Path, network: Path
) -> None:
    made = export_model(network, rows=rows(60), out=exported, int8=True)
    assert made.int8_path == exported.with_suffix(".int8.onnx")
    kinds = {tensor.data_type for tensor in onnx.load(made.int8_path).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    for loss in made.int8.values():
        assert 0 < loss.difference < 0.2
        assert 0 <= loss.changed < 0.2
        assert (loss.labels, loss.accuracy, loss.accuracy_int8) == (0, None, None)


def test_int8_is_measured_on_the_labels_of_the_study(finished_study: Path, stack: Path) -> None:
    made = export_model(finished_study.parent / "runs/parts/model", int8=True)
    truth = tables()
    known = truth[0]["kind"].notna().sum() + truth[1]["kind"].notna().sum()
    assert made.int8["kind"].labels == known
    assert 0.5 < (made.int8["kind"].accuracy or 0) <= 1
    assert abs((made.int8["kind"].accuracy or 0) - (made.int8["kind"].accuracy_int8 or 0)) < 0.1


def test_a_program_of_pytorch_gives_the_same(network: Path, tmp_path: Path) -> None:
    made = export_model(network, "torch", rows=rows(30), out=tmp_path / "parts.pt2")
    assert max(made.differences.values()) < 1e-4
    extra = {"numbers.json": "", "categories.json": "", "tasks.json": ""}
    program = torch.export.load(made.path, extra_files=extra).module()
    frame = rows(5)
    categories = json.loads(extra["categories.json"])
    codes = [[kept.index(value) for value in frame[name]] for name, kept in categories.items()]
    numbers = frame[json.loads(extra["numbers.json"])].to_numpy(np.float64, copy=True)
    outputs = program(
        numbers=torch.from_numpy(numbers), categories=torch.from_numpy(np.array(codes).T.copy())
    )
    p = labelweave.load(network).predict_proba(frame)
    assert np.abs(outputs[0].detach().numpy() - p["kind"]).max() < 1e-4


@pytest.mark.parametrize("damage", [0.5, np.nan])
def test_a_graph_that_differs_is_refused_and_not_written(
    damage: float, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = export_module._program

    def broken(*args: Any) -> Any:
        content, run = make(*args)

        def wrong(typed: pd.DataFrame) -> list[Any]:
            parts = run(typed)
            return [parts[0] + damage, *parts[1:]]

        return content, wrong

    monkeypatch.setattr(export_module, "_program", broken)
    out = tmp_path / "parts.pt2"
    with pytest.raises(LabelweaveError, match=r"^export: task 'kind': a probability differs by "):
        export_model(network, "torch", rows=rows(20), out=out)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_named(network: Path, stack: Path, tmp_path: Path) -> None:
    def refused(*args: Any, **options: Any) -> str:
        with pytest.raises(LabelweaveError) as error:
            export_model(*args, **options)
        return str(error.value)

    assert refused(network, "onx") == (
        "format: found 'onx', expected 'onnx', 'torch', 'mlflow'; did you mean 'onnx'?"
    )
    assert refused(network, "torch", int8=True) == "int8: found the format 'torch', expected 'onnx'"
    for options, what in [({"format": "torch"}, "format torch"), ({"int8": True}, "int8")]:
        assert refused(stack, full=True, **options) == (
            f"{what}: found a stack of learners, expected networks; 'onnx' writes the stack, "
            "'labelweave finish' makes its student the model"
        )
    assert refused(network, full=True) == (
        f"{network}: found no folder 'full', expected one with the stack; 'labelweave finish "
        "--full' writes it"
    )
    alone = shutil.copytree(network, tmp_path / "alone")
    assert refused(alone) == (
        f"{alone}: found no study next to it, expected real rows to compare on (--rows)"
    )
    assert refused(network, rows=rows(0)) == ("rows: found none, expected real rows to compare on")


def test_the_model_of_a_run_is_compared_on_the_rows_of_its_study(finished_study: Path) -> None:
    (folder,) = finished_study.parent.glob("runs/parts/runs/coupled-*/model")
    typed, labels = export_module._typed(load_model(folder), folder, None)
    assert len(typed) == 240
    assert (labels["kind"] >= 0).sum() == tables()[:2][0]["kind"].notna().sum() + 30


def test_the_commands_finish_and_export(finished_study: Path, cli: CommandLine) -> None:
    answer = cli("finish", finished_study, "--method", "coupled", "--new-version")
    assert (answer.code, answer.err) == (0, "")
    folder = finished_study.parent / "runs/parts/model"
    lines = answer.out.splitlines()
    assert lines[0] == f"Model: {folder}"
    assert lines[1].startswith("Network: 'student', taught by 'coupled'; fitted on 240 rows;")
    assert lines[2] == "To expect, measured by 'student' on out-of-fold rows:"
    assert lines[-1].startswith("Next: labelweave ")
    answer = cli("export", folder, "--format", "torch")
    assert answer.code == 0
    assert answer.out.startswith(f"Written: {folder / 'model.pt2'}\nLargest difference")
    assert cli.refused("finish", finished_study).endswith("makes the next version")

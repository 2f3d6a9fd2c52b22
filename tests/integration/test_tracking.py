import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line import CommandLine
from study_example import as_json, content, write_study

from labelweave.errors import LabelweaveError, LabelweaveWarning
from labelweave.experiments import Study, parse_study
from labelweave.tracking import TRACKERS, RunsFile, TensorBoard
from labelweave.tracking import _stores as registry

TRAINING = {"steps": 30, "batch_size": 16, "evaluations": 3}
CHANGES: dict[str, Any] = {
    "training": TRAINING,
    "split": {"test": 60, "validation": 40},
    "methods": ["single_task", "multi_task", "full", "post_hoc", "strong_single_task"],
    "seeds": [3, 4],
}


def run(path: Path) -> dict[str, Any]:
    return as_json(Study.from_file(path).run(jobs=1, progress=False))


def lines(path: Path) -> list[dict[str, Any]]:
    text = (path.parent / "runs" / "parts" / "runs.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def logs(output: Path, name: str) -> list[dict[str, Any]]:
    """The records of a joint run's log, as the trainer wrote them."""
    log = output / "runs" / name / "training" / "network0" / "log.jsonl"
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with every tracker whose package is here, run twice."""
    here = [name for name in TRACKERS if not registry.missing_packages(name)]
    path = write_study(tmp_path_factory.mktemp("tracked"), tracking=here, **CHANGES)
    run(path)
    run(path)
    return path


def test_every_run_has_one_line_with_the_metrics_of_the_results(tracked: Path) -> None:
    results = json.loads((tracked.parent / "runs" / "parts" / "results.json").read_text())
    found = lines(tracked)
    assert {(line["method"], line["seed"]) for line in found} == {
        (method, seed) for method in results["methods"] for seed in (3, 4)
    }
    assert sorted(line["run"] for line in found) == sorted(r["folder"] for r in results["runs"])
    for method, tasks in results["methods"].items():
        of_method = {line["seed"]: line for line in found if line["method"] == method}
        for task, metrics in tasks.items():
            for metric, estimate in metrics.items():
                values = [of_method[seed]["metrics"][task][metric] for seed in (3, 4)]
                assert np.mean(values) == pytest.approx(estimate["mean"])
    line = next(line for line in found if line["method"] == "multi_task" and line["seed"] == 3)
    assert list(line) == [
        "run", "method", "seed", "key", "seconds", "parameters", "networks", "labels", "metrics",
    ]  # fmt: skip
    assert line["run"] == f"multi_task-seed3-{line['key']}"
    assert line["networks"] == 1
    assert set(line["labels"]) == {"kind", "form"}


def test_runs_with_fewer_labels_differ_by_their_labels(tmp_path: Path) -> None:
    changes = CHANGES | {"methods": ["single_task", "multi_task"], "seeds": [3]}
    run(write_study(tmp_path, label_curves={"shares": [0.5], "seeds": 1}, **changes))
    found = [
        line["labels"] for line in lines(tmp_path / "study.yaml") if "single" in line["method"]
    ]
    whole, half = sorted(found, key=lambda labels: -labels["kind"])
    assert half["kind"] == round(whole["kind"] / 2)


def test_a_changed_study_adds_lines_and_keeps_the_old_ones(tmp_path: Path) -> None:
    changes = CHANGES | {"methods": ["single_task", "multi_task"], "seeds": [3]}
    run(write_study(tmp_path, **changes))
    old = lines(tmp_path / "study.yaml")
    path = write_study(tmp_path, **changes | {"seeds": [3, 4]})
    run(path)
    assert lines(path)[: len(old)] == old
    assert [line["seed"] for line in lines(path)[len(old) :]] == [4, 4]


def test_a_file_of_something_else_is_reported_before_training(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    file = tmp_path / "runs" / "parts" / "runs.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text('{"run": "a"}\n[]\n')
    with pytest.raises(LabelweaveError) as error:
        run(path)
    assert str(error.value) == (
        f"{file}: line 2 is not a run, expected JSON with the key 'run'; remove the file to have "
        "it written anew"
    )
    file.unlink()
    file.mkdir()
    with pytest.raises(LabelweaveError, match=r"runs\.jsonl: cannot be read: Is a directory$"):
        RunsFile(file)
    assert not list(file.parent.glob("runs/*"))


def test_tensorboard_reads_every_curve_back(tracked: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tracked.parent / "runs" / "parts"
    folders = {path.name for path in (output / "tensorboard").iterdir()}
    assert folders == {line["run"] for line in lines(tracked)}
    line = next(line for line in lines(tracked) if line["method"] == "full")
    (file,) = (output / "tensorboard" / line["run"]).iterdir()
    events = EventAccumulator(str(file.parent))
    events.Reload()
    records = logs(output, line["run"])
    for term, kind in [("supervised/kind", "raw"), ("supervised/form", "weighted")]:
        found = {e.step: e.value for e in events.Scalars(f"{kind}/{term}")}
        expected = {record["step"]: record[kind][term] for record in records}
        assert found == pytest.approx(expected)
    assert len(events.Scalars("validation/kind")) == 3
    assert any("kind->form" in tag for tag in events.Tags()["scalars"])
    (score,) = events.Scalars("test/kind/accuracy")
    assert score.value == pytest.approx(line["metrics"]["kind"]["accuracy"])
    assert score.step == 30
    (seconds,) = events.Scalars("seconds")
    assert seconds.value == pytest.approx(line["seconds"], abs=1e-3)
    found = shown_params(file)
    assert found["method"] == "full"
    assert found["seed"] == line["seed"]
    assert found["study"] == "parts"
    assert found["training.steps"] == 30


def shown_params(file: Path) -> dict[str, Any]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import metadata

    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            if value.tag == metadata.SESSION_START_INFO_TAG:
                content = value.metadata.plugin_data.content
                found = metadata.parse_session_start_info_plugin_data(content).hparams
                return {k: getattr(v, v.WhichOneof("kind")) for k, v in found.items()}
    raise AssertionError("no parameters")


def test_mlflow_reads_every_run_back(tracked: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from mlflow.tracking import MlflowClient

    output = tracked.parent / "runs" / "parts"
    client = MlflowClient(tracking_uri=f"sqlite:///{output / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("parts")
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    assert len(client.search_runs([experiment.experiment_id])) == len(runs)
    assert set(runs) == {line["run"] for line in lines(tracked)}
    assert {r.info.status for r in runs.values()} == {"FINISHED"}
    line = next(line for line in lines(tracked) if line["method"] == "full")
    found = runs[line["run"]]
    shown = {"study": "parts", "method": "full", "seed": str(line["seed"]), "key": line["key"]}
    assert shown.items() <= found.data.params.items()
    assert found.data.params["training.steps"] == "30"
    assert found.data.params["labels.kind"] == str(line["labels"]["kind"])
    accuracy = line["metrics"]["kind"]["accuracy"]
    assert found.data.metrics["test/kind/accuracy"] == pytest.approx(accuracy)
    duration = (found.info.end_time - found.info.start_time) / 1000
    assert duration == pytest.approx(line["seconds"], abs=0.01)
    for kind in ("raw", "weighted"):
        history = client.get_metric_history(found.info.run_id, f"{kind}/supervised/kind")
        expected = {r["step"]: r[kind]["supervised/kind"] for r in logs(output, line["run"])}
        assert {m.step: m.value for m in history} == pytest.approx(expected)
        assert len(history) == len(expected)
    history = client.get_metric_history(found.info.run_id, "validation/form")
    assert [m.step for m in history] == [10, 20, 30]
    assert not (Path.cwd() / "mlruns").exists()


def test_mlflow_completes_a_run_that_was_written_in_part(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from mlflow.tracking import MlflowClient

    tracking = [{"tracker": "mlflow", "uri": "sqlite:///all.db", "experiment": "parts and more"}]
    changes = CHANGES | {"methods": ["multi_task"], "seeds": [3]}
    path = write_study(tmp_path, tracking=tracking, **changes)
    run(path)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'all.db'}")
    experiment = client.get_experiment_by_name("parts and more").experiment_id
    name = next(line["run"] for line in lines(path) if line["method"] == "multi_task")

    def of_run() -> list[Any]:
        return client.search_runs([experiment], f"tags.`labelweave.run` = '{name}'")

    (before,) = of_run()
    client.update_run(before.info.run_id, "RUNNING")
    run(path)
    (after,) = of_run()
    assert after.info.status == "FINISHED"
    assert after.data.to_dictionary() == before.data.to_dictionary()
    history = client.get_metric_history(before.info.run_id, "raw/supervised/kind")
    assert len({metric.step for metric in history}) == len(history)


def test_a_tracker_that_fails_is_reported_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    changes = CHANGES | {"methods": ["multi_task"]}
    path = write_study(tmp_path, tracking=["tensorboard"], **changes)

    def failing(*args: object) -> None:
        raise ConnectionError("the server is down\nand more")

    monkeypatch.setattr(TensorBoard, "write", failing)
    with pytest.warns(LabelweaveWarning) as caught:
        results = run(path)
    assert [str(w.message) for w in caught if w.category is LabelweaveWarning] == [
        "tracking: tensorboard failed and is left out, the next call will report what it missed "
        "(the server is down)"
    ]
    assert results["failures"] == []
    monkeypatch.undo()
    run(path)
    assert len(list(tmp_path.glob("runs/parts/tensorboard/*/*"))) == len(lines(path)) == 4


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_reported_before_training(
    name: str, tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package, *_) = TRACKERS[name].packages

    def without(wanted: str) -> object:
        return None if wanted == package else find_spec("sys")

    monkeypatch.setattr(registry, "find_spec", without)
    path = write_study(tmp_path, tracking=[name])
    line = (
        f"key 'tracking': {name} needs the package {package}, which is not installed: "
        "pip install 'labelweave[track]'"
    )
    assert cli.refused("run", path) == line
    checked = cli("check", path)  # it shows the data's findings all the same
    assert (checked.code, checked.err) == (2, f"labelweave: {line}\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_no_package_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from labelweave.experiments import Study\n"
        "print({'lightning_fabric', 'torch._dynamo', 'sklearn'} & set(sys.modules))\n"
        "Study.from_file(sys.argv[1]).run(jobs=1, progress=False)\n"
        "print({'mlflow', 'tensorboard'} & {name.partition('.')[0] for name in sys.modules})\n"
    )
    path = write_study(tmp_path, training={"steps": 3, "batch_size": 8})
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\nset()\n"


def test_mlflow_prints_nothing_and_sends_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    code = (
        "import sys; from labelweave.tracking import MLflow; from pathlib import Path\n"
        "print(MLflow(Path(sys.argv[1]), 'parts').has('a'))\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled; print(is_telemetry_disabled())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "")


@pytest.mark.parametrize(
    ("tracking", "message"),
    [
        (
            ["tensorbord"],
            "no such tracker 'tensorbord', expected 'tensorboard', 'mlflow'; did you mean "
            "'tensorboard'?",
        ),
        (["mlflow", {"tracker": "mlflow"}], "found the tracker 'mlflow' twice, expected it once"),
    ],
)
def test_wrong_trackers_are_named(tracking: list[Any], message: str) -> None:
    with pytest.raises(LabelweaveError, match=re.escape(message)):
        parse_study(yaml.safe_load(yaml.safe_dump(content(tracking=tracking))))


def test_options_of_another_tracker_are_named() -> None:
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(tracking=[{"tracker": "tensorboard", "uri": "sqlite:///a.db"}]))
    assert str(error.value).endswith("the tracker tensorboard has no 'uri'")
    with pytest.raises(LabelweaveError) as error:
        parse_study(content(tracking=[{"tracker": "mlflow", "url": "sqlite:///a.db"}]))
    assert "no such key, expected 'tracker', 'uri', 'experiment'" in str(error.value)
    assert "did you mean 'uri'?" in str(error.value)


def test_settings_in_results_do_not_contain_where_runs_are_tracked(tracked: Path) -> None:
    text = (tracked.parent / "runs" / "parts" / "results.json").read_text()
    assert not json.loads(text)["settings"]["tracking"]

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats
from study_example import as_json, content, draw_nothing, tables, write_study

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.errors import LabelweaveError, TrainingError
from labelweave.experiments import Study, parse_study
from labelweave.experiments import _runs as runs
from labelweave.experiments._checking import notes
from labelweave.experiments._loading import StudyData
from labelweave.fitting._methods import METHODS
from labelweave.relations import Relation
from labelweave.report import write_report
from labelweave.tasks import Multiclass

Results = dict[str, Any]
SCATTER = [
    {"name": "kind_lab", "tasks": ["kind"], "per_class": 2},
    {"name": "form_lab", "tasks": ["form"]},
]


def run(path: Path) -> Results:
    study = Study.from_file(path)
    results = study.run(jobs=1, progress=False)
    write_report(results, study.output, draw=draw_nothing)
    return as_json(results)


def change(path: Path, **changes: Any) -> None:
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def folders(path: Path) -> dict[str, float]:
    """Return every finished run's folder with the time of its record."""
    found = (path.parent / "runs" / "parts" / "runs").glob("*/run.json")
    return {record.parent.name: record.stat().st_mtime_ns for record in found}


def predictions(path: Path) -> dict[str, bytes]:
    found = (path.parent / "runs" / "parts" / "runs").glob("*/predictions.safetensors")
    return {file.parent.name: file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def every_method(trained_copy: Path) -> tuple[Path, Results]:
    output = trained_copy.parent / "runs" / "parts"
    return trained_copy, json.loads((output / "results.json").read_text(encoding="utf-8"))


def test_results_have_the_same_form_for_every_method_and_task(
    every_method: tuple[Path, Results],
) -> None:
    path, results = every_method
    asked = [name for name, method in METHODS.items() if not method.on_request]
    assert list(results["methods"]) == asked
    assert set(results["differences"]) == set(asked) - {"single_task"}
    for part in ("methods", "differences"):
        for by_task in results[part].values():
            assert set(by_task) == {"kind", "form"}
            for name, main in (("kind", "accuracy"), ("form", "macro_f1")):
                estimate = by_task[name][main]
                assert {"mean", "low", "high", "n", "seeds"} <= set(estimate)
                assert estimate["low"] <= estimate["mean"] <= estimate["high"]
                assert estimate["seeds"] == 2
    words = {"gain", "no difference", "negative transfer", "not enough data"}
    for by_task in results["verdicts"].values():
        assert set(by_task) == {"kind", "form"}
        assert set(by_task.values()) <= words
    assert results["failures"] == []
    output = path.parent / "runs" / "parts"
    for name, part in (("report.html", '<html lang="en">'), ("report.md", "## Recommendation")):
        assert part in (output / name).read_text(encoding="utf-8")
    assert (output / "summary.png").stat().st_size > 10_000
    assert "single_task" in (output / "results.csv").read_text(encoding="utf-8")


def test_results_name_no_folder_of_the_machine(every_method: tuple[Path, Results]) -> None:
    path, _ = every_method
    output = path.parent / "runs" / "parts"
    for name in ("results.json", "results.csv", "report.html", "report.md"):
        assert str(path.parent) not in (output / name).read_text(encoding="utf-8")


def test_the_coupled_methods_learn_what_the_tables_show(every_method: tuple[Path, Results]) -> None:
    means = {
        method: tasks["kind"]["accuracy"]["mean"]
        for method, tasks in every_method[1]["methods"].items()
    }
    assert means["full"] > means["shuffled_relations"] + 0.1
    assert means["oracle"] > 0.7


def test_all_methods_of_a_seed_are_tested_on_the_same_rows(
    every_method: tuple[Path, Results],
) -> None:
    path, results = every_method
    study = Study.from_file(path)
    for split in study.splits():
        used = np.concatenate([split.train.index, split.validation.index])
        assert np.intersect1d(split.test.index, used).size == 0
        assert len(split.test.index) == 60
        for record in results["runs"]:
            if record["seed"] == split.seed:
                folder = study.output / "runs" / record["folder"]
                done = runs.Run(record["method"], split.seed, record["key"], folder)
                assert np.array_equal(done.rows(), split.test.index)
                assert set(done.predictions()) == {"kind", "form"}


def test_calibration_is_shown_for_the_baseline_the_joint_and_the_recommended_method(
    every_method: tuple[Path, Results],
) -> None:
    _, results = every_method
    found = results["calibration"]
    assert list(found)[:2] == ["single_task", "multi_task"]
    assert set(found) == {"single_task", "multi_task", results["recommendation"]["method"]}
    for by_task in found.values():
        cells = {name: (by_task[name]["ece"], by_task[name]["bins"]) for name in by_task}
        assert set(cells) == {"kind", "form"}
        for ece, bins in cells.values():
            assert 0 <= ece["low"] <= ece["mean"] <= ece["high"] <= 1
            assert ece["seeds"] == 2
            # 60 test rows a seed; of form, two elements a row
            assert sum(b["n"] for b in bins) <= 2 * 2 * 60
            sure = [b["confidence"] for b in bins]
            assert sure == sorted(sure)
        assert sum(b["n"] for b in cells["kind"][1]) <= 2 * 60


def test_running_again_trains_nothing(every_method: tuple[Path, Results]) -> None:
    path, results = every_method
    before = folders(path)
    again = run(path)
    assert folders(path) == before
    assert {k: v for k, v in again.items() if k != "created"} == {
        k: v for k, v in results.items() if k != "created"
    }


def test_another_folder_gives_the_same_runs_bit_by_bit(tmp_path: Path) -> None:
    first, second = write_study(tmp_path / "a"), write_study(tmp_path / "b" / "c")
    run(first)
    run(second)
    assert len(predictions(first)) == 2
    assert predictions(first) == predictions(second)


@pytest.mark.slow
def test_a_changed_setting_redoes_only_what_it_changes(tmp_path: Path) -> None:
    path = write_study(tmp_path, methods=["single_task", "full", "strong_single_task", "post_hoc"])
    run(path)

    def redone(**changes: Any) -> set[str]:
        before = set(folders(path))
        change(path, **changes)
        run(path)
        return {name.partition("-")[0] for name in set(folders(path)) - before}

    assert redone(statistics={"replicates": 120}) == set()
    assert redone(couplings={"co_annotation": {"weight": 0.5}}) == {"full"}
    table = tables()[2].assign(hole=[0, 1, 1])
    table.to_csv(tmp_path / "knowledge.csv", index=False)
    assert redone() == {"full", "post_hoc"}
    assert redone(network={"hidden": [8]}) == {"single_task", "full", "multi_task", "post_hoc"}
    assert redone(seeds=[3, 4]) == set(METHODS) & {
        "single_task", "full", "multi_task", "post_hoc", "strong_single_task"
    }  # fmt: skip


def test_a_renamed_input_column_is_another_run(tmp_path: Path) -> None:
    path = write_study(tmp_path, methods=["single_task"])
    run(path)
    before = set(folders(path))
    for name in ("a.csv", "b.csv"):
        table = (tmp_path / name).read_text(encoding="utf-8").replace("length", "span", 1)
        (tmp_path / name).write_text(table, encoding="utf-8")
    run(path)
    assert len(set(folders(path)) - before) == 1


def test_relations_are_counted_on_training_rows(tmp_path: Path) -> None:
    path = write_study(tmp_path, relations=[{"source": "kind", "targets": ["form"]}])
    study = Study.from_file(path)
    (split,) = study.splits()
    (relation,) = split.relations
    both = split.train.annotations.co_labelled().loc["kind", "form"]
    assert str(relation.origin) == f"counted on {both} rows"
    assert 0 < both < 30
    results = as_json(study.run(jobs=1, progress=False))
    assert results["relations"][0]["origin"]["text"] == str(relation.origin)
    assert results["verdicts"]["full"].keys() == {"kind", "form"}


def test_counting_without_rows_that_carry_both_is_found_before_training(tmp_path: Path) -> None:
    path = write_study(tmp_path, relations=[{"source": "kind", "targets": ["form"]}])
    b = tables()[1].drop(columns="kind")
    b.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(LabelweaveError) as error:
        Study.from_file(path).describe()
    assert str(error.value) == (
        "relation kind->form: no training row carries labels of both tasks; "
        "give a knowledge table instead"
    )


def test_a_failing_run_is_named_and_the_others_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path, seeds=2, methods=["single_task", "multi_task", "full"])
    fit = runs.fit

    def failing(method: Any, split: Any, *args: Any, **options: Any) -> Any:
        if (method.name, split.seed) == ("full", 1):
            raise TrainingError("step 3: loss term 'supervised/kind' is nan")
        if (method.name, split.seed) == ("full", 0):
            raise ZeroDivisionError("nothing to divide")
        return fit(method, split, *args, **options)

    monkeypatch.setattr(runs, "fit", failing)
    results = run(path)
    first, second = results["failures"]
    assert first["error"].startswith("ZeroDivisionError: nothing to divide (details in full-seed0")
    assert second == {
        "method": "full",
        "seed": 1,
        "error": "step 3: loss term 'supervised/kind' is nan",
    }
    assert list(results["methods"]) == ["single_task", "multi_task"]
    (details,) = path.parent.glob("runs/parts/runs/*/error.txt")
    assert "ZeroDivisionError" in details.read_text(encoding="utf-8")

    monkeypatch.undo()
    mended = run(path)
    assert mended["failures"] == []
    assert list(mended["methods"]) == ["single_task", "multi_task", "full"]
    assert not list(path.parent.glob("runs/parts/runs/*/error.txt"))


def test_a_study_without_its_baseline_still_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path)
    fit = runs.fit

    def failing(method: Any, *args: Any, **options: Any) -> Any:
        if method.name == "single_task":
            raise TrainingError("no number")
        return fit(method, *args, **options)

    monkeypatch.setattr(runs, "fit", failing)
    results = run(path)
    assert list(results["methods"]) == ["full"]
    assert results["differences"] == {}
    assert (tmp_path / "runs" / "parts" / "report.html").exists()


def test_when_every_method_fails_there_is_nothing_to_report(tmp_path: Path) -> None:
    path = write_study(
        tmp_path, training={"steps": 40, "learning_rate": 100, "weight_decay": 1e6, "clip": None}
    )
    with pytest.raises(TrainingError, match=r"^every method failed, the first: step [0-9]+: "):
        run(path)
    assert not (tmp_path / "runs" / "parts" / "results.json").exists()


def test_early_stopping_takes_validation_rows(tmp_path: Path) -> None:
    training = {"steps": 400, "batch_size": 32, "patience": 2, "evaluations": 40}
    path = write_study(tmp_path, split={"test": 60, "validation": 40}, training=training)
    results = run(path)
    assert results["splits"] == {"train": 140, "validation": 40, "test": 60}
    assert results["curves"]["full"]["step"][-1] < 400
    records = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in path.parent.glob("runs/parts/runs/full-*/run.json")
    ]
    assert [len(record["thresholds"]["form"]) for record in records] == [2]


def test_a_source_can_be_the_test_set(tmp_path: Path) -> None:
    sources = [{"path": "a.csv"}, {"path": "b.csv"}, {"path": "c.csv", "split": "test"}]
    path = write_study(tmp_path, sources=sources, split=None)
    a, b, _ = tables(40, seed=1)
    b.assign(kind=a["kind"]).to_csv(tmp_path / "c.csv", index=False)
    results = run(path)
    assert results["splits"] == {"train": 240, "validation": 0, "test": 40}
    assert results["methods"]["full"]["kind"]["accuracy"]["n"] == 40


def test_a_group_stays_on_one_side(tmp_path: Path) -> None:
    sources = [{"path": "a.csv", "group": "batch"}, {"path": "b.csv"}]
    path = write_study(tmp_path, sources=sources)
    a = tables()[0].assign(batch=[f"B{i // 6}" for i in range(120)])
    a.to_csv(tmp_path / "a.csv", index=False)
    study = Study.from_file(path)
    (split,) = study.splits()
    groups = study.data.collection.groups
    assert np.intersect1d(groups[split.train.index], groups[split.test.index]).size == 0
    assert "batch" not in study.data.collection.inputs


def test_a_study_of_one_task(tmp_path: Path) -> None:
    path = write_study(tmp_path, tasks=[{"name": "kind"}], relations=None, methods=None)
    change(path, sources=[{"path": "a.csv"}])
    results = run(path)
    assert list(results["methods"]) == [
        "single_task",
        "multi_task",
        "distillation",
        "strong_single_task",
    ]
    # one seed of 60 test rows would have missed a change of ten points
    assert results["verdicts"]["multi_task"] == {"kind": "not enough data"}


def test_an_empty_test_set_gives_no_data(tmp_path: Path) -> None:
    results = run(write_study(tmp_path, split={"test": 0}))
    assert results["methods"]["full"]["kind"]["accuracy"]["mean"] is None
    assert results["verdicts"]["full"]["kind"] == "not enough data"
    notes = [note["text"] for note in results["notes"]]
    assert "the test set is empty; no task can be tested" in notes


def test_a_task_of_one_class_is_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    for name, table in zip(("a", "b"), tables()[:2], strict=True):
        table["kind"] = table["kind"].where(table["kind"].isna(), "bolt")
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(LabelweaveError) as error:
        Study.from_file(path)
    assert str(error.value) == "column 'kind': found 'bolt', expected at least two classes"


def test_a_listed_class_without_rows_is_no_hindrance(tmp_path: Path) -> None:
    tasks = [
        {"name": "kind", "classes": [*tables()[2]["kind"], "gear"]},
        {"name": "form", "kind": "multilabel", "labels": ["round", "hole"]},
    ]
    results = run(write_study(tmp_path, tasks=tasks, methods=None))
    assert results["failures"] == []
    assert results["methods"]["strong_single_task"]["kind"]["accuracy"]["mean"] > 0.5


def test_a_task_may_have_any_name(tmp_path: Path) -> None:
    tasks = [{"name": "rows"}, {"name": "../hole", "kind": "binary"}]
    path = write_study(tmp_path / "s", tasks=tasks, relations=None, methods=["multi_task"])
    for name, table in zip(("a", "b"), tables()[:2], strict=True):
        renamed = table.rename(columns={"kind": "rows", "hole": "../hole"})
        renamed.to_csv(tmp_path / "s" / f"{name}.csv", index=False)
    results = run(path)
    assert results["failures"] == []
    assert results["methods"]["multi_task"]["rows"]["accuracy"]["n"] > 0
    assert {file.name for file in tmp_path.iterdir()} == {"s"}


def test_labels_all_hidden_are_found_before_training(tmp_path: Path) -> None:
    path = write_study(tmp_path, scatter=[{"name": "lab", "tasks": ["kind"]}])
    with pytest.raises(LabelweaveError) as error:
        Study.from_file(path).describe()
    assert str(error.value) == "task 'form': no training row carries its label (seed 3)"


def test_a_study_of_data_in_memory() -> None:
    rng = np.random.default_rng(0)
    tasks = (Multiclass("a", ("x", "y")), Multiclass("b", ("u", "v")))
    codes = rng.integers(2, size=80)
    labels = Annotations(tasks, {"a": codes, "b": codes})
    collection = Collection([Source("s", rng.normal(size=(80, 3)), labels)])
    relation = Relation(tasks[0], tasks[1], np.eye(2))
    settings = content(name="memory", tasks=None, sources=None, relations=None, split=None)
    study = Study(settings, data=StudyData(collection, (relation,), ()))
    assert study.methods == ["single_task", "full"]
    with pytest.raises(LabelweaveError) as error:
        Study(settings, data=StudyData(collection, (), ()))
    assert str(error.value) == "key 'methods': method 'full' needs relations, found none"


def test_groups_of_rows_reach_the_comparison(tmp_path: Path) -> None:
    # four copies of each row are a group: 96 test rows are as informative as 24 rows
    a = tables()[0].iloc[:60]
    a = a.assign(batch=a.index).loc[a.index.repeat(4)]
    options: Any = {"relations": None, "methods": ["single_task"], "split": {"test": 96}}
    path = write_study(tmp_path, tasks=[{"name": "kind"}], **options)
    a.to_csv(tmp_path / "a.csv", index=False)
    change(path, sources=[{"path": "a.csv", "group": "batch"}], statistics={"replicates": 1000})
    found = run(path)["methods"]["single_task"]["kind"]["accuracy"]
    expected = stats.t.ppf(0.975, 23) * (found["mean"] * (1 - found["mean"]) / 23) ** 0.5
    assert (found["high"] - found["low"]) / 2 == pytest.approx(expected, rel=0.1)


def test_test_rows_of_few_groups_are_noted(tmp_path: Path) -> None:
    path = write_study(tmp_path, sources=[{"path": "a.csv", "group": "batch"}], relations=None)
    change(path, tasks=[{"name": "kind"}], methods=["multi_task"])
    tables()[0].assign(batch=[f"B{i // 20}" for i in range(120)]).to_csv(
        tmp_path / "a.csv", index=False
    )
    found = notes(Study.from_file(path).splits())
    assert str(found[1]) == (
        "the test rows come from only 3 groups, too few to estimate how groups vary: intervals "
        "are rough"
    )


def test_the_settings_in_the_results_are_those_of_the_study(tmp_path) -> None:
    couplings = {"co_annotation": {"forward": None, "weight": 0.5}}
    path = write_study(tmp_path, couplings=couplings, methods=["co_annotation"])
    settings = as_json(Study.from_file(path).run(jobs=1, progress=False))["settings"]
    assert settings["couplings"] == couplings
    assert settings["sources"][0] == {
        "path": "a.csv",
        "inputs": "rest",
        "exclude": [],
        "identifier": [],
        "read": {},
        "rename": {},
        "map": {},
        "missing": ["", "NA", "NaN", "nan", "null"],
        "unticked": "missing",
        "annotators": "majority",
        "multiple": [],
        "options": {},
    }
    assert parse_study(settings).method_list(related=True) == ["single_task", "co_annotation"]

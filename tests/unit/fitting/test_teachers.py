from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from study_example import as_json, tables, write_study

from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation import best_temperature
from labelweave.evaluation._calibration import scores_of
from labelweave.experiments import Study
from labelweave.experiments import _executor as pool
from labelweave.experiments import _runs as runs
from labelweave.experiments._runs import plan_run
from labelweave.fitting import _fit as teachers
from labelweave.fitting._fit import fit, teacher_scores
from labelweave.fitting._methods import METHODS, find_method
from labelweave.fitting._split import held_out

TAUGHT = {"method": "full", "name": "taught", "couplings": {"distillation": {"weight": 0.5}}}


def study_file(folder: Path, **changes: Any) -> Path:
    return write_study(folder, **{"training": {"steps": 10, "batch_size": 32}, **changes})


def run(path: Path) -> dict[str, Any]:
    return as_json(Study.from_file(path).compare(jobs=1, progress=False))


def folders(path: Path) -> dict[str, int]:
    """Return every finished run's folder with the time of its record."""
    found = (path.parent / "runs" / "parts" / "runs").glob("*/run.json")
    return {record.parent.name: record.stat().st_mtime_ns for record in found}


def test_teachers_are_trained_once_and_found_again(tmp_path: Path, monkeypatch) -> None:
    fit, trained = runs.fit, []

    def counted(method, *rest, **options):
        trained.append((method.name, sorted(options["teachers"] or ())))
        return fit(method, *rest, **options)

    monkeypatch.setattr(runs, "fit", counted)
    path = study_file(tmp_path, methods=["distillation"])
    results = run(path)
    assert list(results["methods"]) == ["single_task", "distillation"]
    assert trained == [("single_task", []), ("distillation", ["form", "kind"])]
    before = folders(path)
    run(path)
    assert folders(path) == before
    # other options of the student leave its teachers alone
    study_file(tmp_path, methods=["distillation"], couplings={"distillation": {"temperature": 3}})
    run(path)
    after = folders(path)
    assert set(before) < set(after)
    assert all(after[folder] == time for folder, time in before.items())
    assert [name for name, _ in trained] == ["single_task", "distillation", "distillation"]


def test_an_interrupted_study_goes_on_with_the_teachers_it_has(tmp_path: Path, monkeypatch) -> None:
    path = study_file(tmp_path, methods=["distillation"])
    execute = pool.execute

    def stopped(run, split, config):
        if run.method == "distillation":
            raise KeyboardInterrupt
        return execute(run, split, config)

    with monkeypatch.context() as patch:
        patch.setattr(pool, "execute", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(path)
    before = folders(path)
    assert [folder.split("-")[0] for folder in before] == ["single_task"]
    run(path)
    after = folders(path)
    assert len(after) == 2
    assert before.items() < after.items()


def test_without_its_teachers_the_method_is_left_out(tmp_path: Path, monkeypatch) -> None:
    execute = pool.execute
    monkeypatch.setattr(
        pool, "execute",
        lambda run, *rest: "broken" if run.method == "single_task" else execute(run, *rest),
    )  # fmt: skip
    results = run(study_file(tmp_path, methods=["multi_task", "distillation"]))
    assert list(results["methods"]) == ["multi_task"]
    assert [failure["method"] for failure in results["failures"]] == ["single_task"]


def test_other_teachers_are_another_run(tmp_path: Path) -> None:
    keys = []
    for changes in ({}, {"teachers": {"folds": 2}}, {"training": {"steps": 11}}):
        study = Study.from_file(study_file(tmp_path, methods=["distillation"], **changes))
        split = study.first_split()
        plan = [
            plan_run(method, split, split.fingerprint(), study.config, study.output)
            for method in ("single_task", "distillation")
        ]
        assert plan[1].teachers == plan[0].folder
        keys.append([run.key for run in plan])
    assert keys[0][0] == keys[1][0] != keys[2][0]
    assert len({key for _, key in keys}) == 3


def test_coupled_methods_can_be_taught_besides(tmp_path: Path) -> None:
    estimated = {**TAUGHT, "name": "both", "relations": {"from": "predictions"}}
    path = study_file(tmp_path, methods=[TAUGHT, estimated], relatedness={"from": "given"})
    results = run(path)
    assert results["failures"] == []
    assert set(results["methods"]) == {"single_task", "multi_task", "taught", "both"}
    assert results["method_titles"]["taught"].endswith("; distillation; distillation weight=0.5")
    terms = results["curves"]["taught"]["terms"]
    assert "distillation/kind" in terms
    assert any(name.startswith("distribution_matching/") for name in terms)
    with pytest.raises(LabelweaveError, match="'distillation' is not coupled by relations"):
        find_method("distillation.predictions")
    path = study_file(tmp_path, methods=[{**TAUGHT, "method": "multi_task"}])
    with pytest.raises(LabelweaveError, match="no coupling 'distillation', expected none"):
        Study.from_file(path)


def test_the_method_needs_no_relations(tmp_path: Path) -> None:
    study = Study.from_file(study_file(tmp_path, relations=[], methods=None))
    assert "distillation" in study.methods
    assert not METHODS["distillation"].needs_relations


@pytest.mark.parametrize(("validation", "folds"), [(0, 0), (40, 0), (0, 3)])
def test_teachers_are_calibrated_on_rows_held_out(
    tmp_path: Path, monkeypatch, validation: int, folds: int
) -> None:
    inner = []

    def spy(method, split, *rest):
        inner.append((split, fit(method, split, *rest)))
        return inner[-1][1]

    monkeypatch.setattr(teachers, "fit", spy)
    split = {"test": 60, "validation": validation}
    changes = {"teachers": {"folds": folds}, "label_shift": {"prediction": "uniform"}}
    study = Study.from_file(study_file(tmp_path, split=split, **changes))
    split, config = study.first_split(), study.config
    model = fit(METHODS["single_task"], split, config)
    found = teacher_scores(model, split, config)
    given = model.probabilities(split.train.inputs)
    assert len(inner) == folds
    for task in split.train.annotations.tasks:
        ratio = scores_of(task, given[task.name].astype(np.float64)) / found[task.name]
        held = [(split.validation.annotations, model.probabilities(split.validation.inputs))]
        if folds:
            held = [
                (part.test.annotations, fitted.probabilities(part.test.inputs))
                for part, fitted in inner
            ]
        expected = best_temperature(
            task,
            np.concatenate([p[task.name] for _, p in held]),
            np.concatenate([labels.labels[task.name] for labels, _ in held]),
        )
        assert (expected == 1) == (not validation and not folds)
        assert ratio.std() < 1e-3
        assert ratio.mean() == pytest.approx(expected, rel=1e-3)


def test_labels_are_held_out_evenly(tmp_path: Path) -> None:
    split = Study.from_file(study_file(tmp_path)).first_split()
    counts = [
        np.concatenate([np.ravel(inner.test.annotations.counts(n)) for n in ("kind", "form")])
        for inner, _ in held_out(split, 3)
    ]
    assert np.ptp(counts, axis=0).max() <= 3 < np.min(counts)


def test_every_row_is_held_out_once_and_groups_stay_whole(tmp_path: Path) -> None:
    table = tables()[0].assign(box=np.arange(120) // 8)
    sources = [{"path": "boxes.csv", "group": "box"}]
    changes = {"sources": sources, "relations": [], "tasks": [{"name": "kind"}]}
    path = study_file(tmp_path, **changes, split={"test": 24}, methods=["multi_task"])
    table.to_csv(tmp_path / "boxes.csv", index=False)
    split = Study.from_file(path).first_split()
    seen = []
    for inner, out in held_out(split, 3):
        assert np.array_equal(inner.test.index, split.train.index[out])
        assert not set(inner.train.groups) & set(inner.test.groups)
        assert len(inner.source) == len(inner.train.index) == len(split.train.index) - len(out)
        seen.append(out)
    assert sorted(np.concatenate(seen)) == list(range(len(split.train.index)))


def test_the_classifier_trains_its_teachers_itself() -> None:
    a, b, _ = tables()
    a["round"] = None
    b["kind"] = None
    frame = pd.concat([a, b], ignore_index=True)
    inputs = frame[["length", "width", "weight", "noise"]]
    labels = {"kind": frame["kind"], "round": frame["round"]}
    settings = {"hidden": (16,), "steps": 60, "batch_size": 32}
    taught = MultiTaskClassifier(method="distillation", **settings).fit(inputs, labels)
    plain = MultiTaskClassifier(method="multi_task", **settings).fit(inputs, labels)
    found, other = (model.predict_proba(inputs)["kind"] for model in (taught, plain))
    assert found.shape == (240, 3)
    assert np.abs(found - other).max() > 0.01

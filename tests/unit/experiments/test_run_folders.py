"""Runs are found by their content, and their folders are named after the method they hold."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from study_example import write_study

from labelweave import LabelweaveError
from labelweave.evaluation import _top_classes
from labelweave.evaluation._top_classes import TopClasses
from labelweave.experiments import Study
from labelweave.experiments._runs import CLASSES, PREDICTIONS, TASK, _folder_of
from labelweave.experiments._scheduler import plan_runs


def test_a_folder_has_the_name_of_its_method(tmp_path: Path) -> None:
    assert _folder_of(tmp_path, "full.predictions", 0, "ab").name == "full.predictions-seed0-ab"
    assert _folder_of(tmp_path, "../my way/1", 2, "ab").name == "_my_way_1-seed2-ab"
    assert len(_folder_of(tmp_path, "x" * 300, 0, "ab").name) < 100


def test_the_same_content_under_another_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "full-seed0-ab").mkdir()
    (tmp_path / "full-seed0-ab.partial").mkdir()
    (tmp_path / "full-seed10-ab").mkdir()
    assert _folder_of(tmp_path, "full.given", 0, "ab") == tmp_path / "full-seed0-ab"
    assert _folder_of(tmp_path, "full.given", 0, "cd") == tmp_path / "full.given-seed0-cd"


def test_methods_that_differ_in_name_only_share_a_folder(tmp_path: Path) -> None:
    twice = [
        {"method": "multi_task", "name": name, "training": {"sampling": "equal"}}
        for name in ("one", "two")
    ]
    study = Study.from_file(write_study(tmp_path, methods=twice))
    split = study.first_split()
    plan = plan_runs({name: [split] for name in ("one", "two")}, study.config, tmp_path)
    assert plan["one"][0].folder == plan["two"][0].folder
    assert plan["one"][0].folder.name.startswith("one-seed3-")
    assert [plan[name][0].method for name in ("one", "two")] == ["one", "two"]


def test_a_study_that_keeps_some_classes_has_the_figures_of_one_that_keeps_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"training": {"steps": 2}, "split": {"test": 60, "validation": 20}}
    methods = ["single_task", "multi_task"]
    whole = Study.from_file(write_study(tmp_path / "a", methods=methods, **settings))
    expected = whole.compare(jobs=1, progress=False)
    monkeypatch.setattr(_top_classes, "MANY", 2)
    monkeypatch.setattr(_top_classes, "KEPT", 2)
    some = Study.from_file(write_study(tmp_path / "b", methods=methods, **settings))
    found = some.compare(jobs=1, progress=False)
    assert found.methods == expected.methods
    assert found.differences == expected.differences
    assert found.calibration == expected.calibration
    assert found.learning == expected.learning

    run = some._trained.runs["multi_task"][0]
    kept = run.predictions()["kind"]
    assert isinstance(kept, TopClasses)
    assert kept.classes.shape == (60, 2)
    everything = whole._trained.runs["multi_task"][0].predictions()["kind"]
    # the third class gets what is left
    np.testing.assert_allclose(kept.dense(), _top_classes.dense(everything), atol=1e-6)
    tensors = load_file(run.folder / PREDICTIONS)
    save_file({**tensors, f"{CLASSES}kind": tensors[f"{TASK}kind"]}, run.folder / PREDICTIONS)
    with pytest.raises(LabelweaveError, match=r"cannot be read .*classes of 'kind'"):
        run.predictions()

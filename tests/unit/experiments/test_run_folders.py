"""Runs are found by their content, and their folders are named after the method they hold."""

from pathlib import Path

from study_example import write_study

from labelweave.experiments import Study
from labelweave.experiments._runs import _folder_of
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

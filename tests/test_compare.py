import json
import re
from pathlib import Path

import pytest

from command_line import CommandLine, command_line
from labelweave.study import Study
from labelweave.study.comparing import compare_sides, of_study
from labelweave.study.stage_name import stage_name
from labelweave.study.staging import next_stage
from study_example import tables, write_study

__all__ = ["command_line"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_study(tmp_path_factory.mktemp("compare"), label_next=0)
    Study.from_file(path).run(jobs=1, progress=False)
    return path


def folder(study: Path) -> Path:
    return study.parent / "runs" / "parts"


def test_two_arms_differ_as_the_study_itself_says(study: Path) -> None:
    a, b = (of_study(folder(study), arm) for arm in ("single_task", "full"))
    found = compare_sides(a, b)
    results = json.loads((folder(study) / "results.json").read_text(encoding="utf-8"))
    for row in found:
        told = results["differences"]["full"][row.task][row.metric]
        assert row.difference.mean == pytest.approx(told["mean"])
        assert row.a.mean == results["arms"]["single_task"][row.task][row.metric]["mean"]
    same = compare_sides(a, a)
    assert [row.difference.mean for row in same] == [0, 0]


def test_models_are_compared_on_a_table(study: Path, tmp_path: Path, cli: CommandLine) -> None:
    table = tmp_path / "new.csv"
    tables(40, seed=5)[1].to_csv(table, index=False)
    (model,) = folder(study).glob("runs/full-*/model")
    answer = cli("compare", model, model, "--data", table)
    assert answer.code == 0
    assert re.search(r"kind +accuracy .* \+0\.0 ", answer.out)


def test_other_test_rows_are_refused(study: Path, tmp_path: Path, cli: CommandLine) -> None:
    other = write_study(tmp_path, split={"test": 50}, arms=["single_task"], label_next=0)
    Study.from_file(other).run(jobs=1, progress=False)
    there = folder(other)
    assert cli.refused("compare", folder(study), there, "--arm-a", "full") == (
        f"seed 3: {folder(study)} (full) and {there} (single_task) were tested on other rows, "
        "expected the same; give --data to compare their models on one table"
    )


def test_what_is_no_study_is_refused(study: Path, tmp_path: Path, cli: CommandLine) -> None:
    assert cli.refused("compare", tmp_path, folder(study)) == (
        f"{tmp_path}: no results.json here, expected the results folder of a study (or give "
        "--data to compare models)"
    )
    assert cli.refused("compare", folder(study), folder(study), "--arm-a", "ful") == (
        f"{folder(study)}: no arm 'ful', expected 'single_task', 'full'; did you mean 'full'?"
    )


def test_a_study_of_one_task_has_a_folder_of_its_own_and_the_same_test_rows(
    study: Path, cli: CommandLine
) -> None:
    refused = cli.refused("run", study, "--tasks", "kind")
    assert refused == "key 'arms': arm 'full' needs relations, found none"
    alone = Study.from_file(study, only=["kind"], arms=["multi_task"])
    results = alone.run(jobs=1, progress=False)
    assert alone.output == study.parent / "runs" / "parts.kind"
    assert [task["name"] for task in results["tasks"]] == ["kind"]
    whole, part = Study.from_file(study).first_fold(), alone.first_fold()
    assert part.test.index.tolist() == whole.test.index.tolist()
    assert part.encoder.names_ == whole.encoder.names_
    found = compare_sides(of_study(alone.output, None), of_study(folder(study), "full"))
    assert [row.task for row in found] == ["kind"]


def test_stages_start_with_the_related_tasks_and_say_what_one_more_gave(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path, arms=["multi_task"], label_next=0)
    start = next_stage(Study.from_file(path), progress=False)
    assert start.tasks == ("form", "kind")
    assert start.added is None
    assert cli("run", path, "--tasks", "kind", "--jobs", 1).code == 0
    answer = cli("run", path, "--jobs", 1, "--next")
    assert answer.code == 0
    assert answer.out.startswith("Stage: kind, form ('")
    added = answer.out.partition("What 'form' added, B with it, A without:\n")[2]
    assert re.search(r"\n kind +accuracy ", added)
    assert "form " not in added.partition("verdict")[2]
    assert cli.refused("run", path, "--next") == (
        f"study 'parts': all tasks are joined, see {tmp_path}/runs/parts.kind-form"
    )
    assert cli.refused("run", path, "--next", "--tasks", "kind") == (
        "found both --tasks and --next, expected one of them"
    )


def test_a_stage_is_named_by_its_tasks() -> None:
    assert stage_name("leaves", ["species", "shape"]) == "leaves.species-shape"
    odd, other = (stage_name("leaves", [name]) for name in ("a b", "a/b"))
    assert odd.startswith("leaves.a_b-")
    assert odd != other
    assert len(stage_name("s", [f"task{i}" for i in range(60)])) < 100

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from rich.console import Console
from study_example import as_json, tables, write_study

from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.experiments import _stepwise as stepwise
from labelweave.experiments._compare import (
    compare_sides,
    of_model,
    of_study,
    on_unseen_rows,
)
from labelweave.experiments._stepwise import Stage, next_stage, promising
from labelweave.experiments._study import stage_name
from labelweave.relations import TaskPair
from labelweave.report import print_compared


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_study(tmp_path_factory.mktemp("compare"), label_next=0)
    Study.from_file(path).run(jobs=1, progress=False)
    return path


def folder(study: Path) -> Path:
    return study.parent / "runs" / "parts"


def test_two_methods_differ_as_the_study_itself_says(study: Path) -> None:
    a, b = (of_study(folder(study), method) for method in ("single_task", "full"))
    found = compare_sides(a, b)
    results = json.loads((folder(study) / "results.json").read_text(encoding="utf-8"))
    for row in found:
        expected = results["differences"]["full"][row.task][row.metric]
        assert row.difference.mean == pytest.approx(expected["mean"])
        assert row.a.mean == results["methods"]["single_task"][row.task][row.metric]["mean"]
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
    other = write_study(tmp_path, split={"test": 50}, methods=["single_task"], label_next=0)
    Study.from_file(other).run(jobs=1, progress=False)
    there = folder(other)
    assert cli.refused("compare", folder(study), there, "--method-a", "full") == (
        f"seed 3: {folder(study)} (full) and {there} (single_task) were tested on other rows, "
        "expected the same; give --data to compare their models on one table"
    )


def test_other_labels_of_the_test_rows_are_refused(study: Path) -> None:
    a = of_study(folder(study), "full")
    seed, task = 3, "kind"
    result = a.results[seed][task]
    labels = np.array(result.labels)
    labels[:2] = -1 - labels[:2]
    other = a.results[seed] | {task: replace(result, labels=labels)}
    with pytest.raises(LabelweaveError, match="have other labels of 'kind' on 2 of 60 test rows"):
        compare_sides(a, replace(a, results=a.results | {seed: other}))


def test_a_table_without_an_input_is_named(study: Path, tmp_path: Path, cli: CommandLine) -> None:
    table = tmp_path / "new.csv"
    tables(40, seed=5)[1].drop(columns="length").to_csv(table, index=False)
    message = cli.refused("compare", folder(study), folder(study), "--data", table)
    assert message.startswith(f"{table}: no input column 'length', found ")


def test_rows_that_a_model_was_trained_on_are_left_out(
    study: Path, tmp_path: Path, cli: CommandLine
) -> None:
    known, new = tables()[0], tables(40, seed=5)[0]
    table = tmp_path / "both.csv"
    pd.concat([known, new]).to_csv(table, index=False)
    a = of_model(folder(study), table, "full")
    b = of_model(folder(study), table, "single_task")
    assert a.seen is not None
    assert 60 < a.seen[: len(known)].sum() < len(known)  # its test rows are not seen
    assert not a.seen[len(known) :].any()
    first, second, notes = on_unseen_rows(a, b)
    assert len(first.rows[0]) == len(second.rows[0]) == (~a.seen).sum()
    assert notes == [
        f"{a.seen.sum()} of {len(a.seen)} rows are training rows of {folder(study)} and are left "
        "out"
    ]
    options = ("--method-a", "full", "--method-b", "single_task", "--data", table)
    out = cli("compare", folder(study), folder(study), *options).out
    assert out.endswith(f"note: {notes[0]}\n")
    trained = known[a.seen[: len(known)]]
    trained.to_csv(table, index=False)
    assert cli.refused("compare", folder(study), folder(study), *options) == (
        f"{table}: {len(trained)} of {len(trained)} rows are training rows of {folder(study)}, "
        "expected at least 20 rows that neither model was trained on"
    )


def test_a_model_without_a_record_of_its_rows_is_named(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    tables(40, seed=5)[0].to_csv(table, index=False)
    side = replace(of_model(folder(study), table, "full"), seen=None)
    assert on_unseen_rows(side, side)[2] == 2 * [
        f"{folder(study)} does not record its training rows: if some are among the test rows, it "
        "looks better than it is"
    ]


def test_what_is_no_study_is_refused(study: Path, tmp_path: Path, cli: CommandLine) -> None:
    assert cli.refused("compare", tmp_path, folder(study)) == (
        f"{tmp_path}: no results.json here, expected the results folder of a study (or give "
        "--data to compare models)"
    )
    assert cli.refused("compare", folder(study), folder(study), "--method-a", "ful") == (
        f"{folder(study)}: no method 'ful', expected 'single_task', 'full'; did you mean 'full'?"
    )


def test_a_study_of_one_task_has_a_separate_folder_and_the_same_test_rows(
    study: Path, cli: CommandLine
) -> None:
    refused = cli.refused("run", study, "--tasks", "kind")
    assert refused == "key 'methods': method 'full' needs relations, found none among 'kind'"
    assert cli.refused("run", study, "--tasks", " ,") == (
        "--tasks: found ' ,', expected names with commas"
    )
    alone = Study.from_file(study, only=["kind"], methods=["multi_task"])
    results = as_json(alone.run(jobs=1, progress=False))
    assert alone.output == study.parent / "runs" / "parts.kind"
    assert [task["name"] for task in results["tasks"]] == ["kind"]
    whole, part = Study.from_file(study).first_split(), alone.first_split()
    assert part.test.index.tolist() == whole.test.index.tolist()
    assert part.encoder.names_ == whole.encoder.names_
    found = compare_sides(of_study(alone.output, None), of_study(folder(study), "full"))
    assert [row.task for row in found] == ["kind"]


@pytest.mark.slow
def test_stages_start_with_the_related_tasks_and_say_what_one_more_gave(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path, methods=["multi_task"], label_next=0)
    start = next_stage(Study.from_file(path), progress=False)
    assert start.tasks == ("form", "kind")
    assert start.added is start.following is None
    assert cli("run", path, "--tasks", "kind", "--jobs", 1).code == 0
    answer = cli("run", path, "--jobs", 1, "--next")
    assert answer.code == 0
    assert answer.out.startswith("Step: kind, form ('")
    added = answer.out.partition("Effect of adding 'form': B with it, A without it:\n")[2]
    assert re.search(r"\nkind +accuracy ", added)
    assert "form " not in added.partition("verdict")[2]
    assert cli.refused("run", path, "--next") == (
        f"study 'parts': all tasks are joined, see {tmp_path}/runs/parts.kind-form"
    )
    assert cli.refused("run", path, "--next", "--tasks", "kind") == (
        "found both --tasks and --next, expected one of them"
    )


def test_a_stage_ends_with_what_the_next_one_would_add(study: Path, cli: CommandLine) -> None:
    pair = TaskPair("kind", "size", 0.2, 0.1, 30, 90, "kind->size", "so it is")
    added = promising([pair], ["kind"])
    assert added is not None
    assert added.task == "size"
    assert promising([pair], ["kind", "size"]) is None
    stage = Stage(("kind", "form"), None, "so", None, added)
    cli.monkeypatch.setattr(stepwise, "next_stage", lambda study: stage)
    out = cli("run", study, "--jobs", 1, "--next").out
    assert out.endswith(f"\n\nNext: size ({pair.reason}): labelweave run {study} --next\n")


def test_a_comparison_fits_80_columns_without_folded_figures() -> None:
    change = SimpleNamespace(mean=0.031, low=-0.109, high=0.171, seeds=2, p_adjusted=0.65)
    one = SimpleNamespace(mean=0.807)
    row = {"task": "toothed_edge", "metric": "accuracy", "a": one, "b": one}
    row |= {"difference": change, "verdict": "not enough data"}
    console = Console(width=80, file=io.StringIO(), record=True)
    print_compared([row], ["a", "b"], console)
    assert re.search(
        r"toothed_edge +accuracy .*\+3\.1 \(-10\.9 to \+17\.1\) .* not enough data",
        console.export_text(),
    )


def test_a_stage_is_named_by_its_tasks() -> None:
    assert stage_name("leaves", ["species", "shape"]) == "leaves.species-shape"
    odd, other = (stage_name("leaves", [name]) for name in ("a b", "a/b"))
    assert odd.startswith("leaves.a_b-")
    assert odd != other
    assert len(stage_name("s", [f"task{i}" for i in range(60)])) < 100

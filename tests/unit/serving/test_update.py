import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from starlette.testclient import TestClient
from study_example import KINDS, tables

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting._methods import Method
from labelweave.fitting._split import Split
from labelweave.fitting._versions import current_version
from labelweave.serving import _service as service_module
from labelweave.serving import _update as update_module
from labelweave.serving import rollback, update
from labelweave.serving._finish import Fitted, all_rows, study_at, with_sources
from labelweave.serving._service import make_app
from labelweave.serving._update import _section, compared, exemplars, with_copies_together


@pytest.fixture
def model(finished_study: Path, network: Path, tmp_path: Path) -> Path:
    """Return a final model in a copy of its study, which a test may change."""
    without = shutil.ignore_patterns("model")
    study = shutil.copytree(finished_study.parent, tmp_path / "study", ignore=without)
    return shutil.copytree(network, study / "runs/parts/model")


def inputs_of(model: Path) -> list[str]:
    schema = labelweave.load(model).model.encoder.schema
    assert schema is not None
    return schema.named("input")


def new_labels(path: Path, swapped: bool = False) -> Path:
    frame = tables(100, seed=21)[0]
    if swapped:
        frame["kind"] = frame["kind"].map(dict(zip(KINDS, KINDS[1:] + KINDS[:1], strict=True)))
    frame["remark"] = np.arange(len(frame))  # no input of the model
    frame.to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_good_labels_give_a_new_version_and_rollback_the_old(model: Path, tmp_path: Path) -> None:
    before, inputs = labelweave.load(model), inputs_of(model)
    rows = tables(30, seed=9)[0].drop(columns="kind")
    old = before.predict_proba(rows)["kind"]
    found = update(model, new_labels(tmp_path / "june.csv"))
    assert (found.handed_over, found.version, found.reason) == (True, 2, "")
    assert found.left_out == ("remark",)
    assert inputs_of(model) == inputs
    parts = [(each.task, each.rows) for each in found.tasks]
    assert parts == [("kind", "earlier"), ("kind", "new"), ("form", "earlier")]
    by_part = {(each.task, each.rows): each for each in found.tasks}
    assert by_part["kind", "new"].n == 100
    assert by_part["kind", "earlier"].n == before.facts.labels["kind"]
    after = labelweave.load(model)
    assert after.facts.labels["kind"] == before.facts.labels["kind"] + 100
    assert after.facts.rows == before.facts.rows + 100
    assert not np.array_equal(after.predict_proba(rows)["kind"], old)
    assert len(after.facts.added) == 1
    assert after.facts.measured_on == "out-of-fold rows"
    figure = {each.task: each for each in after.facts.expected}["kind"]
    assert figure.n == after.facts.labels["kind"]
    assert figure.mean == pytest.approx(
        sum(
            float(by_part["kind", part].after or 0) * by_part["kind", part].n
            for part in ("earlier", "new")
        )
        / figure.n
    )
    assert rollback(model).number == 1
    assert np.array_equal(labelweave.load(model).predict_proba(rows)["kind"], old)
    assert rollback(model, 2).number == 2
    again = update(model, new_labels(tmp_path / "july.csv"))
    assert again.version == 3
    assert labelweave.load(model).facts.rows == before.facts.rows + 200, "with all earlier sources"


def test_labels_that_harm_are_refused_and_the_old_version_stays(
    model: Path, tmp_path: Path, cli: CommandLine
) -> None:
    rows = tables(30, seed=9)[0].drop(columns="kind")
    old = labelweave.load(model).predict_proba(rows)["kind"]
    wrong = new_labels(tmp_path / "wrong.csv", swapped=True)
    answer = cli("update", model, "--source", wrong, "--folds", 2)
    assert answer.code == 1
    assert "falls: kind, earlier rows: accuracy " in answer.out
    assert answer.err.startswith("Refused, version 1 stays in use: kind, earlier rows: accuracy ")
    assert np.array_equal(labelweave.load(model).predict_proba(rows)["kind"], old)
    assert not (model / "versions").exists()
    assert json.loads((model / "update.json").read_text())["handed_over"] is False


def test_kept_exemplars_are_some_of_every_class(model: Path) -> None:
    study = study_at(model.parent)
    split = all_rows(study)
    is_new = np.arange(len(split.source)) >= 200
    chosen = exemplars(split, is_new, 4)
    assert chosen[is_new].all()
    for task in split.train.annotations.tasks:
        codes = split.train.annotations.labels[task.name].reshape(len(chosen), -1)
        for column in codes.T:
            for code in range(max(2, task.width if task.kind == "multiclass" else 0)):
                has, kept = (column[~is_new] == code), (column[~is_new & chosen] == code)
                assert kept.sum() >= min(4, has.sum())
    assert (chosen & ~is_new).sum() <= 4 * (3 + 4)


def test_a_row_that_is_labelled_again_is_held_out_with_its_first_copy(model: Path) -> None:
    split = all_rows(study_at(model.parent))
    inputs = np.asarray(split.train.inputs).copy()
    inputs[200] = inputs[3]
    copied = replace(split, train=replace(split.train, inputs=inputs))
    groups = with_copies_together(copied, np.arange(len(inputs)) >= 200).train.groups
    assert groups[200] == groups[3]
    assert len(np.unique(groups)) == len(inputs) - 1


@pytest.mark.parametrize("warm", [True, False])
def test_only_networks_that_have_not_seen_a_fold_are_its_start(
    model: Path, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    """The version in use has seen every earlier row: it is the start of the last fit alone."""
    study = study_at(model.parent)
    split = all_rows(study)
    new = np.arange(len(split.train.index)) >= 150
    seen: dict[int, set[int]] = {}
    starts = []

    def watched(_: Study, spec: Method, train: Split, progress: bool, start: Any = None) -> Fitted:
        fake = SimpleNamespace(
            uncalibrated=lambda rows: {
                task.name: np.full((len(rows), task.width), 1 / task.width)
                for task in split.train.annotations.tasks
            },
            under_prior=lambda given: given,
        )
        seen[id(fake)] = set(train.train.index)
        kept.append(fake)
        starts.append((None if start is None else seen[id(start)], seen[id(fake)]))
        return cast(Fitted, SimpleNamespace(model=fake))

    kept: list[Any] = []
    monkeypatch.setattr(update_module, "fit_all", watched)
    every = np.ones(len(new), np.bool_)
    compared(study, study.config.methods[0], split, new, every, 3, False, warm)
    assert len(starts) == 6
    for (none, earlier), (start, both) in zip(starts[::2], starts[1::2], strict=True):
        assert none is None
        assert earlier < both
        assert start == (earlier if warm else None)


@pytest.mark.slow
def test_the_loop_of_labels_asked_for_written_read_back_and_learnt(
    finished_study: Path, network: Path, tmp_path: Path, cli: CommandLine
) -> None:
    """label_next -> the annotation tool's file -> answers -> update."""
    study = shutil.copytree(finished_study.parent, tmp_path / "study") / finished_study.name
    content = yaml.safe_load(study.read_text())
    content |= {"label_next": 20, "label_tools": ["label_studio"]}
    study.write_text(yaml.safe_dump(content))
    assert cli("run", study, "--jobs", 1).code == 0
    model = study.parent / "runs/parts/model"
    shown = json.loads((model.parent / "label_next.label_studio.json").read_text("utf-8"))
    done = [
        task | {"annotations": [{"completed_by": 1, "result": task["predictions"][0]["result"]}]}
        for task in shown
    ]
    (tmp_path / "done.json").write_text(json.dumps(done), encoding="utf-8")
    before, inputs = labelweave.load(model).facts, inputs_of(model)
    answer = cli(
        "update", model, "--source", tmp_path / "done.json", "--format", "label_studio", "--warm"
    )
    assert answer.code == 0, answer.err
    assert "anew" not in answer.out
    assert json.loads((current_version(model).folder / "update.json").read_text())["warm"]
    after = labelweave.load(model).facts
    assert after.rows == before.rows + len(shown)
    asked = pd.read_csv(model.parent / "label_next.csv").task.value_counts()
    assert asked["form"] > 0
    gained = {name: count - before.labels[name] for name, count in after.labels.items()}
    assert gained == {"kind": asked["kind"], "form": 2 * asked["form"]}
    assert inputs_of(model) == inputs
    said = cli.refused(
        "update", model, "--source", tmp_path / "done.json", "--format", "labelstudio"
    )
    assert "found 'labelstudio', expected 'label_studio', " in said


def test_only_questions_of_several_labels_that_were_answered_take_several_options(
    tmp_path: Path,
) -> None:
    """A yes-or-no task is one question; a task that nobody was asked about is none."""
    rows = [f"{i},{'ab'[i % 2]},{i % 2},{i % 2},{1 - i % 2},{i % 2},{i % 2}" for i in range(12)]
    head = "length,kind,hot,marks.dots,marks.lines,smells.sweet,smells.sour"
    (tmp_path / "rows.csv").write_text("\n".join([head, *rows]))
    tasks = [
        {"name": "kind"},
        {"name": "hot", "kind": "binary"},
        {"name": "marks", "kind": "multilabel", "labels": ["marks.dots", "marks.lines"]},
        {"name": "smells", "kind": "multilabel", "labels": ["smells.sweet", "smells.sour"]},
    ]
    study = {"name": "loop", "tasks": tasks, "sources": [{"path": "rows.csv"}]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    done = tmp_path / "done.json"
    answers = [
        {"kind": "a", "hot": "0", "marks": "lines"},
        {"kind": "b", "hot": "1", "marks": "dots"},
    ]
    exported = [
        {
            "data": {"row": {"length": 3}},
            "annotations": [
                {
                    "result": [
                        {
                            "from_name": name, "to_name": "row", "type": "choices",
                            "value": {"choices": [option]},
                        }
                        for name, option in each.items()
                    ]
                }
            ],
        }
        for each in answers
    ]  # fmt: skip
    done.write_text(json.dumps(exported))
    given = Study.from_file(tmp_path / "study.yaml")
    section = _section(given, done, None, "label_studio")
    assert section["multiple"] == ["marks"]
    wider = with_sources(given, [section]).data.collection
    assert {name: codes[-1].tolist() for name, codes in wider.annotations.labels.items()} == {
        "kind": 1, "hot": [1], "marks": [1, 0], "smells": [-1, -1],
    }  # fmt: skip


def test_what_cannot_be_updated_is_named(model: Path, tmp_path: Path, network: Path) -> None:
    def refused(*args: object, **options: object) -> str:
        with pytest.raises(LabelweaveError) as error:
            update(*args, **options)  # type: ignore[arg-type]
        return str(error.value)

    new = new_labels(tmp_path / "june.csv")
    gone = tmp_path / "gone.csv"
    assert refused(model, gone) == f"{gone}: no such file, expected a table with new labels"
    assert refused(model, new, keep=0) == "keep: found 0, expected 1 or more"
    assert refused(model, new, folds=1) == "folds: found 1, expected 2 or more"
    assert refused(model, new, like="c") == (
        "like: found 'c', expected a source of the study, 'a', 'b'"
    )
    assert "results.json" in refused(network, new)
    frame = pd.read_csv(new).assign(kind=None)
    frame.to_csv(tmp_path / "none.csv", index=False)
    assert "none.csv: found no label, expected labels of 'kind', 'form'" in refused(
        model, tmp_path / "none.csv"
    )
    frame = pd.read_csv(new).assign(length="long")
    frame.to_csv(tmp_path / "text.csv", index=False)
    said = refused(model, tmp_path / "text.csv")
    assert said.startswith("input column 'length' holds numbers in ")
    assert said.endswith(f"text in {tmp_path / 'text.csv'}, expected one kind")
    frame = pd.read_csv(new).replace({"kind": {"bolt": "blot"}})
    frame.to_csv(tmp_path / "typo.csv", index=False)
    assert refused(model, tmp_path / "typo.csv").endswith(
        "typo.csv: task 'kind': found the new class 'blot', expected one of 'bolt', 'disc', "
        "'ring'; did you mean 'bolt'?; a study with the class must run first"
    )


def test_versions_that_are_not_there_are_named(model: Path) -> None:
    with pytest.raises(LabelweaveError, match=r"version 1 is the first, none before it$"):
        rollback(model)
    with pytest.raises(LabelweaveError, match=r"no version 7, expected one of 1$"):
        rollback(model, 7)
    (model / "current.json").write_text('{"version": 9}')
    with pytest.raises(LabelweaveError, match=r"names version 9, which is not there"):
        labelweave.load(model)
    (model / "current.json").write_text('{"version": "x"}')
    with pytest.raises(LabelweaveError, match=r"key 'version': found 'x', expected a whole"):
        labelweave.load(model)


def test_a_service_swaps_to_a_new_version_and_back(
    model: Path, stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "POLL", 0.05)
    shutil.copytree(stack, model / "versions" / "2")

    def waited(client: TestClient, version: int) -> bool:
        for _ in range(100):
            if client.get("/health").json()["version"] == version:
                return True
            time.sleep(0.05)
        return False

    row = tables(1, seed=9)[0].drop(columns="kind").to_dict("records")
    with TestClient(make_app(model, keys=())) as client:
        first = client.post("/predict", json={"rows": row}).json()
        (model / "current.json").write_text('{"version": 2}')
        assert waited(client, 2)
        second = client.post("/predict", json={"rows": row}).json()
        assert (first["version"], second["version"]) == (1, 2)
        assert first["rows"] != second["rows"]
        rollback(model)
        assert waited(client, 1)
        assert client.post("/predict", json={"rows": row}).json() == first
        (model / "current.json").write_text('{"version": 99}')
        time.sleep(0.3)
        assert client.post("/predict", json={"rows": row}).json() == first

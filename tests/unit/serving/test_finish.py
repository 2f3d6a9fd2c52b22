import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from study_example import tables, write_study

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting._stack import StackModel
from labelweave.fitting._versions import version, version_numbers
from labelweave.model import Model
from labelweave.serving import FinalModel, finish, prediction_table, rollback
from labelweave.serving._final import FACTS
from labelweave.serving._reference import read_reference
from labelweave.trust import coherent


def rows(count: int = 50) -> pd.DataFrame:
    return tables(count, seed=9)[0].drop(columns="kind")


def test_all_labelled_rows_are_fitted_test_rows_among_them(
    network: Path, finished_study: Path
) -> None:
    facts = labelweave.load(network).facts
    a, b, _ = tables()
    assert facts.rows == len(a) + len(b)
    assert facts.labels["kind"] == a["kind"].notna().sum() + b["kind"].notna().sum()
    assert facts.labels["form"] == b[["round", "hole"]].notna().to_numpy().sum()
    assert (facts.method, facts.network, facts.measured) == ("full", "full", "full")
    results = json.loads((finished_study.parent / "runs/parts/results.json").read_text())
    assert results["study"] == facts.study == "parts"
    assert [figure.task for figure in facts.expected] == ["kind", "form"]
    assert all(0 < (figure.mean or 0) <= 1 for figure in facts.expected)


def test_a_stack_hands_over_its_student_and_on_request_itself(stack: Path) -> None:
    student, whole = labelweave.load(stack), labelweave.load(stack, full=True)
    assert isinstance(student.model, Model)
    assert isinstance(whole.model, StackModel)
    assert (student.facts.method, student.facts.network) == ("coupled", "student")
    a, b = student.predict(rows()), whole.predict(rows())
    assert set(a) == set(b) == {"kind", "form"}
    assert (a["kind"] == b["kind"]).mean() > 0.8, "the student has learnt from the stack"
    truth = tables(50, seed=9)[0]["kind"]
    assert (whole.predict(rows())["kind"] == truth).mean() > 0.7
    assert (student.predict(rows())["kind"] == truth).mean() > 0.7


def test_the_final_model_loads_without_the_training_data(
    network: Path, finished_study: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(network, tmp_path / "elsewhere")
    moved = labelweave.load(copy)
    again = labelweave.load(network)
    for name, p in moved.predict_proba(rows()).items():
        assert np.array_equal(p, again.predict_proba(rows())[name])
    assert not list(copy.rglob("*.csv"))
    frame = tables()[0]
    for file in copy.rglob("*"):
        if file.is_file() and file.suffix in (".json", ".safetensors"):
            assert str(frame["length"].iloc[7]).encode() not in file.read_bytes()


def test_rows_of_the_fit_are_recognised_by_hashes(network: Path) -> None:
    model = labelweave.load(network)
    seen = tables()[0].drop(columns="kind")
    mixed = pd.concat([seen[:5], rows(5)], ignore_index=True)
    assert model.seen(mixed).tolist() == [True] * 5 + [False] * 5


def test_a_final_model_is_calibrated_and_keeps_the_figures(network: Path, tmp_path: Path) -> None:
    model = labelweave.load(network)
    known = {each.question: each for each in model.facts.calibration}
    assert set(known) == {"kind", "form=round", "form=hole"}
    assert model.model.calibration is not None
    for name, each in known.items():
        assert model.model.calibration.maps[name].kind == each.kind
        assert each.n > 20
        changed = each.kind != "none"
        assert (each.after["log_loss"] < each.before["log_loss"]) == changed
        assert set(each.before) == {"ece", "brier", "log_loss"}
    frame = rows()
    raw = model.model.uncalibrated(model.model.encoder.transform(model.model.typed(frame)))
    copy = shutil.copytree(network, tmp_path / "model")
    saved = json.loads((copy / "model.json").read_text())
    saved["calibration"]["kind"] |= {"kind": "temperature", "scale": [0.5, 0.5, 0.5]}
    (copy / "model.json").write_text(json.dumps(saved))
    softer = raw["kind"] ** 0.5
    np.testing.assert_allclose(
        labelweave.load(copy).predict_proba(frame)["kind"],
        softer / softer.sum(axis=1, keepdims=True),
        atol=1e-5,
    )
    saved["calibration"]["kind"]["scale"] = [1.0]
    (copy / "model.json").write_text(json.dumps(saved))
    with pytest.raises(
        LabelweaveError, match=r"model\.json: calibration of 'kind': makes no sense"
    ):
        labelweave.load(copy)


def test_sets_of_a_final_model_hold_the_truth_and_are_on_the_command_line(
    network: Path, tmp_path: Path, cli: CommandLine
) -> None:
    model, truth = labelweave.load(network), tables(400, seed=9)[0]
    frame = truth.drop(columns="kind")
    plausible = model.sets(0.9).predict(model.predict_proba(frame))["kind"]
    codes = model.tasks[0].encode(truth["kind"])
    assert plausible[np.arange(400), codes].mean() > 0.86
    frame.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "out.csv"
    cli("predict", network, tmp_path / "rows.csv", "--sets", 0.9, "--out", out)
    shown = pd.read_csv(out)["kind plausible"].map(json.loads)
    names = np.array(model.tasks[0].names)
    assert [sorted(each) for each in shown] == [sorted(names[row]) for row in plausible]
    assert cli.refused("predict", network, tmp_path / "rows.csv", "--sets", 0.9, "--prior",
                       "uniform") == (
        "--sets: found --prior, expected a finished model with its own prior ('labelweave finish')"
    )  # fmt: skip


def test_a_student_answers_coherently_by_the_relations_that_it_keeps(
    stack: Path, tmp_path: Path, cli: CommandLine
) -> None:
    model = labelweave.load(stack)
    assert [each.name for each in model.relations] == ["kind->form"]
    rows().to_csv(tmp_path / "rows.csv", index=False)
    cli("predict", stack, tmp_path / "rows.csv", "--coherent", "--out", tmp_path / "out.csv")
    shown = pd.read_csv(tmp_path / "out.csv")
    p = model.predict_proba(rows())
    best = coherent(p, model.links(), model.tasks)
    assert shown["kind predicted"].tolist() == model.tasks[0].decode(best["kind"]).tolist()
    assert shown["form=round predicted"].tolist() == best["form"][:, 0].tolist()


def test_chunks_keep_order_identifiers_and_every_probability(network: Path) -> None:
    model = labelweave.load(network)
    many = pd.concat([rows()] * 5, ignore_index=True).assign(serial=range(250))
    many.index = pd.Index(range(1000, 1250))
    parts = list(model.tables(many, keep=["serial"], rows=64))
    assert [len(part) for part in parts] == [64, 64, 64, 58]
    together = pd.concat(parts)
    assert together["serial"].tolist() == list(range(250))
    assert together.index.equals(many.index)
    whole = prediction_table(model.model, many, keep=["serial"])
    pd.testing.assert_frame_equal(together, whole, rtol=1e-5, atol=1e-6)
    with pytest.raises(LabelweaveError, match=r"^rows: found 0, expected 1 or more$"):
        next(model.tables(many, rows=0))


def test_a_bad_row_of_a_later_chunk_is_named(network: Path) -> None:
    bad = rows().astype({"length": object})
    bad.loc[40, "length"] = "long"
    with pytest.raises(LabelweaveError, match=r"counted from row 31: .*'length'.*'long'"):
        list(labelweave.load(network).tables(bad, rows=30))


def test_what_cannot_be_finished_is_refused_in_one_line(
    finished_study: Path, tmp_path: Path, network: Path
) -> None:
    def refused(study: object, *args: object, **options: object) -> str:
        with pytest.raises(LabelweaveError) as error:
            finish(study, *args, **options)  # type: ignore[arg-type]
        return str(error.value)

    output = finished_study.parent / "runs/parts"
    assert refused(finished_study, "full") == (
        f"{output / 'model'}: is there already; --new-version keeps it and makes the next version"
    )
    assert refused(finished_study, "ful", new_version=True) == (
        "method: found 'ful', expected one of the study's methods that keep a model, "
        "'single_task', 'full', 'coupled'; did you mean 'full'?"
    )
    assert refused(finished_study, "full", full=True, new_version=True) == (
        "--full: found the method 'full', which is a network already, expected a stack ('coupled')"
    )
    assert "results.json" in refused(write_study(tmp_path / "new"))
    changed = shutil.copytree(finished_study.parent, tmp_path / "changed") / "study.yaml"
    study = yaml.safe_load(changed.read_text())
    study["training"]["steps"] = 41
    changed.write_text(yaml.safe_dump(study))
    assert refused(changed, "full", new_version=True) == (
        "key 'training': has changed since the study ran, expected the settings of its results; "
        "run it again (labelweave run study.yaml)"
    )
    apart = shutil.copytree(output, tmp_path / "apart")
    assert refused(apart, "full", new_version=True) == (
        f"{apart}: found no data of the study from here, expected the study file instead of its "
        "results folder"
    )


def test_a_fit_that_fails_leaves_the_old_model(
    finished_study: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = shutil.copytree(finished_study.parent, tmp_path / "study") / "study.yaml"
    folder = study.parent / "runs/parts/model"
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def damaged(*args: object, **options: object) -> FinalModel:
        raise LabelweaveError("cannot be read again")

    monkeypatch.setattr("labelweave.serving._finish.load", damaged)
    with pytest.raises(LabelweaveError, match="cannot be read again"):
        finish(study, "full", new_version=True)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert not list(folder.parent.rglob(".model*"))


def test_a_student_that_no_study_measured_is_measured_out_of_fold(stack: Path) -> None:
    final = labelweave.load(stack)
    facts = final.facts
    assert (facts.measured, facts.measured_on) == ("student", "out-of-fold rows")
    by_task = {figure.task: figure for figure in facts.expected}
    reference = {each.task: each for each in read_reference(final.folder).tasks}
    assert by_task["kind"].metric == "accuracy"
    assert by_task["kind"].mean == pytest.approx(reference["kind"].accuracy)
    for figure in facts.expected:
        assert figure.low is not None
        assert figure.mean is not None
        assert figure.high is not None
        assert 0 <= figure.low < figure.mean < figure.high <= 1
        assert figure.n == facts.labels[figure.task]
    # what it shows holds for rows that no fit has seen
    new = tables(400, seed=9)[0]
    right = (final.predict(new.drop(columns="kind"))["kind"] == new["kind"]).mean()
    assert right > by_task["kind"].low - 0.05


def test_a_new_version_keeps_the_former_ones(
    finished_study: Path, network: Path, stack: Path, tmp_path: Path
) -> None:
    """Both models were finished in one study, one after the other."""
    model = shutil.copytree(finished_study.parent / "runs/parts/model", tmp_path / "model")
    kept = [version(model, number) for number in version_numbers(model)]
    for made in (network, stack):
        (same,) = (
            v for v in kept if (v.folder / FACTS).read_bytes() == (made / FACTS).read_bytes()
        )
        for file in made.rglob("*"):
            if file.is_file():
                assert (same.folder / file.relative_to(made)).read_bytes() == file.read_bytes()
    assert labelweave.load(model).folder == kept[-1].folder
    assert rollback(model) == kept[-2]
    assert labelweave.load(model).folder == kept[-2].folder


def test_the_student_of_a_study_is_measured_by_itself(tmp_path: Path) -> None:
    path = write_study(tmp_path, methods=["coupled", "student"], learners=["logistic"])
    Study.from_file(path).run(jobs=1, progress=False)
    facts = labelweave.load(finish(path, "coupled")).facts
    assert (facts.method, facts.network, facts.measured) == ("coupled", "student", "student")
    assert facts.measured_on == "test rows"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"rows": -1}, "key 'rows'"),
        ({"salt": "x"}, "key 'salt'"),
    ],
)
def test_a_damaged_or_newer_model_is_refused(
    change: dict[str, object], said: str, network: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(network, tmp_path / "model")
    facts = json.loads((copy / "final.json").read_text())
    (copy / "final.json").write_text(json.dumps(facts | change))
    with pytest.raises(LabelweaveError, match=r"final\.json") as error:
        labelweave.load(copy)
    assert said in str(error.value)


def test_a_folder_without_a_final_model_is_named(network: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelweaveError, match=r"no final model here, expected a file final\.json"):
        labelweave.load(tmp_path)
    with pytest.raises(LabelweaveError, match=r"found no folder 'full', expected one with"):
        labelweave.load(network, full=True)


@pytest.mark.slow
def test_predicting_loads_no_pictures_pages_studies_or_servers(
    network: Path, tmp_path: Path
) -> None:
    rows(3).to_csv(tmp_path / "rows.csv", index=False)
    code = (
        "import sys, labelweave\n"
        f"model = labelweave.load({str(network)!r})\n"
        f"model.predict_proba(labelweave.read_table({str(tmp_path / 'rows.csv')!r}))\n"
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert "labelweave.serving" in loaded
    unwanted = "matplotlib jinja2 mlflow tensorboard optuna fastapi uvicorn onnx onnxruntime"
    assert loaded & set(unwanted.split()) == set()
    assert not [
        name for name in loaded if re.match(r"labelweave\.(experiments|report|track)", name)
    ]

"""Failure modes on few rows of a shop, failures on the plant's: a study with a noisy-OR, whole."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from labelweave._targets import relations_of
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study
from labelweave.relations import NoisyOr
from labelweave.tasks import Binary, Multiclass, Multilabel

MODES = Multilabel("mode", ("crack", "dent", "burr"))
FAILURE = Binary("failure")
COLUMNS = ["x0", "x1", "x2", "x3"]


def machines(rows=900, seed=0):
    rng = np.random.default_rng(seed)
    modes = (rng.random((rows, 3)) < 0.25).astype(int)
    inputs = np.column_stack([modes, np.zeros(rows)]) + rng.normal(scale=0.35, size=(rows, 4))
    frame = pd.DataFrame(inputs.round(3), columns=COLUMNS)
    frame[list(MODES.labels)] = modes
    frame["failure"] = modes.max(axis=1)
    return frame


def write(folder, **changes):
    frame = machines()
    frame[:150].drop(columns="failure").to_csv(folder / "shop.csv", index=False)
    frame[150:].drop(columns=list(MODES.labels)).to_csv(folder / "plant.csv", index=False)
    frame[:300].to_csv(folder / "both.csv", index=False)
    text = "cause,failure\ncrack,0.95\ndent,0.95\nburr,0.95\nleak,0.02\n"
    (folder / "modes.csv").write_text(text)
    study = {
        "name": "machines",
        "tasks": [
            {"name": "mode", "kind": "multilabel", "labels": list(MODES.labels)},
            {"name": "failure", "kind": "binary"},
        ],
        "sources": [{"path": "shop.csv"}, {"path": "plant.csv"}],
        "relations": [{"table": "modes.csv", "source": "mode"}],
        "relatedness": {"from": "given"},
        "network": {"hidden": [16]},
        "training": {"steps": 40, "batch_size": 32},
        "split": {"test": 0.3},
        "methods": ["multi_task", "full", "post_hoc", "shuffled_relations",
                 {"method": "full", "relations": {"from": "predictions"}}],
        "seeds": 1,
        "statistics": {"replicates": 100},
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study | changes))
    return path


def test_a_study_with_a_noisy_or_runs_from_check_to_report(tmp_path, cli) -> None:
    path = write(tmp_path)
    assert "relation mode->failure: knowledge table modes.csv, 3 of 3 entries known" in cli(
        "check", path
    ).out.replace("\n", " ")
    assert cli("run", path, "--jobs", 1).code == 0
    results = json.loads((tmp_path / "runs/machines/results.json").read_text())
    assert not results["failures"]
    assert "full.predictions" in results["methods"]
    (relation,) = results["relations"]
    assert (relation["kind"], relation["rows"][-1]) == ("noisy-OR", "leak")
    assert relation["table"] == [[0.95], [0.95], [0.95], [0.02]]
    found = results["relatedness"]["predictions"]["noisy_ors"][0]
    assert np.mean(found["table"][:3]) > 0.4  # fitted on a network's predictions, true: 1
    assert "noisy-OR" in (tmp_path / "runs/machines/report.html").read_text()
    saved = cli("relate", path, "--from", "predictions", "--save", tmp_path / "tables")
    assert saved.code == 0, saved.err
    assert "mode -> failure: noisy-OR, fitted on" in saved.out
    assert (tmp_path / "tables/mode to failure.svg").exists()
    # what relate writes is what a study file may name
    again = write(tmp_path, relations=[{"table": "tables/mode to failure.csv", "source": "mode"}])
    (read,) = Study.from_file(again).first_split().relations
    assert read.weights == pytest.approx(np.array(found["table"][:3]), abs=1e-4)


def test_a_noisy_or_is_fitted_on_rows_with_both_labels(tmp_path) -> None:
    path = write(
        tmp_path,
        sources=[{"path": "both.csv"}, {"path": "plant.csv"}],
        relations=[{"source": "mode", "targets": ["failure"], "strength": 0.5}],
        methods=["full"],
    )
    (relation,) = Study.from_file(path).first_split().relations
    assert relation.strength == 0.5
    assert relation.weights.min() > 0.9
    assert relation.leak[0] < 0.05
    path = write(tmp_path, relations=[{"source": "mode", "targets": ["failure"]}], methods=["full"])
    with pytest.raises(LabelweaveError, match="mode->failure: no training row carries labels of b"):
        Study.from_file(path).splits()


def test_runs_know_the_noisy_or_that_made_them(tmp_path) -> None:
    split = Study.from_file(write(tmp_path)).first_split()
    first = split.fingerprint()["relations"]
    text = (tmp_path / "modes.csv").read_text()
    for old, new in (("leak,0.02", "leak,0.03"), ("dent,0.95", "dent,0.9"), ("dent,0.95", "dent,")):
        (tmp_path / "modes.csv").write_text(text.replace(old, new))
        assert Study.from_file(tmp_path / "study.yaml").first_split().fingerprint()[
            "relations"
        ] != (first)


@pytest.mark.parametrize("as_table", [True, False])
def test_the_classifier_learns_modes_from_failures(as_table) -> None:
    frame = machines(2000, seed=1)
    train, test = frame[:1500].copy(), frame[1500:]
    # a repair shop sees failed machines only: 40 of them know their modes, the rest the failure
    shop = train.index.isin(train.index[train["failure"] == 1][:40])
    modes = train[list(MODES.labels)].to_numpy(float, copy=True)
    modes[~shop] = np.nan
    y = {"mode": modes, "failure": train["failure"].astype(float).mask(shop)}
    noisy = NoisyOr(MODES, FAILURE, np.full((3, 1), 0.95), [0.01])
    table = pd.DataFrame({"m": [*MODES.labels, "leak"], "failure": [0.95, 0.95, 0.95, 0.01]})
    scores = []
    for relations in ([], {"mode": table} if as_table else [noisy]):
        model = MultiTaskClassifier([MODES, FAILURE], relations, "full", steps=120, hidden=(32,))
        predicted = model.fit(train[COLUMNS], y).predict(test[COLUMNS])["mode"]
        scores.append((predicted == test[list(MODES.labels)].to_numpy()).mean())
    assert scores[1] > scores[0] + 0.02


def test_wrong_tables_give_one_line() -> None:
    tasks = [MODES, FAILURE, Multiclass("kind", ("a", "b"))]
    for table, message in [
        ({"m": ["crak"], "failure": [1]},
         "table: row 'crak' is no label of task 'mode', expected 'crack', 'dent', 'burr', 'leak'; "
         "did you mean 'crack'?"),
        ({"m": ["crack", "crack"], "failure": [1, 1]}, "table: 'crack' has two rows, expected one"),
        ({"m": ["crack"], "failure": [2]},
         "table: row 'crack', column 'failure': found '2', expected a probability from 0 to 1"),
        ({"m": ["crack"], "kind": ["a"]},
         "table: column 'kind' is about the classes of 'kind', expected a label: those of 'mode' "
         "may be on together and make a noisy-OR"),
    ]:  # fmt: skip
        with pytest.raises(LabelweaveError) as caught:
            relations_of({"mode": pd.DataFrame(table)}, tasks)
        assert str(caught.value) == message

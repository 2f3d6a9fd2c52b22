import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from study_example import as_json, write_study

from labelweave import relations
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting import _relating as relating
from labelweave.fitting._methods import find_method
from labelweave.relations._counting import confusion_counts, held_out_half

ESTIMATED = [
    "multi_task",
    "distribution_matching",
    {"method": "distribution_matching", "relations": {"from": "predictions"}},
    {"method": "full", "relations": {"from": "all"}},
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = write_study(tmp_path_factory.mktemp("related"), methods=ESTIMATED)
    return as_json(Study.from_file(path).run(jobs=1, progress=False))


def test_methods_with_estimated_relations_are_next_to_those_with_the_given_table(results) -> None:
    assert list(results["methods"]) == [
        "single_task", "multi_task", "distribution_matching", "distribution_matching.predictions",
        "full.all",
    ]  # fmt: skip
    assert set(results["relatedness"]) == {"knowledge", "predictions", "all"}
    assert results["method_titles"]["full.all"].endswith(
        "relations from all evidence, those that hold"
    )
    assert not results["failures"]


def test_estimated_tables_are_in_the_results_with_their_evidence(results) -> None:
    found = results["relatedness"]["predictions"]
    (estimate,) = found["estimates"]
    table, known = np.array(estimate["table"]), np.array(estimate["known"])
    truth = np.array([[0, 0], [1, 0], [1, 1]])
    assert np.abs(table - truth)[known].mean() < 0.25
    (evidence,) = found["evidence"]
    assert evidence["name"] == "kind->form"
    assert (evidence["name"] in found["used"]) == (evidence["verdict"] == "related")


def test_pairs_without_a_shared_row_can_be_estimated_but_not_counted(tmp_path) -> None:
    changes = {
        "relations": [{"source": "kind", "targets": ["form"]}],
        "scatter": [
            {"name": "one", "tasks": ["kind"], "rows": 60},
            {"name": "two", "tasks": ["form"]},
        ],
    }
    # forms stand in the second table only, so scattering needs its rows in both parts
    path = write_study(tmp_path, **changes, methods=["full.given"])
    with pytest.raises(LabelweaveError, match="no training row carries labels of both tasks"):
        Study.from_file(path).splits()
    path = write_study(tmp_path, **changes, methods=["full.predictions"])
    (split,) = Study.from_file(path).splits()
    assert split.relations == ()
    results = as_json(Study.from_file(path).run(jobs=1, progress=False))
    assert "full.predictions" in results["methods"]


def test_a_second_run_trains_nothing(tmp_path) -> None:
    path = write_study(tmp_path, methods=["full.predictions"])
    Study.from_file(path).run(jobs=1, progress=False)
    runs = tmp_path / "runs" / "parts" / "runs"
    before = {folder: folder.stat().st_mtime_ns for folder in runs.iterdir()}
    Study.from_file(path).run(jobs=1, progress=False)
    assert {folder: folder.stat().st_mtime_ns for folder in runs.iterdir()} == before


def test_unknown_origins_and_methods_give_one_line(tmp_path) -> None:
    with pytest.raises(LabelweaveError, match="did you mean 'predictions'"):
        find_method("full.prediction")
    with pytest.raises(LabelweaveError, match="'multi_task' is not coupled by relations"):
        find_method("multi_task.all")
    path = write_study(tmp_path, relations=[], methods=["full.knowledge"])
    with pytest.raises(
        LabelweaveError, match=r"method 'full\.knowledge' needs relations, found none"
    ):
        Study.from_file(path)


def test_relate_prints_tables_evidence_and_a_proposal_and_saves_tables(tmp_path, cli) -> None:
    path = write_study(tmp_path)
    answer = cli("relate", path, "--from", "all", "--save", tmp_path / "tables")
    assert answer.code == 0, answer.err
    assert "kind -> form" in answer.out
    assert "Evidence on held-out rows" in answer.out
    assert b"<svg" in (tmp_path / "tables" / "kind to form.svg").read_bytes()
    pasted = yaml.safe_load(answer.out.partition("Lines to paste into the study file:\n")[2])
    assert pasted["relations"][0]["table"] == "tables/kind to form.csv"
    path = write_study(tmp_path, **pasted)
    assert cli("check", path).code == 0


def test_relate_refuses_what_it_cannot_do(tmp_path, cli) -> None:
    path = write_study(tmp_path, relations=[], methods=["multi_task"])
    refused = cli.refused("relate", path, "--from", "knowledge")
    assert refused == "relations from knowledge: found no table, expected one"


def test_a_published_table_is_named_in_the_study_file(tmp_path) -> None:
    faces = pd.DataFrame(np.random.default_rng(0).normal(size=(140, 3)), columns=list("xyz"))
    faces["expression"] = np.resize(["happiness", "sadness", "fear", "anger", "neutral"], 140)
    study = {
        "name": "faces",
        "tasks": [
            {"name": "expression", "classes": [
                "happiness", "sadness", "fear", "anger", "surprise", "disgust", "neutral",
            ]},
            {"name": "units", "kind": "multilabel", "labels": [
                "AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU15", "AU23", "AU24", "AU25",
                "AU26",
            ]},
        ],
        "sources": [{"path": "faces.csv"}],
        "relations": [
            {"source": "expression", "known": "du-tao-martinez-2014", "vocabulary": "aff-wild2"}
        ],
    }  # fmt: skip
    names = study["tasks"][1]["labels"]
    faces[names] = 0
    faces.to_csv(tmp_path / "faces.csv", index=False)
    (relation,) = Study(study, tmp_path).data.known
    assert relation.name == "expression->units"
    assert relation.table[0, names.index("AU12")] == 1
    study["relations"][0]["vocabulary"] = "afwild"
    with pytest.raises(LabelweaveError, match="did you mean 'aff-wild2'"):
        Study(study, tmp_path)


def test_given_relations_in_both_directions_are_counted_once(tmp_path) -> None:
    path = write_study(
        tmp_path,
        tasks=[{"name": "kind"}, {"name": "colour"}],
        relations=[
            {"source": "kind", "targets": ["colour"]},
            {"source": "colour", "targets": ["kind"]},
        ],
    )
    (split,) = Study.from_file(path).splits()
    assert [relation.name for relation in split.relations] == ["kind->colour"]
    (note,) = [note for note in split.notes if "colour->kind" in str(note)]
    assert "already joined by stronger evidence" in str(note)


def test_predictions_are_trusted_as_far_as_rows_held_out_say(tmp_path, monkeypatch) -> None:
    seen = {}

    def spy(annotations, predictions, pairs, **settings):
        seen.update(settings, rows=len(annotations))
        return relations.relate(annotations, predictions, pairs, **settings)

    monkeypatch.setattr(relating, "relate", spy)
    path = write_study(tmp_path, methods=["multi_task"], relatedness={"folds": 0})
    Study.from_file(path).relate(progress=False)
    assert seen["held_out"] is None
    path = write_study(tmp_path, methods=["multi_task"], relatedness={"folds": 3})
    (split,) = Study.from_file(path).splits()
    Study.from_file(path).relate(progress=False)
    # every labelled training row is held out once
    confusion = confusion_counts(seen["held_out"].annotations, seen["held_out"].predictions)
    labelled = split.train.annotations.labelled("kind").sum()
    assert confusion["kind"].sum() == labelled > 0
    assert np.trace(confusion["kind"]) > labelled / 2
    path = write_study(tmp_path, methods=["multi_task"], split={"test": 60, "validation": 40})
    (split,) = Study.from_file(path).splits()
    Study.from_file(path).relate(progress=False)
    assert seen["held_out"].annotations is not None
    assert np.array_equal(
        seen["held_out"].annotations.labels["kind"], split.validation.annotations.labels["kind"]
    )
    path = write_study(tmp_path, relatedness={"folds": 1})
    with pytest.raises(LabelweaveError, match=r"relatedness\.folds': found 1, expected 0 or at"):
        Study.from_file(path)


def test_coupled_methods_check_their_relations_by_default(tmp_path) -> None:
    methods = ["full", "full.given", "shuffled_relations"]
    study = Study.from_file(write_study(tmp_path, relatedness=None, methods=methods))
    assert study.config.method("full").estimated == "all"
    assert study.config.method("full").base == "multi_task"
    assert study.config.method("full.given").estimated is None
    assert study.config.method("shuffled_relations").estimated is None
    assert "multi_task" in study.methods
    given = write_study(tmp_path)
    assert Study.from_file(given).config.method("full").estimated is None


def test_a_wrong_table_is_corrected_before_it_couples(tmp_path) -> None:
    training = {"steps": 150, "batch_size": 32}
    path = write_study(tmp_path, training=training, relatedness=None, methods=["full"])
    table = pd.read_csv(tmp_path / "knowledge.csv")
    table.loc[:, "round"] = 1 - table["round"]
    table.to_csv(tmp_path / "knowledge.csv", index=False)
    (estimate,) = as_json(Study.from_file(path).run(jobs=1, progress=False))["relatedness"]["all"][
        "estimates"
    ]
    (right,) = (i for i, name in enumerate(estimate["columns"]) if name == "round")
    found = np.array(estimate["table"])[:, right]
    truth = [0, 1, 1]
    assert (np.abs(found - truth) < np.abs(found - np.subtract(1, truth))).all()


def test_the_half_that_judges_holds_scattered_labels_of_both_kinds(tmp_path) -> None:
    parts = [{"name": "one", "tasks": ["kind"], "rows": 60}, {"name": "two", "tasks": ["form"]}]
    path = write_study(tmp_path, sources=[{"path": "b.csv"}], split={"test": 12}, scatter=parts)
    table = pd.read_csv(tmp_path / "b.csv")
    table["kind"] = table["kind"].fillna("bolt")
    table.to_csv(tmp_path / "b.csv", index=False)
    split = Study.from_file(path).first_split()
    half = held_out_half(split.train.annotations, split.train.groups, split.seed)
    for task in ("kind", "form"):
        labelled = split.train.annotations.labelled(task)
        assert 0.25 < half[labelled].mean() < 0.75


@pytest.mark.slow
def test_rows_are_held_out_once_and_side_by_side_changes_nothing(tmp_path, monkeypatch) -> None:
    methods = ["multi_task", "full"]
    settings = {"relatedness": {"folds": 2}, "methods": methods, "seeds": 2}
    study = Study.from_file(write_study(tmp_path, **settings))
    together = as_json(study.compare(jobs=2, progress=False))["relatedness"]
    kept = sorted((study.output / "held_out").iterdir())
    assert len(kept) == 2

    def none(*args, **settings):
        raise AssertionError("trained again")

    monkeypatch.setattr(relating, "fit", none)
    shutil.rmtree(study.output / "relatedness")  # found anew, from what is kept
    again = as_json(Study.from_file(tmp_path / "study.yaml").compare(jobs=1, progress=False))
    assert again["relatedness"] == together
    monkeypatch.undo()
    shutil.rmtree(study.output / "relatedness")
    kept[0].write_bytes(b"damaged")
    alone = as_json(Study.from_file(tmp_path / "study.yaml").compare(jobs=1, progress=False))
    assert alone["relatedness"] == together

"""Stacks of learners in the estimator and in studies."""

import numpy as np
import pandas as pd
import pytest
from study_example import as_json, write_study

from labelweave import MultiTaskClassifier
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.fitting._methods import METHODS
from labelweave.fitting._stack import StackModel, load_model
from labelweave.fitting._student import student_targets, with_mixtures
from labelweave.model import Model
from labelweave.tasks import Multiclass

LEARNERS = ["logistic", "kernel_logistic"]


def scattered(n=240, seed=0):
    """Four classes; three labels that follow from them; no row with both."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    X = pd.DataFrame(rng.normal(size=(n, 6)) + 1.2 * np.eye(6)[kind % 6][:, :6])
    names = np.array(["ash", "beech", "elm", "oak"])
    table = pd.DataFrame({"kind": names, "tall": ["yes", "no", "yes", "no"],
                          "leaf": ["long", "long", "round", "oval"]})  # fmt: skip
    y = pd.DataFrame({"kind": names[kind]}).merge(table, on="kind", how="left")
    train = y.copy()
    few = np.concatenate([np.flatnonzero(kind == c)[:2] for c in range(4)])
    train.loc[few, ["tall", "leaf"]] = None
    train.loc[np.setdiff1d(np.arange(n), few), "kind"] = None
    X.columns = [f"x{i}" for i in range(6)]
    return X, y, train, table


@pytest.fixture(scope="module")
def fitted():
    X, _, train, table = scattered()
    return MultiTaskClassifier(relations={"kind": table}, method="coupled", learners=LEARNERS).fit(
        X, train
    )


def test_coupled_is_better_than_each_task_alone(fitted):
    X, _, train, _ = scattered()
    alone = MultiTaskClassifier(method="best_single_task", learners=LEARNERS).fit(X, train)
    new, truth, *_ = scattered(seed=1)
    right = [(m.predict(new)["kind"] == truth["kind"]).mean() for m in (fitted, alone)]
    assert right[0] > right[1] + 0.02
    assert set(fitted.weights_) == set(fitted.guard_) == {"kind", "tall", "leaf"}
    for weights in fitted.guard_.values():
        assert sum(weights.values()) == pytest.approx(1)
    assert {s["relation"] for s in fitted.strengths_} <= {"kind->tall", "kind->leaf"}
    assert alone.strengths_ == []


def test_a_saved_stack_predicts_bitwise_the_same(fitted, tmp_path):
    X, *_ = scattered()
    fitted.save(tmp_path)
    again = MultiTaskClassifier.load(tmp_path)
    assert isinstance(load_model(tmp_path), StackModel)
    for name, p in fitted.predict_proba(X).items():
        assert np.array_equal(p, again.predict_proba(X)[name])


def test_a_folder_holds_the_model_that_was_saved_last(fitted, tmp_path):
    X, _, train, table = scattered()
    fitted.save(tmp_path)
    student = MultiTaskClassifier(relations={"kind": table}, method="multi_task", steps=5)
    student.fit(X, train).save(tmp_path)
    assert isinstance(load_model(tmp_path), Model)


def test_the_student_is_one_network_close_to_its_teacher(fitted):
    X, _, train, table = scattered()
    student = MultiTaskClassifier(relations={"kind": table}, method="student", learners=LEARNERS)
    student.set_params(steps=300).fit(X, train)
    assert isinstance(student.model_, Model)
    assert len(student.model_.networks) == 1
    same = student.predict(X)["kind"] == fitted.predict(X)["kind"]
    assert same.mean() > 0.85


def test_a_study_trains_them_where_it_names_them(tmp_path):
    path = write_study(
        tmp_path, methods=["best_single_task", "student"], seeds=[1], learners=["logistic"]
    )
    study = Study.from_file(path)
    # the student's teacher is there, too; without a word none of them is
    assert study.methods == ["single_task", "coupled", "student", "best_single_task"]
    assert not {"coupled", "student", "best_single_task"} & set(
        Study.from_file(write_study(tmp_path / "all", methods=None)).methods
    )
    results = as_json(study.compare(jobs=1, progress=False))
    assert list(results["methods"]) == study.methods
    again = as_json(Study.from_file(path).compare(jobs=1, progress=False))
    assert again["methods"] == results["methods"]
    teachers = [run for run in results["runs"] if run["method"] == "student"]
    assert len(teachers) == 1


def test_few_rows_are_mixed_for_the_student_and_many_are_not(tmp_path, monkeypatch):
    split = Study.from_file(write_study(tmp_path)).first_split()
    n = len(split.train.index)
    mixed, again = with_mixtures(split), with_mixtures(split)
    assert len(mixed.train.index) == 5 * n
    assert (mixed.train.inputs == again.train.inputs).all()
    given = np.asarray(split.train.inputs)
    assert (mixed.train.inputs[:n] == given).all()
    assert (mixed.train.inputs.min(axis=0) >= given.min(axis=0) - 1e-6).all()
    assert len(np.unique(mixed.train.inputs, axis=0)) > 4 * n
    for name, codes in mixed.train.annotations.labels.items():
        assert (codes[:n] == split.train.annotations.labels[name]).all()
        assert (codes[n:] == -1).all()
    assert (mixed.source == np.tile(split.source, 5)).all()
    monkeypatch.setattr("labelweave.fitting._student.ENOUGH", n - 1)
    assert with_mixtures(split) is split


def test_a_student_learns_what_the_stack_predicts_and_no_label_on_top(tmp_path):
    split = Study.from_file(write_study(tmp_path)).first_split()

    class Teacher:
        tasks = split.train.annotations.tasks

        def uncalibrated(self, inputs):
            return {t.name: np.full((len(inputs), t.width), 0.25, np.float32) for t in self.tasks}

    found = student_targets(Teacher(), split)
    n = 5 * len(split.train.index)
    for task in Teacher.tasks:
        score = np.log(0.25) if isinstance(task, Multiclass) else np.log(0.25 / 0.75)
        assert found[task.name] == pytest.approx(np.full((n, task.width), score), abs=1e-6)


def test_only_trees_need_columns():
    for name, what in (
        ("coupled", None), ("student", None), ("best_single_task", None),
        ("strong_single_task", "inputs that are columns, or images with an 'encoder'"),
    ):  # fmt: skip
        lacking = METHODS[name].lacks(relations=False, hidden_labels=False, columns=False)
        assert lacking == what


def test_a_folder_without_a_model_is_named():
    with pytest.raises(LabelweaveError, match="no model here"):
        load_model("nowhere")

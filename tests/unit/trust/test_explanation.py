"""Explanations: planted causes are found, noise is not, and what leaves a part out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss
from trust_example import KIND, classifier, rows

from labelweave import LabelweaveError
from labelweave.fitting._stack import StackModel
from labelweave.trust import explain_rows, gain_sources, input_importance
from labelweave.trust._predictions import predictor_of

CAUSES = {"shape": {"long_axis", "width", "height"}, "hot": {"heat"}}


def test_planted_causes_come_first_and_noise_has_an_interval_around_nothing():
    X, y = rows(400, 11)
    found = input_importance(classifier(), X, y, repeats=2)
    for task, causes in CAUSES.items():
        part = found[found["task"] == task]
        assert set(part["column"][: len(causes)]) == causes
        assert (part["low"][: len(causes)] > 0.01).all()
    noise = found[found["column"].isin(["noise", "dust", "site"])]
    assert (noise["log_loss"].abs() < 0.05).all()
    assert (found["low"] <= found["log_loss"]).all()
    assert (found["log_loss"] <= found["high"]).all()


def test_importance_is_that_of_scikit_learn():
    X, y = rows(600, 12)
    X = X[["long_axis", "width", "height", "heat", "noise", "dust", "site"]]
    found = input_importance(classifier(), X, y, repeats=8)
    mine = found[found["task"] == "kind"].set_index("column")["log_loss"]
    task = classifier().task("kind")

    def score(model, data, labels):
        p = model.predict_proba(data)
        return -log_loss(labels, p / p.sum(axis=1, keepdims=True), labels=list(KIND.names))

    theirs = permutation_importance(
        task, X, y["kind"], scoring=score, n_repeats=8, random_state=0
    ).importances_mean
    for name, value in zip(X.columns, theirs, strict=True):
        assert mine[name] == pytest.approx(value, abs=0.05)


def test_where_labels_mean_nothing_no_column_has_a_positive_interval_of_size():
    X, y = rows(400, 13)
    mixed = y.sample(frac=1, random_state=0).reset_index(drop=True)
    found = input_importance(classifier(), X, mixed, repeats=2)
    # a model is surer with its columns, so wrong answers cost more: exchanging them cannot hurt
    assert (found["low"] < 0.15).all()
    assert found["accuracy"].abs().max() < 0.07


def test_the_gain_of_each_task_is_traced_to_its_parts():
    X, y = rows(500, 14)
    found = gain_sources(classifier(), X, y).set_index(["task", "part"])
    assert {"all", "relation kind->shape", "relation kind->hot", "learner logistic"} <= set(
        found.index.get_level_values("part")
    )
    kind = found.loc["kind"]
    assert kind.loc["all", "low"] > 0  # joining the tasks helps the task with few labels
    assert kind.loc["relation kind->shape", "log_loss"] > 0
    stack = classifier().model_.stack
    model = classifier().model_
    encoded = np.asarray(model.encoder.transform(model.typed(X)), np.float64)
    # by hand: without a relation, candidates and weights as they are
    guard = stack.guard["kind"]
    parts = stack.candidates(encoded)["kind"]
    codes = KIND.encode(y["kind"])
    full = sum(w * parts[name] for name, w in guard.items())
    assert kind.loc["all", "log_loss"] == pytest.approx(
        log_loss(codes, parts["alone"], labels=range(6))
        - log_loss(codes, full / full.sum(axis=1, keepdims=True), labels=range(6)),
        abs=1e-3,
    )


def test_without_its_relations_a_model_owes_nothing_to_them_and_a_planted_one_matters_most():
    model = predictor_of(classifier())
    assert isinstance(model, StackModel)
    X, y = rows(300, 3)
    found = gain_sources(model, X, y)
    kind = found[(found["task"] == "kind") & found["part"].str.startswith("relation")]
    assert (kind["low"] > 0).any()
    cut = [link.with_strengths(0.0, 0.0) for link in model.stack.links]
    own = [link.with_strengths(0.0, 0.0) for link in model.stack.self_links]
    without = replace(model, stack=replace(model.stack, links=cut, self_links=own))
    less = gain_sources(without, X, y)
    related = less[less["part"].str.startswith("relation")]
    np.testing.assert_allclose(related["log_loss"], 0, atol=1e-6)


def test_only_a_coupled_model_has_parts_to_leave_out():
    X, y = rows(20, 15)
    with pytest.raises(LabelweaveError, match=r"^gain_sources: found a network, expected a model"):
        gain_sources(classifier("student"), X, y)


def test_rows_are_explained_by_own_evidence_relations_columns_and_neighbours():
    X, _ = rows(6, 16)
    known, labels = rows(200, 17)
    found = explain_rows(classifier(), X, (known, labels), columns=3, nearest=2)
    assert [(e.row, e.question) for e in found[:3]] == [(0, "kind"), (0, "shape"), (0, "hot")]
    given = classifier().predict_proba(X)
    for each in found:
        assert set(each.relations) == {"kind->shape", "kind->hot"}
        assert len(each.columns) == 3
        assert len(each.nearest) == 2
        assert each.nearest[0]["distance"] <= each.nearest[1]["distance"]
        if each.question == "kind":
            assert each.answer == KIND.names[given["kind"][each.row].argmax()]
            assert each.probability == pytest.approx(given["kind"][each.row].max())
    hot = [e for e in found if e.question == "hot"]
    assert sum(next(iter(e.columns)) == "heat" for e in hot) >= 4
    itself = explain_rows(classifier(), known[:3], (known, labels), columns=0, nearest=1)
    for each in itself:
        assert each.nearest[0]["distance"] == pytest.approx(0, abs=1e-3)
        assert each.nearest[0]["row"] == each.row
        assert not each.columns


def test_a_network_has_no_own_evidence_and_no_relations_to_show():
    X, _ = rows(2, 18)
    for each in explain_rows(classifier("student"), X):
        assert each.own is None
        assert each.relations == {}


def test_bad_input_is_refused():
    X, y = rows(10, 19)
    with pytest.raises(LabelweaveError, match=r"^repeats: found 0, expected 1 or more$"):
        input_importance(classifier(), X, y, repeats=0)
    with pytest.raises(LabelweaveError, match=r"^no input column 'heet', found .* 'heat'\?$"):
        input_importance(classifier(), X, y, columns=["heet"])
    with pytest.raises(LabelweaveError, match=r"^X: found 1001 rows, expected at most 1000$"):
        explain_rows(classifier(), pd.concat([X] * 101).iloc[:1001])

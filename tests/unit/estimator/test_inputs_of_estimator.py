"""`MultiTaskClassifier` with learners: what it takes, and what it gives back."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.naive_bayes import GaussianNB
from study_example import parts, tables

from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.tasks import Binary

COLUMNS = ["length", "width", "weight", "noise"]


X, Y = parts()
KNOWLEDGE = tables()[2]


def quick(**changes: Any) -> MultiTaskClassifier:
    options = {"relations": {"kind": KNOWLEDGE}, "learners": ["logistic"]}
    return MultiTaskClassifier(**options | changes)


@pytest.fixture(scope="module")
def fitted() -> MultiTaskClassifier:
    return quick().fit(X, Y)


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def message(call: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(LabelweaveError) as error:
        call(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_tables_of_other_libraries_keep_their_names(fitted: MultiTaskClassifier) -> None:
    polars = pytest.importorskip("polars")
    expected = fitted.predict_proba(X)
    columns = {name: [None if pd.isna(v) else v for v in Y[name]] for name in Y}
    for made in (polars.DataFrame, pa.table):
        inputs = made({name: X[name].to_list() for name in X})
        model = quick().fit(inputs, made(columns))
        assert model.feature_names_in_.tolist() == COLUMNS
        assert same(model.predict_proba(inputs), expected)
        assert same(model.predict_proba(X), expected)
    column = {"kind": polars.Series(columns["kind"]), "round": pa.array(columns["round"])}
    assert same(
        quick(relations=()).fit(X, column).predict(X),
        quick(relations=()).fit(X, Y[["kind", "round"]]).predict(X),
    )
    lazy = polars.DataFrame({"a": [1.0]}).lazy()
    assert message(fitted.predict, lazy) == (
        "X: found a lazy table, expected its rows: call collect() first"
    )


def test_a_masked_array_keeps_its_mask() -> None:
    values = X.to_numpy().copy()
    masked = np.ma.masked_array(values, np.zeros(values.shape, bool))
    masked[5, 1] = np.ma.masked
    masked.data[5, 1] = 1e6
    holes = values.copy()
    holes[5, 1] = np.nan
    codes = Y["kind"].map({"bolt": 0, "disc": 1, "ring": 2})
    labels = np.ma.masked_array(codes.fillna(7).astype(int), codes.isna())
    of_masked = quick(relations=()).fit(masked, {"kind": labels})
    assert of_masked.classes_["kind"].tolist() == [0, 1, 2]
    assert same(
        of_masked.predict_proba(masked),
        quick(relations=()).fit(holes, {"kind": codes}).predict_proba(holes),
    )


def test_rows_go_by_their_index(fitted: MultiTaskClassifier) -> None:
    order = np.random.default_rng(0).permutation(len(X))
    expected = fitted.predict_proba(X)
    assert same(quick().fit(X, Y.iloc[order]).predict_proba(X), expected)
    columns = {name: Y[name].iloc[order] for name in Y}
    assert same(quick().fit(X, columns).predict_proba(X), expected)
    assert fitted.score(X, Y.iloc[order]) == fitted.score(X, Y)
    assert message(quick().fit, X, Y.set_index(Y.index + 1)) == (
        "y: its index does not name the rows of X, expected the same rows in any order; call "
        "reset_index(drop=True) on both where rows go by position"
    )
    twice = X.set_axis([0, 0, *range(2, len(X))], axis=0)
    assert message(quick().fit, twice, {"kind": Y["kind"]}).startswith("y, task 'kind': its index")


def test_predictions_as_a_data_frame_keep_the_index(fitted: MultiTaskClassifier) -> None:
    block = Y[["round", "hole"]].to_numpy(float)
    y = {"kind": Y["kind"], "form": block, "flat": (Y["kind"] == "disc").to_numpy()}
    model = MultiTaskClassifier(learners=["logistic"], output="frame").fit(X, y)
    rows = X.iloc[[7, 3]].set_axis(["a", "b"], axis=0)
    p, found = model.predict_proba(rows), model.predict(rows)
    assert isinstance(p, pd.DataFrame)
    assert isinstance(found, pd.DataFrame)
    assert p.index.tolist() == found.index.tolist() == ["a", "b"]
    assert p.columns.tolist() == [
        "kind=bolt", "kind=disc", "kind=ring", "form=form0", "form=form1", "flat",
    ]  # fmt: skip
    assert found.columns.tolist() == ["kind", "form=form0", "form=form1", "flat"]
    plain = model.set_params(output="dict").predict_proba(rows)
    assert np.array_equal(p.to_numpy()[:, :3], plain["kind"])
    assert np.array_equal(p["flat"], plain["flat"][:, 0])
    assert message(quick(output="list").fit, X, Y).endswith("expected 'dict', 'frame'")


def test_weights_count_rows_and_groups_stay_whole() -> None:
    weight = np.where(np.arange(len(X)) < 60, 0.0, 2.0)
    weighted = quick().fit(X, Y, sample_weight=weight)
    without = Y.copy()
    without.iloc[:60] = None
    # the inputs of rows without weight still set the scale; their labels teach nothing
    part = quick().fit(X, without)
    for name, p in weighted.predict_proba(X).items():
        assert np.abs(p - part.predict_proba(X)[name]).max() < 0.12
    turned = pd.Series(weight).sample(frac=1, random_state=0)
    assert same(quick().fit(X, Y, sample_weight=turned).predict_proba(X), weighted.predict_proba(X))
    names = np.arange(len(X)) // 4
    one, other = (quick(validation=0.2).fit(X, Y, groups=g) for g in (None, names))
    assert not same(one.predict_proba(X), other.predict_proba(X))


def test_wrong_weights_and_groups_are_named() -> None:
    one = np.ones(len(X))
    assert message(quick().fit, X, Y, sample_weight=one[1:]) == (
        "sample_weight: found shape (239,), expected (240,)"
    )
    for wrong in (-one, 0 * one, np.nan * one):
        assert message(quick().fit, X, Y, sample_weight=wrong) == (
            "sample_weight: expected numbers of 0 or more, some of them above 0"
        )
    network = quick(method="full", learners=None)
    assert message(network.fit, X, Y, sample_weight=one) == (
        "fit: found sample_weight with the method 'full', expected 'coupled', 'student', "
        "'best_single_task'"
    )
    assert message(quick().fit, X, Y, groups=one[1:]) == (
        "source 'X': found groups of shape (239,), expected (240,)"
    )


def test_learners_are_names_options_and_objects(fitted: MultiTaskClassifier) -> None:
    model = quick(learners=[{"logistic": {"inverse_penalty": 0.01}}, GaussianNB()], budget=30.0)
    model.fit(X, Y)
    assert set(model.weights_["kind"]) == {"logistic", "GaussianNB"}
    assert set(fitted.weights_["kind"]) == {"logistic"}
    for learners, expected in (
        (["logistik"], "no learner 'logistik', expected"),
        ([{"svm": {"c": 1}}], "learner 'svm': no option 'c', expected"),
        ([{"svm": {"width": -1.0}}], "option 'width': found -1.0, expected a number above 0"),
        ("svm", "found 'svm'"),
    ):
        found = message(quick(learners=learners).fit, X, Y)
        assert found.startswith("MultiTaskClassifier: parameter 'learners': ")
        assert expected in found
    assert message(quick(budget=0).fit, X, Y).endswith("should be greater than 0, found 0")
    assert message(quick(method="full").fit, X, Y) == (
        "MultiTaskClassifier: parameter 'learners': found it with the method 'full', expected "
        "'coupled', 'student', 'best_single_task'"
    )


def test_without_relations_it_looks_for_them_and_says_so() -> None:
    model = quick(relations=()).fit(X, Y)
    assert model.history_[0] == {"looked_for": ["kind->round", "kind->hole", "round->hole"]}
    found = [strength["relation"] for strength in model.strengths_]
    assert any("no relations were given" in note and found[0] in note for note in model.notes_)
    for other in (quick(relations=(), relatedness="given"), quick(relatedness="all")):
        other.fit(X, Y)
        assert not any("looked_for" in entry for entry in other.history_)
        assert not any("no relations were given" in note for note in other.notes_)
    assert message(quick(relatedness="predictions").fit, X, Y) == (
        "MultiTaskClassifier: parameter 'relatedness': found 'predictions' with the method "
        "'coupled', expected 'all' or 'given'"
    )


def test_what_happened_is_that_of_the_last_fit() -> None:
    model = quick(method="student", steps=20, hidden=[8]).fit(X, Y)
    assert set(model.weights_) == set(model.guard_) == {"kind", "round", "hole"}
    assert [s["relation"] for s in model.strengths_] == ["kind->round", "kind->hole"]
    alone = quick(method="best_single_task").fit(X, Y)
    assert all(found == {"alone": 1.0} for found in alone.guard_.values())
    model.set_params(method="multi_task", learners=None).fit(X, Y)
    assert (model.weights_, model.strengths_, model.guard_, model.history_) == ({}, [], {}, [])


def test_arrays_go_by_position_after_a_data_frame(fitted: MultiTaskClassifier) -> None:
    assert same(fitted.predict_proba(X.to_numpy()), fitted.predict_proba(X))
    numbered = X.set_axis(range(4), axis=1)
    assert same(quick().fit(numbered, Y).predict(numbered), fitted.predict(X))


def test_nullable_columns_are_missing_labels() -> None:
    y = pd.DataFrame({"flat": (Y["kind"] == "disc").astype("boolean")})
    y.loc[Y["kind"].isna(), "flat"] = pd.NA
    model = quick(relations=()).fit(X, y)
    assert isinstance(model.tasks_[0], Binary)
    assert model.classes_["flat"].tolist() == [0, 1]

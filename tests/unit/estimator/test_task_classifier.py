"""One task as a plain scikit-learn classifier, in scikit-learn's own tools."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from test_inputs_of_estimator import KNOWLEDGE, X, Y, message, quick

from labelweave.estimator import MultiTaskClassifier
from labelweave.tasks import Binary, Multiclass

OWN = Y["kind"].notna().to_numpy()
KINDS = Y["kind"][OWN].astype(str)


@pytest.fixture(scope="module")
def fitted() -> MultiTaskClassifier:
    return quick().fit(X, Y)


def test_a_fitted_classifier_gives_a_fitted_view(fitted: MultiTaskClassifier) -> None:
    view = fitted.task("kind")
    assert is_classifier(view)
    assert view.classes_.tolist() == ["bolt", "disc", "ring"]
    p = view.predict_proba(X)
    assert p.shape == (240, 3)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.array_equal(view.predict(X), fitted.predict(X)["kind"])
    assert view.score(X[OWN], KINDS) > 0.8
    assert view.n_features_in_ == 4
    binary = quick(tasks=[Binary("round"), Binary("hole")], relations=()).fit(X, Y).task("hole")
    assert binary.predict_proba(X).shape == (240, 2)
    assert set(binary.predict(X)) <= set(binary.classes_.tolist())


def test_scorers_and_importances(fitted: MultiTaskClassifier) -> None:
    view = fitted.task("kind")
    for name in ("accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr"):
        assert np.isfinite(get_scorer(name)(view, X[OWN], KINDS))
    found = permutation_importance(view, X[OWN], KINDS, n_repeats=2, random_state=0)
    assert found.importances_mean.argmin() == 3, "the noise column"
    assert found.importances_mean.max() > 0.1


@pytest.mark.parametrize("prefitted", [True, False])
def test_calibration(fitted: MultiTaskClassifier, prefitted: bool) -> None:
    view = FrozenEstimator(fitted.task("kind")) if prefitted else quick().task("kind")
    model = CalibratedClassifierCV(view, cv=None if prefitted else 2).fit(X[OWN], KINDS)
    p = model.predict_proba(X[OWN])
    assert np.allclose(p.sum(axis=1), 1)
    assert model.score(X[OWN], KINDS) > 0.8


def test_cross_validation_with_the_rows_of_other_tasks() -> None:
    alone = quick().task("kind")
    coupled = quick().task("kind", X, Y)
    for view in (alone, coupled):
        scores = cross_val_score(view, X[OWN], KINDS, cv=2, scoring="neg_log_loss")
        assert scores.shape == (2,)
        assert (scores > -0.7).all()
    found = cross_val_predict(coupled, X[OWN], KINDS, cv=2)
    assert (found == KINDS).mean() > 0.7
    grid = {"estimator__learners": [["logistic"], ["logistic_strong"]]}
    search = GridSearchCV(alone, grid, cv=2).fit(X[OWN], KINDS)
    assert search.best_score_ > 0.8


def test_labels_of_the_task_in_further_rows_are_not_looked_at() -> None:
    half = np.flatnonzero(OWN)[::2]
    view = quick().task("kind", X, Y).fit(X.iloc[half], Y["kind"].iloc[half])
    other = Y.copy()
    other.loc[OWN, "kind"] = np.roll(other.loc[OWN, "kind"], 1)
    again = quick().task("kind", X, other).fit(X.iloc[half], Y["kind"].iloc[half])
    assert np.array_equal(view.predict_proba(X), again.predict_proba(X))
    assert [s["relation"] for s in view.estimator_.strengths_] == ["kind->round", "kind->hole"]


def test_it_is_cloned_and_has_parameters(fitted: MultiTaskClassifier) -> None:
    view = fitted.task("kind")
    copy = clone(view)
    assert copy.name == "kind"
    assert copy.get_params()["estimator__learners"] == ["logistic"]
    with pytest.raises(NotFittedError, match="the classifier of 'kind' is not fitted yet"):
        copy.predict(X)
    copy.fit(X[OWN], KINDS, sample_weight=np.ones(OWN.sum()), groups=np.arange(OWN.sum()) // 2)
    assert copy.score(X[OWN], KINDS) > 0.8


def test_it_knows_the_classes_it_was_trained_on() -> None:
    tasks = [Multiclass("kind", ("bolt", "disc", "nut", "ring")), Multiclass("round")]
    some = KINDS != "ring"
    view = quick(tasks=tasks).task("kind").fit(X[OWN][some], KINDS[some])
    assert view.classes_.tolist() == ["bolt", "disc"]
    assert view.predict_proba(X).shape == (240, 2)
    numbers = quick().task("part").fit(X, np.arange(240) % 2 + 5)
    assert numbers.classes_.tolist() == [5, 6]
    assert numbers.predict(X).dtype.kind == "i"


def test_a_multilabel_task_has_a_column_a_label() -> None:
    block = np.stack([X["length"] > X["length"].mean(), X["width"] > 0], axis=1).astype(float)
    view = quick().task("form").fit(X, block)
    assert view.predict(X).shape == view.predict_proba(X).shape == (240, 2)
    assert view.classes_.tolist() == ["form0", "form1"]


def test_what_does_not_fit_is_named() -> None:
    def of(*arguments: Any) -> Any:
        return quick(tasks=[Multiclass("kind"), Multiclass("round")]).task(*arguments)

    assert message(of("knid").fit, X, Y["kind"]) == (
        "task: found 'knid', expected 'kind', 'round'; did you mean 'kind'?"
    )
    assert message(of("kind", X).fit, X, Y["kind"]) == (
        "task: found only one of X and y, expected both or neither"
    )
    assert message(of("kind", X, Y).fit, X, Y["kind"], np.ones(240)) == (
        "fit: found sample_weight or groups together with further rows, expected neither"
    )
    other = pd.DataFrame({"a": [1.0] * 240})
    assert message(of("kind", other, Y).fit, X, Y["kind"]) == (
        "task: the further X has other columns than X, expected the same"
    )
    assert KNOWLEDGE is not None

"""The library: by name, by object, by path; fits of one task; files."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from labelweave.errors import LabelweaveError
from labelweave.learners import (
    LEARNERS,
    Boosting,
    Logistic,
    Size,
    UserLearner,
    fit_task,
    resolve_learners,
)
from labelweave.learners._fitting import takes_weights
from labelweave.learners._forests import packed, unpacked
from labelweave.learners._saving import read_models, write_models
from labelweave.learners._task_stack import applicable
from labelweave.tasks import Multiclass, Multilabel

TASK = Multiclass("kind", ("a", "b", "c"))
SIGNS = Multilabel("signs", ("x", "y", "z"))


def rows(n: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(0, 0.5, (n, 4)) + np.eye(3, 4)[y] * 2, y


@pytest.mark.parametrize("name", list(LEARNERS))
def test_every_learner_learns_and_gives_probabilities(name: str) -> None:
    X, y = rows()
    model = fit_task(LEARNERS[name], TASK, X, y)
    p = model.predict(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p > 0).all()
    assert (p.argmax(axis=1) == y).mean() > 0.9
    again = fit_task(LEARNERS[name], TASK, X, y).predict(X)
    assert (p == again).all()


@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_model_is_read_back_bitwise(name: str, tmp_path: Path) -> None:
    X, y = rows()
    model = fit_task(LEARNERS[name], TASK, X, y)
    described = write_models({"m": model}, tmp_path / "m.skops")
    back = read_models(described, tmp_path / "m.skops")["m"]
    assert (back.predict(X) == model.predict(X)).all()


def test_a_forest_is_written_whole_and_one_that_leads_out_of_its_trees_is_refused() -> None:
    X, y = rows()
    forest = ExtraTreesClassifier(7, random_state=1).fit(X, y)
    small = packed(forest)
    assert len(small["forest"].estimators_) == 1
    assert len(forest.estimators_) == 7  # the packed one is a copy
    back = unpacked(small)
    for one, other in zip(forest.estimators_, back.estimators_, strict=True):
        assert one.get_params() == other.get_params()
        assert (one.predict_proba(X) == other.predict_proba(X)).all()
    assert (forest.apply(X) == back.apply(X)).all()
    inner = np.flatnonzero(small["nodes"]["left_child"] != -1)
    for name, value in (("left_child", 10_000), ("right_child", -7), ("feature", 4)):
        damaged = packed(forest)
        damaged["nodes"][name][inner[-1]] = value
        with pytest.raises(ValueError, match="lead out of their tree"):
            unpacked(damaged)
    with pytest.raises(ValueError, match="expected"):
        unpacked(packed(forest) | {"counts": small["counts"][:-1]})


def test_a_file_with_a_foreign_type_is_refused(tmp_path: Path) -> None:
    X, y = rows()
    model = fit_task(resolve_learners([ForeignClassifier()])[0], TASK, X, y)
    described = write_models({"m": model}, tmp_path / "m.skops")
    with pytest.raises(LabelweaveError, match="not trusted"):
        read_models(described, tmp_path / "m.skops")


class ForeignClassifier(GaussianNB):
    pass


def test_a_class_never_seen_keeps_a_small_probability() -> None:
    X, y = rows()
    seen = y != 2
    p = fit_task(Logistic(), TASK, X[seen], y[seen]).predict(X)
    assert (p[:, 2] > 0).all()
    assert (p[:, 2] < 0.02).all()


def test_labels_are_fitted_apart_with_their_own_missing_elements() -> None:
    X, y = rows()
    codes = np.stack([y == 0, y == 1, np.ones(len(y))], axis=1).astype(np.int8)
    codes[::2, 0] = -1
    model = fit_task(Logistic(), SIGNS, X, codes)
    p = model.predict(X)
    alone = fit_task(Logistic(), Multilabel("one", ("x",)), X[1::2], codes[1::2, :1]).predict(X)
    np.testing.assert_allclose(p[:, 0], alone[:, 0])
    # always on: smoothed, the same everywhere
    np.testing.assert_allclose(p[:, 2], (len(y) + 0.5) / (len(y) + 1))


def test_a_row_of_weight_0_is_not_there() -> None:
    X, y = rows()
    weight = np.ones(len(y))
    weight[:30] = 0
    a = fit_task(LEARNERS["logistic"], TASK, X, y, sample_weight=weight).predict(X)
    b = fit_task(LEARNERS["logistic"], TASK, X[30:], y[30:]).predict(X)
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_learners_by_name_object_and_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWEAVE_TRUST", "sklearn")
    found = resolve_learners(
        ["svm", Logistic(1.0, "mine"), GaussianNB(), "module:sklearn.dummy.DummyClassifier"]
    )
    assert [learner.key for learner in found] == [
        "svm", "mine", "GaussianNB", "module:sklearn.dummy.DummyClassifier",
    ]  # fmt: skip
    assert len(resolve_learners(None)) == len(LEARNERS)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (["svmm"], "did you mean 'svm'"),
        (["svm", "svm"], "found 'svm' 2 times"),
        ([], "found none"),
        ("svm", "expected a list"),
        ([StandardScaler()], "no scikit-learn classifier"),
        (["module:os.path"], "not trusted"),
    ],
)
def test_wrong_learners(choice: object, message: str) -> None:
    with pytest.raises(LabelweaveError, match=message):
        resolve_learners(choice)  # type: ignore[arg-type]


def test_a_user_learner_gets_the_seed_where_it_has_none() -> None:
    free = UserLearner(LogisticRegression(), "free").build(Size(10, 2, 2), 7)
    fixed = UserLearner(LogisticRegression(random_state=3), "fixed").build(Size(10, 2, 2), 7)
    assert (free.random_state, fixed.random_state) == (7, 3)


def test_options_are_checked() -> None:
    assert Boosting().with_options(rate=0.3).rate == 0.3
    with pytest.raises(LabelweaveError, match="did you mean 'rate'"):
        Boosting().with_options(rat=0.3)


def test_who_takes_weights() -> None:
    by_key = dict(LEARNERS) | {"k": UserLearner(KNeighborsClassifier(), "k")}
    assert takes_weights(by_key["kernel_logistic"])
    assert not takes_weights(by_key["k"])


def test_rules_and_budget_leave_learners_out_and_say_why() -> None:
    small, why = applicable(tuple(LEARNERS.values()), Size(40, 5, 2), 60)
    assert set(why) == {"boosting", "discriminant"}
    assert len(small) == len(LEARNERS) - 2
    kept, why = applicable(tuple(LEARNERS.values()), Size(100_000, 50, 5), 1)
    assert len(kept) == 2
    others = set(LEARNERS) - {k.key for k in kept} - {"discriminant"}
    assert all("over the budget" in why[key] for key in others)


def test_of_many_classes_only_what_is_linear_in_them_stays() -> None:
    kept, why = applicable(tuple(LEARNERS.values()), Size(80_000, 128, 10_000), 100)
    assert [learner.key for learner in kept] == ["discriminant"]
    assert why["logistic"] == "more than 20 million rows times classes"
    assert why["extra_trees"] == "up to 80.0 GB of memory, expected at most 1"
    few, why = applicable(tuple(LEARNERS.values()), Size(800, 20, 400), 100)
    assert {"discriminant", "extra_trees"} <= {learner.key for learner in few}
    assert set(why) == {"svm", "boosting"}

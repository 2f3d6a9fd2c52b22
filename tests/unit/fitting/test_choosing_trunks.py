"""Which tasks get a trunk that no other task reads."""

import numpy as np
import pandas as pd
import pytest

from labelweave import LabelweaveError, MultiTaskClassifier
from labelweave.fitting import FitConfig
from labelweave.fitting._trunks import parts_are_better

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(400, 6))).add_prefix("x")
Y = pd.DataFrame(
    {"sum": (X.x0 + X.x1 > 0).map({True: "up", False: "down"}),
     "odd": (X.x2 * X.x3 > 0).map({True: "same", False: "other"}),
     "same": (X.x0 + X.x1 > 0.1).map({True: "more", False: "less"})},
)  # fmt: skip


def fitted(trunks: str, labels: pd.DataFrame = Y, **options) -> MultiTaskClassifier:
    options = {"method": "multi_task", "hidden": [16], "steps": 60} | options
    return MultiTaskClassifier(network={"trunks": trunks}, **options).fit(X, labels)


def own(model: MultiTaskClassifier) -> tuple[str, ...]:
    (network,) = model.model_.networks
    return network.own_trunks


def test_shared_and_own_are_as_asked_for() -> None:
    assert own(fitted("shared")) == ()
    model = fitted("own")
    assert own(model) == ("sum", "odd", "same")
    assert model.score(X, Y) > 0.6


def test_a_task_alone_has_no_choice() -> None:
    assert own(fitted("own", Y[["odd"]])) == ()


@pytest.mark.parametrize("method", ["full", "student"])
def test_own_trunks_go_with_coupling_and_with_the_student(method) -> None:
    more = {"learners": ["logistic"]} if method == "student" else {}
    model = fitted("own", Y[["sum", "same"]], method=method, **more)
    assert own(model) == ("sum", "same")


def test_auto_follows_the_trials(monkeypatch) -> None:
    asked: list[tuple[int, bool]] = []

    def of(answers):
        left = iter(answers)

        def answer(shared, apart):
            asked.append((len(shared), bool(np.isfinite([shared, apart]).all())))
            return next(left)

        monkeypatch.setattr("labelweave.fitting._trunks.parts_are_better", answer)

    few = Y.copy()
    few.loc[100:, "odd"] = None
    few.loc[200:, "same"] = None
    of([True, False])
    assert own(fitted("auto", few)) == ("odd",)
    assert asked == [(20, True), (40, True)]
    of([False])  # who has more labels stays where one with fewer does
    assert own(fitted("auto", few)) == ()
    of([True, True, True])
    assert own(fitted("auto", few)) == ("sum", "odd", "same")


def test_a_handful_of_labels_is_never_tried(monkeypatch) -> None:
    def never(*given):
        raise AssertionError

    monkeypatch.setattr("labelweave.fitting._trunks._trial", never)
    few = Y.copy()
    few.loc[6:, "odd"] = None
    assert own(fitted("auto", few)) == ()


def test_tasks_that_do_not_fit_into_one_trunk_are_parted() -> None:
    options = {"hidden": [1], "dropout": 0.0, "steps": 600, "learning_rate": 0.02}
    other = Y[["sum"]].assign(other=np.where(X.x2 > 0, "on", "off"))
    first, again = (fitted("auto", other, **options) for _ in range(2))
    assert "sum" in own(first)
    found, expected = again.predict_proba(X), first.predict_proba(X)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_where_none_leaves_training_is_that_of_the_shared_trunk(monkeypatch) -> None:
    monkeypatch.setattr("labelweave.fitting._trunks.parts_are_better", lambda shared, apart: False)
    found, expected = (fitted(t, steps=20).predict_proba(X) for t in ("auto", "shared"))
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("better", "expected"),
    [([], False), ([9.0, 9.0], False), ([0.8] * 3, False), ([9.0] * 4, True), ([0.4] * 30, True),
     ([0.4, -0.4] * 30, False), ([-1.0] * 30, False), ([20.0] + [-0.01] * 30, False)],
)  # fmt: skip
def test_few_rows_or_one_of_them_do_not_decide(better, expected) -> None:
    assert parts_are_better(np.zeros(len(better)), np.array(better)) is expected


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"trunks": "own", "frozen": True}, "a frozen backbone has nothing to train, found "
         "'trunks: own'"),
        ({"trunks": "own", "backbone": "linear"}, "the backbone 'linear' has nothing to train, "
         "found 'trunks: own'"),
    ],
)  # fmt: skip
def test_what_is_not_trained_has_no_trunks(section, message) -> None:
    with pytest.raises(ValueError, match=message):
        FitConfig.model_validate({"network": section})


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(LabelweaveError) as caught:
        fitted("each")
    assert "'trunks'" in str(caught.value)
    assert "'shared', 'own' or 'auto'" in str(caught.value)

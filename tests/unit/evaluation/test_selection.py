import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.evaluation._selection import choose, held_out_row_scores
from labelweave.tasks import Multiclass, Multilabel

ORDER = ("single_task", "multi_task", "full", "coupled")


def scores(gains, n=60, tasks=2, spread=0.1, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.7, (n, tasks))
    return {
        method: base + np.asarray(gain) + rng.normal(0, spread, (n, tasks))
        for method, gain in gains.items()
    }


def test_a_clear_gain_is_chosen_and_the_simplest_of_equals_before_others() -> None:
    found = scores({"single_task": 0, "full": 0.2})
    noise = np.random.default_rng(1).normal(0, 0.1, (60, 2))
    found["coupled"] = found["full"] + noise / 10 - noise.mean(axis=0) / 10 + 0.0005
    choice = choose(found, ORDER)
    assert (choice.method, choice.best, choice.equal) == ("full", "coupled", ("coupled",))
    assert choice.rows == 60
    found["coupled"] += 0.05
    assert choose(found, ORDER).method == "coupled"
    same = scores({"single_task": 0}, spread=0)["single_task"]
    equal = choose({"coupled": same, "full": same, "single_task": same}, ORDER)
    assert (equal.method, equal.equal) == ("single_task", ("full", "coupled"))


def test_a_method_that_clearly_harms_a_task_is_ruled_out() -> None:
    found = choose(scores({"single_task": 0, "full": [0.4, -0.15], "coupled": 0.05}), ORDER)
    assert found.method == "coupled"
    assert found.harmed == {"full": (1,)}
    alone = choose(scores({"single_task": 0, "full": [0.4, -0.15]}), ORDER)
    assert alone.method == "single_task"


def test_one_row_of_a_task_neither_harms_nor_decides() -> None:
    given = scores({"single_task": 0, "full": 0.3}, seed=3)
    for each in given.values():
        each[1:, 1] = np.nan
    given["full"][0, 1] = 0
    found = choose(given, ORDER)
    assert not found.harmed


def test_few_rows_show_nothing_equal_so_that_the_default_stands() -> None:
    rng = np.random.default_rng(5)
    found = scores({"single_task": 0, "multi_task": 0.2, "coupled": 0.22}, n=400)
    for each in found.values():
        each[13:, 1] = np.nan  # 13 rows judge the second task, ten points apart
    found["coupled"][:13, 1] = found["multi_task"][:13, 1] + 0.1 + rng.normal(0, 0.3, 13)
    found["multi_task"][:, 0] = found["coupled"][:, 0]
    assert choose(found, ORDER, "coupled").method == "coupled"
    # nor does one lucky row more make another method the one to beat
    found["multi_task"][:13, 1] = found["coupled"][:13, 1] + rng.normal(0.02, 0.3, 13)
    assert choose(found, ORDER, "coupled").method == "coupled"
    for each in found.values():  # thirteen rows that all agree leave room for an error in fourteen
        each[:, 1] = np.where(np.arange(400) < 13, 0.99, np.nan)
    assert choose(found, ORDER, "coupled").method == "coupled"
    for each in found.values():
        each[:, 1] = np.nan
    assert choose(found, ORDER, "coupled").method == "coupled"  # a task without rows


def test_many_rows_without_a_difference_show_the_tasks_alone_to_be_equal() -> None:
    found = scores({"single_task": 0}, n=100)
    found["coupled"] = found["single_task"] + np.random.default_rng(1).normal(0, 0.02, (100, 2))
    assert choose(found, ORDER, "coupled").method == "single_task"
    found["coupled"][:, 1] += 0.03
    assert choose(found, ORDER, "coupled").method == "coupled"


def test_a_clearly_better_method_takes_the_place_of_the_default() -> None:
    found = scores({"single_task": 0, "full": 0.3, "coupled": 0.2})
    assert choose(found, ORDER, "coupled").method == "full"
    harmful = scores({"single_task": 0, "full": 0.1, "coupled": [0.3, -0.2]})
    assert choose(harmful, ORDER, "coupled").method == "full"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), digits=st.integers(5, 9))
def test_noise_in_the_last_digits_does_not_change_the_choice_between_equals(seed, digits) -> None:
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.7, (80, 2))
    alike = {m: base + rng.normal(0, 0.02, base.shape) for m in ("single_task", "multi_task")}
    alike |= {m: base + 0.2 + rng.normal(0, 0.02, base.shape) for m in ("full", "coupled")}
    noisy = {m: s + rng.normal(0, 10.0**-digits, s.shape) for m, s in alike.items()}
    assert choose(alike, ORDER).method in ("full", "coupled")
    error = np.std(alike["coupled"] - alike["full"]) / np.sqrt(
        160
    )  # tasks pooled, about one standard error
    gap = (alike["coupled"] - alike["full"]).mean()
    if abs(gap - error) > 0.002:  # not at the border itself
        assert choose(noisy, ORDER).method == choose(alike, ORDER).method


def test_the_order_of_methods_in_the_scores_does_not_matter() -> None:
    given = scores({"single_task": 0, "full": 0.1, "coupled": 0.12})
    turned = dict(reversed(given.items()))
    assert choose(given, ORDER) == choose(turned, ORDER)


def test_row_scores_are_quadratic_scores_with_missing_labels_left_out() -> None:
    kind, marks = Multiclass("kind", ("a", "b")), Multilabel("marks", ("x", "y"))
    predictions = {
        "kind": np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]),
        "marks": np.array([[1.0, 0.5], [1.0, 0.0], [0.2, 0.2]]),
    }
    labels = {"kind": np.array([0, 1, -1]), "marks": np.array([[1, -1], [0, 0], [-1, -1]])}
    expected = [[1, 1], [0.75, 0.5], [np.nan, np.nan]]
    assert held_out_row_scores((kind, marks), predictions, labels) == pytest.approx(
        np.array(expected), nan_ok=True
    )

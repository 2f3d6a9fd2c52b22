from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from labelweave.annotations import Annotations
from labelweave.class_priors import (
    AssumedPrior,
    adjust,
    assumed_prior,
    estimate_prior,
    labelled_prior,
    log_odds,
    population_prior,
    source_priors,
)
from labelweave.errors import LabelweaveError
from labelweave.relations import Relation
from labelweave.tasks import Binary, Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c", "d"))
GROUP = Multiclass("group", ("x", "y"))
SIGNS = Multilabel("signs", ("s", "t"))
OK = Binary("ok")
TASKS = (KIND, GROUP, SIGNS, OK)
MAP = Relation(KIND, GROUP, [[1, 0], [1, 0], [0, 1], [0, 1]])


def gaussian(prior: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return classes drawn from a prior and log p(x|class), up to a constant, of one x each."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(prior), n, p=prior)
    x = rng.normal(1.5 * classes)
    return classes, -0.5 * (x[:, None] - 1.5 * np.arange(len(prior))) ** 2


OLD, NEW = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.15, 0.05, 0.7])


def test_adjusted_probabilities_are_those_of_bayes() -> None:
    _, log_x = gaussian(OLD, 50, 0)
    given = softmax(log_x + np.log(OLD), axis=1)
    assert np.allclose(adjust(KIND, given, OLD, NEW), softmax(log_x + np.log(NEW), axis=1))
    on, old, new = given[:, :2], OLD[:2], NEW[2:]
    odds = on / (1 - on) * (new / (1 - new)) / (old / (1 - old))
    assert np.allclose(adjust(SIGNS, on, old, new), odds / (1 + odds))


def test_adjusting_scores_and_probabilities_is_the_same() -> None:
    scores = np.random.default_rng(0).normal(size=(20, 4))
    shifted = softmax(scores + log_odds(KIND, NEW) - log_odds(KIND, OLD), axis=1)
    assert np.allclose(adjust(KIND, softmax(scores, axis=1), OLD, NEW), shifted)
    shifted = scores[:, :2] + log_odds(SIGNS, NEW[:2]) - log_odds(SIGNS, OLD[:2])
    on = 1 / (1 + np.exp(-scores[:, :2]))
    assert np.allclose(adjust(SIGNS, on, OLD[:2], NEW[:2]), 1 / (1 + np.exp(-shifted)))


def test_a_share_of_0_rules_a_class_out_even_where_nothing_else_was_likely() -> None:
    given = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    found = adjust(KIND, given, OLD, np.array([0, 0.5, 0.5, 0]))
    assert np.allclose(found.sum(axis=1), 1)
    assert (found[:, [0, 3]] == 0).all()
    assert found[1, 1] > 0.99


def test_the_prior_of_rows_is_the_one_of_greatest_likelihood() -> None:
    _, log_x = gaussian(NEW, 4000, 1)
    given = softmax(log_x + np.log(OLD), axis=1)
    found = estimate_prior(KIND, given, OLD)

    def loss(scores: np.ndarray) -> float:
        prior = softmax(np.append(scores, 0))
        likelihood = np.log(given @ (prior / OLD)).sum()
        return float(-likelihood - 4 * OLD @ np.log(prior))  # with the pseudo-rows

    best = softmax(np.append(minimize(loss, np.zeros(3), tol=1e-9).x, 0))
    assert np.abs(found - best).max() < 1e-3
    assert np.abs(found - NEW).max() < 0.03
    assert np.abs(OLD - NEW).max() > 0.5


def test_the_prior_of_labels_is_estimated_label_by_label() -> None:
    columns = [
        gaussian(np.array([1 - on, on]), 4000, seed)[1] for seed, on in enumerate((0.1, 0.8))
    ]
    old = np.array([0.5, 0.4])
    given = np.stack(
        [softmax(x + np.log([1 - o, o]), axis=1)[:, 1] for x, o in zip(columns, old, strict=True)],
        axis=1,
    )
    assert np.abs(estimate_prior(SIGNS, given, old) - [0.1, 0.8]).max() < 0.04


def test_few_rows_move_the_prior_little_and_none_not_at_all() -> None:
    sure = np.array([[0, 0, 0, 1.0]])
    found = [
        np.abs(estimate_prior(KIND, np.repeat(sure, n, 0), OLD) - OLD).sum() for n in (0, 1, 9)
    ]
    assert found[0] == 0
    assert all(a < b for a, b in pairwise(found))
    assert found[1] < 0.5


def annotations() -> tuple[Annotations, np.ndarray]:
    """Return three sources: kinds, groups and signs, and rows without any label."""
    kind, group = np.full((2, 130), -1)
    signs = np.full((130, 2), -1)
    kind[:40] = np.repeat([0, 1, 2, 3], 10)
    group[40:120] = np.repeat([0, 1], [60, 20])
    signs[40:60, 0] = 1
    labels = {"kind": kind, "group": group, "signs": signs.astype(np.int8)}
    return Annotations(TASKS, labels), np.repeat([0, 1, 2], [40, 80, 10])


def test_labelled_shares_count_labelled_elements_once_weighted() -> None:
    labels, source = annotations()
    assert np.allclose(labelled_prior(labels, "kind"), 0.25)
    assert np.allclose(labelled_prior(labels, "group"), [60.5 / 81, 20.5 / 81])
    assert np.allclose(labelled_prior(labels, "signs"), [20.5 / 21, 0.5])
    kind = np.concatenate([np.zeros(30, int), np.ones(10, int)])
    two = Annotations((KIND,), {"kind": kind})
    weights = np.where(kind == 0, 1.0, 3.0)
    assert np.allclose(labelled_prior(two, "kind", weights), np.array([20.5, 20.5, 0.5, 0.5]) / 42)
    assert len(source) == 130


def test_a_source_has_the_prior_of_its_labels_or_what_the_relations_imply() -> None:
    labels, source = annotations()
    training = {task.name: labelled_prior(labels, task.name) for task in TASKS}
    found = source_priors(labels, source, [MAP], training)
    # the only source with a task's labels has the training prior: nothing to adjust
    assert np.allclose(found["kind"][0], training["kind"])
    assert np.allclose(found["group"][1], training["group"])
    # kinds from groups: 3 of 4 in the first two, which the groups do not distinguish
    assert np.allclose(found["kind"][1], [0.375, 0.375, 0.125, 0.125], atol=0.02)
    assert np.allclose(found["group"][0], 0.5, atol=0.01)
    # without any label: the training prior, and what it means for the groups
    assert np.allclose(found["kind"][2], training["kind"])
    assert np.allclose(found["group"][2], 0.5, atol=0.01)
    assert np.allclose(found["ok"], training["ok"])
    population = population_prior(found, source)
    assert np.allclose(population["kind"], found["kind"].T @ np.array([40, 80, 10]) / 130)


def test_labels_that_contradict_each_other_leave_a_prior() -> None:
    other = Multiclass("other", ("u", "v"))
    relations = [MAP, Relation(KIND, other, [[1, 0], [1, 0], [0, 1], [0, 1]])]
    codes = {"group": np.zeros(8, int), "other": np.ones(8, int)}
    labels = Annotations((KIND, GROUP, other), codes)
    training = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
    found = source_priors(labels, np.zeros(8, int), relations, training)["kind"][0]
    assert np.allclose(found, 0.25)


def test_sources_that_label_one_task_each_keep_their_own_shares() -> None:
    kind = np.repeat([0, 1, 0, 1], [900, 100, 100, 900])
    labels, source = Annotations((KIND,), {"kind": kind}), np.repeat([0, 1], 1000)
    training = {"kind": labelled_prior(labels, "kind")}
    found = source_priors(labels, source, [], training)["kind"]
    assert np.allclose(found[:, :2], [[0.9, 0.1], [0.1, 0.9]], atol=0.005)


def test_a_prior_is_named_or_given(tmp_path: Path) -> None:
    assert assumed_prior("rows", TASKS) == AssumedPrior("rows")
    assert str(assumed_prior("uniform", TASKS)) == (
        "uniform (the same share for every class, one half for every label)"
    )
    shares = {"kind": {"d": 0.7, "a": 0.1, "b": 0.15, "c": 0.05}, "ok": 0.2}
    given = assumed_prior(shares, TASKS)
    assert np.allclose(given.given["kind"], NEW)
    assert given.given["ok"].tolist() == [0.2]
    path = tmp_path / "shares.csv"
    lines = [f"kind,{name},{p}" for name, p in shares["kind"].items()] + ["ok,ok,0.2"]  # type: ignore[attr-defined]
    path.write_text("task,class,probability\n" + "\n".join(lines), encoding="utf-8")
    read = assumed_prior(path, TASKS)
    again = AssumedPrior.from_dict(given.to_dict())
    for name, values in given.given.items():
        assert np.array_equal(values, read.given[name])
        assert np.array_equal(values, again.given[name])
    assert str(given) == (
        "as given for 'kind', 'ok', else training (the shares among the labelled training rows)"
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            "unifrom",
            "prior: found 'unifrom', expected 'training', 'population', 'uniform', 'rows' or a CSV "
            "file; did you mean 'uniform'?",
        ),
        (
            {"knd": {}},
            "prior: no task 'knd', expected 'kind', 'group', 'signs', 'ok'; did you mean 'kind'?",
        ),
        ({"group": {"x": 1, "z": 0}}, "prior, task 'group': no class 'z', expected 'x', 'y'"),
        ({"group": {"x": 1}}, "prior, task 'group': found no share of 'y', expected one each"),
        (
            {"group": {"x": 1.5, "y": 0}},
            "prior, task 'group', 'x': found 1.5, expected a share from 0 to 1",
        ),
        (
            {"group": {"x": float("nan"), "y": 0}},
            "prior, task 'group', 'x': found nan, expected a share from 0 to 1",
        ),
        (
            {"group": {"x": "much", "y": 0}},
            "prior, task 'group', 'x': found 'much', expected a share from 0 to 1",
        ),
        (
            {"group": {"x": 0.5, "y": 0.2}},
            "prior, task 'group': shares that sum to 0.7, expected 1",
        ),
        ({"group": 0.5}, "prior, task 'group': found 0.5, expected each class with its share"),
        ({"ok": 2}, "prior, task 'ok', 'ok': found 2, expected a share from 0 to 1"),
    ],
)
def test_a_bad_prior_gives_one_line(choice: object, message: str) -> None:
    with pytest.raises(LabelweaveError) as error:
        assumed_prior(choice, TASKS)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_a_bad_file_of_shares_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "shares.csv"
    path.write_text("task,class,share\nkind,a,1\n", encoding="utf-8")
    with pytest.raises(LabelweaveError) as error:
        assumed_prior(str(path), TASKS)
    assert str(error.value) == f"{path}: no column 'probability', found 'task', 'class', 'share'"
    path.write_text("task,class,probability\ngroup,x,1\ngroup,x,0\n", encoding="utf-8")
    with pytest.raises(LabelweaveError) as error:
        assumed_prior(str(path), TASKS)
    assert str(error.value) == f"{path}: found 'x' of task 'group' twice, expected once"

"""The whole fit on small drawn data: what couples, what does not, and that it can be repeated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from labelweave.annotations import Annotations
from labelweave.coupling import CoupledStack, fit_best_single, fit_coupled
from labelweave.errors import LabelweaveError
from labelweave.learners import ExtraTrees
from labelweave.relations import AnyRelation, NoisyOr, Relation
from labelweave.tasks import Binary, Multiclass, Multilabel

KIND = Multiclass("kind", tuple(f"k{i}" for i in range(6)))
SHAPE = Multiclass("shape", ("round", "long", "flat"))
HOT = Binary("hot")
SIGNS = Multilabel("signs", ("x", "y", "z"))
OF_SHAPE = np.eye(3)[[0, 1, 2, 0, 1, 2]]
OF_HOT = np.array([[1.0], [1], [1], [0], [0], [0]])
TABLES = (Relation(KIND, SHAPE, OF_SHAPE), Relation(KIND, HOT, OF_HOT))
LEARNERS = ["logistic", "logistic_strong"]
Drawn = tuple[np.ndarray, Annotations, np.ndarray, np.ndarray]


@cache
def drawn(per_class: int = 2, seed: int = 0) -> Drawn:
    """Return inputs and labels where `shape` and `hot` are plain and `kind` is rarely labelled."""
    rng = np.random.default_rng(seed)
    n = 420
    y = rng.integers(0, 6, n)
    X = np.concatenate([2.0 * OF_SHAPE[y], 2.0 * OF_HOT[y], np.zeros((n, 8))], axis=1)
    X += rng.normal(0, 0.7, X.shape)
    train = np.arange(240)
    own = np.zeros(n, np.bool_)
    for code in range(6):
        own[train[y[train] == code][:per_class]] = True
    labels = {
        "kind": np.where(own, y, -1),
        "shape": np.where(own, -1, OF_SHAPE[y].argmax(axis=1)),
        "hot": np.where(own, -1, OF_HOT[y][:, 0]).astype(np.int8)[:, None],
    }
    annotations = Annotations((KIND, SHAPE, HOT), labels)[train]
    return X[train], annotations, X[240:], y[240:]


def accuracy(stack: CoupledStack, X: np.ndarray, y: np.ndarray) -> float:
    return float((stack.predict_proba(X)["kind"].argmax(axis=1) == y).mean())


@cache
def fitted(
    relations: tuple[AnyRelation, ...] = TABLES, per_class: int = 2, seed: int = 0
) -> CoupledStack:
    X, annotations, _, _ = drawn(per_class)
    return fit_coupled(X, annotations, relations, learners=LEARNERS, seed=seed)


@cache
def fitted_alone(per_class: int = 2) -> CoupledStack:
    X, annotations, _, _ = drawn(per_class)
    return fit_best_single(X, annotations, learners=LEARNERS)


@pytest.mark.parametrize("per_class", [1, 2])
def test_an_exact_table_helps_the_rare_task(per_class: int) -> None:
    _, _, X_test, y_test = drawn(per_class)
    alone = fitted_alone(per_class)
    coupled = fitted(per_class=per_class)
    assert accuracy(coupled, X_test, y_test) > accuracy(alone, X_test, y_test) + 0.05
    assert coupled.guard["kind"]["alone"] < 0.2
    for strength in coupled.strengths:
        assert strength["to_source"] > 0.5


def test_at_one_label_a_class_related_labels_judge_the_candidates() -> None:
    # no own label can be held out: only they can say that coupling is better
    guard = fitted(per_class=1).guard["kind"]
    assert guard["coupled"] + guard["self_trained"] + guard["self_trained_coupled"] > 0.8


def test_a_wrong_table_gets_next_to_no_weight() -> None:
    wrong = (TABLES[0].permuted(1), TABLES[1].permuted(2))
    _, _, X_test, y_test = drawn(8)
    stack = fitted(wrong, per_class=8)
    alone = fitted_alone(8)
    assert accuracy(stack, X_test, y_test) > accuracy(alone, X_test, y_test) - 0.02
    for strength in stack.strengths:
        assert strength["as_given"] < 0.05


def test_where_few_labels_contradict_a_table_it_is_estimated_as_without_an_expert() -> None:
    wrong = (TABLES[0].permuted(1), TABLES[1].permuted(2))
    X, annotations, X_test, _ = drawn(4)
    stack = fitted(wrong, per_class=4)
    said = {h["relation"]: h["estimated"] for h in stack.history if "estimated" in h}
    assert said == dict.fromkeys(
        ["kind->shape", "kind->hot"], "the labels contradict the expert's table"
    )
    pairs = [("kind", "shape"), ("kind", "hot")]
    without = fit_coupled(X, annotations, estimate=pairs, learners=LEARNERS)
    for name, p in without.predict_proba(X_test).items():
        np.testing.assert_allclose(stack.predict_proba(X_test)[name], p)
    assert not [h for h in fitted(per_class=4).history if "estimated" in h]


def test_unrelated_tasks_are_not_harmed() -> None:
    rng = np.random.default_rng(3)
    X, annotations, X_test, y_test = drawn(8)
    labels = dict(annotations.labels)
    seen = labels["shape"] >= 0
    labels["shape"] = np.where(seen, rng.integers(0, 3, len(seen)), -1)
    apart = Annotations(annotations.tasks, labels)
    pair = [("kind", "shape")]
    stack = fit_coupled(X, apart, estimate=pair, learners=LEARNERS)
    alone = fit_best_single(X, apart, learners=LEARNERS)
    assert accuracy(stack, X_test, y_test) > accuracy(alone, X_test, y_test) - 0.02
    assert not [s for s in stack.strengths if s["to_source"] >= 0.3]


def test_estimated_tables_that_held_out_labels_reject_do_not_couple() -> None:
    X, annotations, _, _ = drawn(20)
    rng = np.random.default_rng(100)
    tosses = rng.integers(0, 2, (len(X), 1))
    labels = {**annotations.labels, "coin": tosses}
    tossed = Annotations(
        (KIND, SHAPE, Binary("coin")), {n: labels[n] for n in ("kind", "shape", "coin")}
    )
    stack = fit_coupled(X, tossed, estimate="all", learners=LEARNERS)
    rejected = {h["relation"]: h["left_out"] for h in stack.history if "relation" in h}
    assert "kind->coin" in rejected
    assert "nats" in rejected["kind->coin"]
    assert "kind->shape" in {s["relation"] for s in stack.strengths}


def test_an_estimated_table_helps() -> None:
    X, annotations, X_test, y_test = drawn(8)
    stack = fit_coupled(X, annotations, estimate="all", learners=LEARNERS)
    alone = fitted_alone(8)
    assert accuracy(stack, X_test, y_test) > accuracy(alone, X_test, y_test)
    assert all(strength["as_given"] == 0 for strength in stack.strengths)


def test_without_relations_every_task_is_alone() -> None:
    X_test = drawn()[2]
    coupled, alone = fitted(()), fitted_alone()
    assert coupled.guard["kind"] == {"alone": 1.0}
    for name, p in alone.predict_proba(X_test).items():
        assert (p == coupled.predict_proba(X_test)[name]).all()


def test_the_same_seed_gives_the_same_figures() -> None:
    X_test = drawn()[2]
    first, second = (fit().predict_proba(X_test) for fit in (fitted, fitted.__wrapped__))
    for name in first:
        assert (first[name] == second[name]).all()
        assert np.isfinite(first[name]).all()


def test_a_stack_is_read_back_bitwise(tmp_path: Path) -> None:
    X_test = drawn()[2]
    X, annotations, _, _ = drawn()
    stack = fit_coupled(
        X, annotations, TABLES, learners=["logistic", ExtraTrees(trees=5), "kernel_logistic"]
    )
    stack.save(tmp_path / "stack")
    back = CoupledStack.load(tmp_path / "stack")
    for name, p in stack.predict_proba(X_test).items():
        assert (p == back.predict_proba(X_test)[name]).all()
    assert back.guard == stack.guard
    assert back.weights == stack.weights
    assert list(back.strengths) == list(stack.strengths)
    assert back.tasks == stack.tasks


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelweaveError, match="cannot be read"):
        CoupledStack.load(tmp_path)
    (tmp_path / "stack.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(LabelweaveError, match="found format 99"):
        CoupledStack.load(tmp_path)


def test_a_row_of_weight_0_teaches_nothing() -> None:
    X, annotations, X_test, _ = drawn(3)
    weight = np.ones(len(X))
    weight[annotations.labels["kind"] == 4] = 0
    stack = fit_coupled(X, annotations, learners=LEARNERS, sample_weight=weight)
    assert stack.predict_proba(X_test)["kind"][:, 4].max() < 0.1
    with pytest.raises(LabelweaveError, match="sample_weight"):
        fit_coupled(X, annotations, learners=LEARNERS, sample_weight=weight[1:])


def test_groups_are_never_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    X, annotations, _, _ = drawn(8)
    groups = np.arange(len(X)) // 3
    group_of = {row.tobytes(): g for row, g in zip(_scaled(X), groups, strict=True)}
    rounds = []
    from labelweave.learners import Learner, TaskModel, fit_task
    from labelweave.learners import _task_stack as module

    def watched(learner: Learner, task: object, rows: np.ndarray, *a: object, **k: object):  # type: ignore[no-untyped-def]
        model = fit_task(learner, task, rows, *a, **k)  # type: ignore[arg-type]
        rounds.append((model, {group_of[row.tobytes()] for row in rows}))
        return model

    predict = TaskModel.predict
    crossed = []

    def checked(self: TaskModel, rows: np.ndarray) -> np.ndarray:
        trained = next((groups for model, groups in rounds if model is self), set())
        crossed.append(len(trained & {group_of[row.tobytes()] for row in rows}))
        return predict(self, rows)

    monkeypatch.setattr(module, "fit_task", watched)
    monkeypatch.setattr(TaskModel, "predict", checked)
    fit_coupled(X, annotations, learners=["logistic"], groups=groups)
    assert len(crossed) > 10
    # out-of-fold predictions come before the fit to all labels, which predicts the other rows
    held_out = [n for n, (_, groups) in zip(crossed, rounds, strict=True) if len(groups) < 80]
    assert held_out
    assert not any(
        n for n, (model, groups) in zip(crossed, rounds, strict=True) if _is_part(groups, rounds)
    )


def _scaled(X: np.ndarray) -> np.ndarray:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def _is_part(groups: set[int], rounds: Sequence[tuple[object, set[int]]]) -> bool:
    """Whether another fit of the same task saw all these groups and more."""
    return any(groups < other for _, other in rounds)


def test_a_multilabel_task_with_holes_is_coupled() -> None:
    rng = np.random.default_rng(5)
    X, annotations, X_test, y_test = drawn(8)
    table = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]])
    y = np.where(annotations.labels["kind"] >= 0, annotations.labels["kind"], 0)
    del y
    truth = _kinds(len(X))
    signs = table[truth].astype(np.int8)
    signs[rng.uniform(size=signs.shape) < 0.4] = -1
    signs[annotations.labels["kind"] >= 0] = -1
    both = Annotations((KIND, SIGNS), {"kind": annotations.labels["kind"], "signs": signs})
    stack = fit_coupled(
        X, both, [Relation(KIND, SIGNS, table.astype(float))], learners=["logistic"]
    )
    alone = fit_best_single(X, both, learners=["logistic"])
    assert accuracy(stack, X_test, y_test) > accuracy(alone, X_test, y_test) - 0.01
    p = stack.predict_proba(X_test)["signs"]
    assert p.shape == (len(X_test), 3)
    wanted = table[y_test]
    assert ((p > 0.5) == wanted).mean() >= (
        (alone.predict_proba(X_test)["signs"] > 0.5) == wanted
    ).mean()


def _kinds(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 6, 420)[:n]


def test_a_noisy_or_is_coupled() -> None:
    rng = np.random.default_rng(6)
    n = 300
    causes = (rng.uniform(size=(n, 2)) < 0.4).astype(np.int8)
    X = causes + rng.normal(0, 0.4, (n, 2))
    fails = causes.any(axis=1).astype(np.int8)
    rare = rng.uniform(size=n) < 0.06
    modes = Multilabel("modes", ("heat", "wear"))
    broken = Binary("broken")
    labels = {
        "modes": np.where(rare[:, None], -1, causes).astype(np.int8),
        "broken": np.where(rare, fails, -1).astype(np.int8)[:, None],
    }
    relation = NoisyOr(modes, broken, np.full((2, 1), 0.99), np.array([0.01]))
    stack = fit_coupled(
        X, Annotations((modes, broken), labels), [relation], learners=["logistic_strong"]
    )
    alone = fit_best_single(X, Annotations((modes, broken), labels), learners=["logistic_strong"])
    test = np.tile([[0.0, 0], [1, 0], [0, 1], [1, 1]], (1, 1))
    truth = np.array([0, 1, 1, 1])

    def fit(found: Mapping[str, np.ndarray]) -> float:
        p = found["broken"][:, 0]
        return float(np.log(np.where(truth == 1, p, 1 - p)).mean())

    assert fit(stack.predict_proba(test)) > fit(alone.predict_proba(test))
    assert stack.strengths[0]["to_target"] > 0.5


@dataclass
class Nearest:
    """A joint learner for the tests: class means of every task, or of kind through shape."""

    name: str = "nearest"

    def fit(
        self, X: np.ndarray, annotations: Annotations, relations: Sequence[AnyRelation], seed: int
    ) -> "Means":
        means = {}
        for task in annotations.tasks:
            codes = annotations.labels[task.name]
            codes = codes if codes.ndim == 1 else codes[:, 0]
            width = task.width if isinstance(task, Multiclass) else 2
            means[task.name] = [
                X[codes == c].mean(axis=0) if (codes == c).any() else np.full(X.shape[1], 9.0)
                for c in range(width)
            ]
        return Means({name: np.array(m).tolist() for name, m in means.items()})

    def reason_against(self, annotations: Annotations) -> str | None:
        return "fewer than 9 rows" if len(annotations) < 9 else None

    def seconds(self, annotations: Annotations, columns: int) -> float:
        return 0.001

    def load(self, folder: Path) -> "Means":
        return Means(json.loads((folder / "means.json").read_text()))


@dataclass
class Means:
    means: dict[str, list[list[float]]]

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        result = {}
        for name, rows in self.means.items():
            gap = ((X[:, None] - np.array(rows)) ** 2).sum(axis=2) / 2
            p = np.exp(-gap + gap.min(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            result[name] = p if name != "hot" else p[:, 1:]
        return result

    def save(self, folder: Path) -> None:
        (folder / "means.json").write_text(json.dumps(self.means))


def test_a_joint_learner_is_a_learner_and_a_candidate(tmp_path: Path) -> None:
    X, annotations, X_test, y_test = drawn(8)
    hidden = []

    class Watched(Nearest):
        def fit(self, X, annotations, relations, seed):  # type: ignore[no-untyped-def]
            hidden.append(int(annotations.labelled("kind").sum()))
            assert {r.name for r in relations} == {"kind->shape", "kind->hot"}
            return super().fit(X, annotations, relations, seed)

    stack = fit_coupled(X, annotations, TABLES, learners=["logistic"], joint_learners=[Watched()])
    # one fit to all labels, three with a third of them hidden
    assert hidden[0] == 48
    assert sum(hidden[1:]) == 2 * 48
    assert "nearest" in stack.weights["kind"]
    assert "nearest" in stack.guard["kind"]
    stack.save(tmp_path / "joint")
    back = CoupledStack.load(tmp_path / "joint", [Nearest()])
    assert (back.predict_proba(X_test)["kind"] == stack.predict_proba(X_test)["kind"]).all()
    with pytest.raises(LabelweaveError, match="'nearest'"):
        CoupledStack.load(tmp_path / "joint")
    assert accuracy(stack, X_test, y_test) > 0.5


def test_what_was_left_out_is_in_the_history() -> None:
    X, annotations, _, _ = drawn()
    stack = fit_coupled(X, annotations, TABLES, learners=["logistic", "boosting"])
    left_out = [(h["task"], h["learner"]) for h in stack.history if "learner" in h]
    assert ("kind", "boosting") in left_out


def test_wrong_inputs() -> None:
    X, annotations, X_test, _ = drawn()
    with pytest.raises(LabelweaveError, match="X: found shape"):
        fit_coupled(X[1:], annotations)
    holes = X.copy()
    holes[3, 2] = np.nan
    with pytest.raises(LabelweaveError, match="row 4, column 3: found nan"):
        fit_coupled(holes, annotations)
    with pytest.raises(LabelweaveError, match="found no label"):
        fit_coupled(X, Annotations((KIND,), {}, len(X)))
    with pytest.raises(LabelweaveError, match="expected"):
        fitted().predict_proba(X_test[:, 1:])
    with pytest.raises(LabelweaveError, match="no task 'kinds'"):
        fit_coupled(X, annotations, estimate=[("kinds", "shape")], learners=LEARNERS)

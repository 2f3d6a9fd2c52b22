"""The joint posterior against enumeration of every combination of labels."""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.coupling import _posterior
from labelweave.coupling._posterior import (
    Link,
    joint_posterior,
    label_message,
    make_link,
    others_odds,
    too_wide,
)
from labelweave.errors import LabelweaveError
from labelweave.relations import NoisyOr, Relation
from labelweave.tasks import Binary, Multiclass, Multilabel, Task

A = Multiclass("a", ("a0", "a1", "a2"))
B = Multiclass("b", ("b0", "b1"))
C = Multiclass("c", ("c0", "c1", "c2", "c3"))
M = Multilabel("m", ("m0", "m1", "m2"))
N = Multilabel("n", ("n0", "n1"))
F = Binary("f")
State = dict[str, int | tuple[int, ...]]


def outcomes(task: Task) -> list[int | tuple[int, ...]]:
    if isinstance(task, Multiclass):
        return list(range(task.width))
    return [tuple(bits) for bits in product((0, 1), repeat=task.width)]


def chance(task: Task, p: np.ndarray, state: int | tuple[int, ...]) -> float:
    if isinstance(state, int):
        return float(p[state])
    return float(np.prod([q if bit else 1 - q for q, bit in zip(p, state, strict=True)]))


def factor(link: Link, source: int | tuple[int, ...], target: int | tuple[int, ...]) -> float:
    row = source if isinstance(source, int) else sum(bit << i for i, bit in enumerate(source))
    value = 1.0
    columns = [(target, 1)] if isinstance(target, int) else list(enumerate(target))
    for column, bit in columns:
        if not link.known[row, column]:
            continue
        t, rate = link.table[row, column], link.target_rate[column]
        value *= (t / rate if bit else (1 - t) / (1 - rate)) ** link.to_source
    return value


def enumerated(
    tasks: Sequence[Task], p: dict[str, np.ndarray], links: Sequence[Link]
) -> dict[str, np.ndarray]:
    result = {task.name: np.zeros_like(p[task.name]) for task in tasks}
    for row in range(len(p[tasks[0].name])):
        total = 0.0
        found = {task.name: np.zeros(task.width) for task in tasks}
        for states in product(*(outcomes(task) for task in tasks)):
            state = {task.name: s for task, s in zip(tasks, states, strict=True)}
            weight = np.prod([chance(t, p[t.name][row], state[t.name]) for t in tasks])
            for link in links:
                weight *= factor(link, state[link.source.name], state[link.target.name])
            total += weight
            for task in tasks:
                s = state[task.name]
                found[task.name] += weight * (
                    np.eye(task.width)[s] if isinstance(s, int) else np.array(s)
                )
        for task in tasks:
            result[task.name][row] = found[task.name] / total
    return result


def relation(source: Task, target: Task, rng: np.random.Generator) -> Relation | NoisyOr:
    if isinstance(source, Multilabel):
        assert isinstance(target, Multilabel)
        shape = (source.width, target.width)
        known = rng.uniform(size=shape) > 0.2
        return NoisyOr(source, target, rng.uniform(size=shape), rng.uniform(size=shape[1]), known)
    shape = (source.width, target.width)
    if isinstance(target, Multiclass):
        known = np.repeat(rng.uniform(size=(shape[0], 1)) > 0.2, shape[1], axis=1)
        return Relation(source, target, rng.dirichlet(np.ones(shape[1]), shape[0]), known)
    return Relation(source, target, rng.uniform(size=shape), rng.uniform(size=shape) > 0.2)


def predictions(task: Task, n: int, rng: np.random.Generator) -> np.ndarray:
    if isinstance(task, Multiclass):
        return rng.dirichlet(np.ones(task.width), n)
    return rng.uniform(0.02, 0.98, (n, task.width))


def rates(tasks: Sequence[Task], rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        t.name: rng.dirichlet(np.full(t.width, 5.0))
        if isinstance(t, Multiclass)
        else rng.uniform(0.2, 0.8, t.width)
        for t in tasks
    }


def symmetric(link: Link, strength: float) -> Link:
    """Return the link with one strength and one base rate, so that there is one joint."""
    return Link(
        link.source, link.target, link.table, link.known, strength, strength, link.target_rate,
        link.target_rate,
    )  # fmt: skip


FORESTS: list[list[tuple[Task, Task]]] = [
    [(A, B)],
    [(A, M)],
    [(A, B), (A, M), (A, C)],  # several targets of one source
    [(A, B), (C, B)],  # several sources of one multiclass target
    [(A, M), (C, M)],  # several sources of one multilabel target
    [(A, B), (B, C), (C, N)],  # a chain
    [(N, F)],  # a noisy-OR
    [(A, N), (N, F), (A, B)],  # a table into the causes of a noisy-OR
    [(N, M), (A, B)],  # a noisy-OR of several effects, and a tree apart
]


@settings(max_examples=60, deadline=None)
@given(which=st.integers(0, len(FORESTS) - 1), seed=st.integers(0, 10_000), half=st.booleans())
def test_the_marginals_are_those_of_the_enumerated_joint(which: int, seed: int, half: bool) -> None:
    rng = np.random.default_rng(seed)
    pairs = FORESTS[which]
    tasks = list({t.name: t for pair in pairs for t in pair}.values())
    rate = rates(tasks, rng)
    links = [symmetric(make_link(relation(s, t, rng), rate), 0.5 if half else 1.0)
             for s, t in pairs]  # fmt: skip
    p = {task.name: predictions(task, 2, rng) for task in tasks}
    found, wanted = joint_posterior(p, links), enumerated(tasks, p, links)
    for task in tasks:
        np.testing.assert_allclose(found[task.name], wanted[task.name], rtol=1e-6, atol=1e-9)
        alone = joint_posterior(p, links, only=task.name)
        assert list(alone) == [task.name]
        np.testing.assert_allclose(alone[task.name], found[task.name], rtol=1e-12)


def test_a_known_label_is_certain_and_informs_the_others() -> None:
    rng = np.random.default_rng(1)
    rate = rates([A, B, M], rng)
    links = [make_link(relation(A, t, rng), rate) for t in (B, M)]
    p = {task.name: predictions(task, 2, rng) for task in (A, B, M)}
    labels = Annotations((A, B, M), {"b": np.array([1, -1]), "m": np.array([[-1, 1, 0]] * 2)})
    found = joint_posterior(p, links, labels)
    sure = {name: q.copy() for name, q in p.items()}
    sure["b"][0], sure["m"][:, 1:] = [0, 1], [1, 0]
    wanted = joint_posterior(sure, links)
    np.testing.assert_allclose(found["a"], wanted["a"])
    assert found["b"][0, 1] > 1 - 1e-9
    assert not np.allclose(found["a"], p["a"])


def test_strength_0_and_tasks_without_a_relation_change_nothing() -> None:
    rng = np.random.default_rng(2)
    rate = rates([A, B, C], rng)
    link = make_link(relation(A, B, rng), rate).with_strengths(0, 0)
    p = {task.name: predictions(task, 3, rng) for task in (A, B, C)}
    found = joint_posterior(p, [link])
    for name in p:
        np.testing.assert_allclose(found[name], p[name])


def test_each_direction_has_its_own_strength() -> None:
    rng = np.random.default_rng(3)
    rate = rates([A, B], rng)
    link = make_link(relation(A, B, rng), rate)
    p = {task.name: predictions(task, 3, rng) for task in (A, B)}
    found = joint_posterior(p, [link.with_strengths(1, 0)])
    np.testing.assert_allclose(found["b"], p["b"])
    np.testing.assert_allclose(found["a"], joint_posterior(p, [link])["a"])


def test_predictions_at_the_base_rate_say_nothing() -> None:
    # the exponent is mutual information: a target that knows only its shares moves no source
    rate = {"a": np.array([0.5, 0.3, 0.2]), "b": np.array([0.7, 0.3])}
    rng = np.random.default_rng(4)
    link = make_link(Relation(A, B, rng.dirichlet([1, 1], 3)), rate)
    p = {"a": predictions(A, 4, rng), "b": np.tile(rate["b"], (4, 1))}
    np.testing.assert_allclose(joint_posterior(p, [link])["a"], p["a"])


def test_a_cycle_and_a_task_too_wide_are_refused() -> None:
    rng = np.random.default_rng(5)
    rate = rates([A, B, C], rng)
    links = [make_link(relation(s, t, rng), rate) for s, t in ((A, B), (B, C), (A, C))]
    p = {task.name: predictions(task, 2, rng) for task in (A, B, C)}
    with pytest.raises(LabelweaveError, match="closes a cycle"):
        joint_posterior(p, links)
    wide = Multilabel("w", tuple(f"w{i}" for i in range(11)))
    assert too_wide([relation(A, wide, rng)]) == []
    pair = [relation(A, wide, rng), relation(B, wide, rng)]
    assert too_wide(pair) == ["w"]


@pytest.mark.parametrize("many", [2, 1000])
def test_some_rows_at_a_time_and_many_labels_are_the_sum_of_all_messages(
    monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    rng = np.random.default_rng(3)
    wide = Multilabel("wide", tuple(f"l{j}" for j in range(37)))
    link = make_link(relation(A, wide, rng), rates([A, wide], rng)).with_strengths(0.7, 0.7)
    p = predictions(wide, 11, rng)
    monkeypatch.setattr(_posterior, "MANY_STATES", many)
    monkeypatch.setattr(_posterior, "FEW_ROWS", 2)
    monkeypatch.setattr(_posterior, "CELLS", 6)  # two rows at a time
    monkeypatch.setattr(_posterior, "TABLE_CELLS", 200)  # two groups at a time
    on, off = (np.exp(0.7 * each) for each in link.log_ratio("a"))
    parts = np.log(p[:, None] * on + (1 - p[:, None]) * off)
    np.testing.assert_allclose(label_message(link, p), parts.sum(axis=2), atol=1e-12)
    total = parts.sum(axis=2)
    up, down = (np.exp(0.7 * each) for each in link.log_ratio("wide"))
    others = np.exp(total[..., None] - parts)  # (n, S, L)
    expected = np.log((others * up).sum(axis=1)) - np.log((others * down).sum(axis=1))
    np.testing.assert_allclose(others_odds(link, p, total), expected, atol=1e-12)


@given(
    labels=st.integers(1, 40),
    classes=st.integers(2, 30),
    rows=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    strengths=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=40, deadline=None)
def test_labels_in_groups_give_what_they_give_one_by_one(
    labels: int, classes: int, rows: int, seed: int, strengths: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    source = Multiclass("s", tuple(f"s{i}" for i in range(classes)))
    target = Multilabel("t", tuple(f"t{j}" for j in range(labels)))
    table = rng.beta(0.1, 0.1, (classes, labels))  # many entries all but 0 or 1
    known = rng.random(table.shape) < 0.9
    shares = rates([source, target], rng)
    link = make_link(Relation(source, target, np.where(known, table, 0.0), known), shares)
    p = {
        "s": rng.dirichlet(np.full(classes, 0.1), rows),  # some all but 0
        "t": rng.choice([0.0, 1e-9, 0.3, 0.8, 1.0], (rows, labels)),
    }
    links = [link.with_strengths(*strengths)]
    one_by_one = joint_posterior(p, links)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_posterior, "MANY_STATES", 2)
        patch.setattr(_posterior, "FEW_ROWS", 1)
        grouped = joint_posterior(p, links)
    for name, expected in one_by_one.items():
        np.testing.assert_allclose(grouped[name], expected, rtol=1e-11, atol=1e-13)


def test_a_hub_of_many_relations_is_what_its_messages_one_by_one_give(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(4)
    others = [Multiclass(f"t{i}", ("a", "b")) for i in range(20)]
    tasks = [A, *others]
    shares = rates(tasks, rng)
    links = [make_link(relation(A, other, rng), shares) for other in others]
    p = {task.name: predictions(task, 5, rng) for task in tasks}
    found = joint_posterior(p, links)
    monkeypatch.setattr(_posterior, "HUB", 100)
    for name, expected in joint_posterior(p, links).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-12)
        only = joint_posterior(p, links, only=name)[name]
        np.testing.assert_allclose(only, expected, atol=1e-12)


def test_a_chain_of_a_thousand_relations_is_no_recursion() -> None:
    rng = np.random.default_rng(5)
    chain = [Multiclass(f"t{i}", ("a", "b")) for i in range(1000)]
    shares = {task.name: np.array([0.5, 0.5]) for task in chain}
    table = np.array([[1.0, 0.0], [0.0, 1.0]])
    links = [make_link(Relation(a, b, table), shares) for a, b in pairwise(chain)]
    p = {task.name: predictions(task, 2, rng) for task in chain}
    last = joint_posterior(p, links[-1:])["t999"]
    found = joint_posterior(p, links)
    assert (found["t999"] != last).all()  # others inform it as well
    for name in ("t0", "t500", "t999"):
        np.testing.assert_array_equal(joint_posterior(p, links, only=name)[name], found[name])

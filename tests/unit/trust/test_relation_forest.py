"""The joint distribution over a forest, against writing out every answer; joint sets on top."""

from itertools import product

import numpy as np
import pytest

from labelweave import Annotations, Binary, LabelweaveError, Multiclass, Multilabel, Relation
from labelweave.coupling._posterior import joint_posterior, make_link
from labelweave.trust import Predictions, evaluate_joint_sets, fit_joint_sets, fit_sets
from labelweave.trust._forest import RelationTree, links_of, relation_trees

KIND = Multiclass("kind", tuple("abcdef"))
SHAPE = Multiclass("shape", ("round", "long", "flat"))
EDGE = Multiclass("edge", ("smooth", "rough"))
HOT = Binary("hot")
SIGNS = Multilabel("signs", ("x", "y", "z"))
OF_SHAPE = np.eye(3)[[0, 1, 2, 0, 1, 2]]
RATES = {
    "kind": np.full(6, 1 / 6), "shape": np.full(3, 1 / 3), "edge": np.full(2, 0.5),
    "hot": np.array([0.4]), "signs": np.array([0.3, 0.5, 0.6]),
}  # fmt: skip


def table(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return rng.dirichlet(np.ones(columns), rows)


def example(rng: np.random.Generator, n: int = 5) -> tuple[RelationTree, dict[str, np.ndarray]]:
    """Return a chain, edge <- shape <- kind -> hot, signs, and probabilities of n rows."""
    relations = [
        Relation(KIND, SHAPE, OF_SHAPE), Relation(SHAPE, EDGE, table(rng, 3, 2)),
        Relation(KIND, HOT, rng.random((6, 1))), Relation(KIND, SIGNS, rng.random((6, 3))),
    ]  # fmt: skip
    (tree,) = relation_trees(links_of(relations, RATES))
    p = {t.name: table(rng, n, t.width) for t in (KIND, SHAPE, EDGE)}
    p |= {"hot": rng.random((n, 1)), "signs": rng.random((n, 3))}
    return tree, p


def written_out(tree: RelationTree, p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return all answers (A, V), and their joint probabilities (n, A), by multiplying out."""
    answers = np.array(list(product(*(range(v.size) for v in tree.variables))))
    total = np.ones((len(p["kind"]), len(answers)))
    for v, variable in enumerate(tree.variables):
        total *= np.exp(variable.log_p(p))[:, answers[:, v]]
    for edge in tree.edges:
        total *= np.exp(edge.log_table)[answers[:, edge.parent], answers[:, edge.child]]
    return answers, total / total.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(5))
def test_best_total_and_probability_are_those_of_writing_out_every_answer(seed: int):
    tree, p = example(np.random.default_rng(seed))
    answers, expected = written_out(tree, p)
    best = tree.best(p)
    np.testing.assert_array_equal(best, answers[expected.argmax(axis=1)])
    np.testing.assert_allclose(
        tree.log_probability(p, best), np.log(expected.max(axis=1)), atol=1e-9
    )


@pytest.mark.parametrize("floor", [0.2, 0.01, 1e-4])
def test_the_search_finds_every_answer_above_the_floor_and_no_other(floor: float):
    tree, p = example(np.random.default_rng(7))
    answers, expected = written_out(tree, p)
    found = tree.above(p, np.full(5, np.log(floor)))
    for i, (states, log_p, whole) in enumerate(found):
        wanted = {tuple(a) for a in answers[expected[i] >= floor]}
        assert {tuple(s) for s in states} == wanted
        assert whole
        assert len(states) == len(wanted)
        np.testing.assert_allclose(
            np.sort(np.exp(log_p)), np.sort(expected[i][expected[i] >= floor])
        )


def test_the_marginals_are_those_of_the_coupling_where_strengths_agree():
    rng = np.random.default_rng(3)
    soft = [Relation(KIND, SHAPE, table(rng, 6, 3)), Relation(SHAPE, EDGE, table(rng, 3, 2))]
    links = [make_link(r, RATES) for r in soft]
    # one base rate in both directions, as of one joint distribution
    links = [link.__class__(**{**vars(link), "spoken_rate": link.target_rate}) for link in links]
    (tree,) = relation_trees(links)
    p = {t.name: table(rng, 4, t.width) for t in (KIND, SHAPE, EDGE)}
    answers, joint = written_out(tree, p)
    marginals = joint_posterior(p, links)
    for v, variable in enumerate(tree.variables):
        found = np.stack(
            [joint[:, answers[:, v] == s].sum(axis=1) for s in range(variable.size)], axis=1
        )
        np.testing.assert_allclose(found, marginals[variable.name], atol=1e-6)


def test_an_answer_that_an_exact_table_excludes_is_never_given():
    tree, p = example(np.random.default_rng(1), n=50)
    kind, shape = (next(i for i, v in enumerate(tree.variables) if v.name == n)
                   for n in ("kind", "shape"))  # fmt: skip
    for states, _, _ in tree.above(p, np.full(50, -1e5)):
        np.testing.assert_array_equal(OF_SHAPE[states[:, kind]].argmax(axis=1), states[:, shape])


def test_tables_that_exclude_every_answer_together_are_refused():
    other = Multiclass("other", ("u", "v"))
    always = [Relation(KIND, EDGE, np.eye(2)[np.zeros(6, int)]),
              Relation(other, EDGE, np.eye(2)[np.ones(2, int)])]  # fmt: skip
    rates = {**RATES, "other": np.full(2, 0.5)}
    with pytest.raises(LabelweaveError, match="exclude every answer together"):
        relation_trees(links_of(always, rates))


def drawn(n: int, seed: int, sharp: float = 1.2) -> Predictions:
    """Return rows of related tasks with a separate noisy model each."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 6, n)
    shape = OF_SHAPE[kind].argmax(axis=1)
    labels = {"kind": kind, "shape": shape, "hot": (kind < 3).astype(int)[:, None]}
    p = {}
    for task in (KIND, SHAPE):
        scores = rng.normal(size=(n, task.width))
        scores[np.arange(n), labels[task.name]] += sharp
        p[task.name] = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    noise = rng.normal(size=(n, 1))
    p["hot"] = 1 / (1 + np.exp(-(noise + sharp * (2 * labels["hot"] - 1))))
    return Predictions(Annotations((KIND, SHAPE, HOT), labels), p)


RELATIONS = [
    Relation(KIND, SHAPE, OF_SHAPE),
    Relation(KIND, HOT, np.array([[1.0], [1], [1], [0], [0], [0]])),
]


def test_joint_sets_cover_and_are_a_fifth_smaller_than_separate_ones_of_the_same_coverage():
    covered, smaller = [], []
    for seed in range(15):
        rows, new = drawn(400, seed), drawn(400, 1000 + seed)
        (rule,) = fit_joint_sets(rows, RELATIONS)
        assert rule.way == "joint"
        figures = evaluate_joint_sets(new, rule.predict(new.probabilities))
        covered.append(figures.coverage)
        apart = fit_sets(rows, 1 - 0.1 / 3).predict(new.probabilities)
        size = apart["kind"].sum(1) * apart["shape"].sum(1) * apart["hot"][:, 0].sum(1)
        smaller.append(figures.size / size.mean())
    assert 0.88 <= np.mean(covered) <= 0.92
    assert np.mean(smaller) < 0.8


def test_without_rows_that_carry_all_labels_each_task_has_its_threshold_and_tables_cut():
    rows, new = drawn(900, 1), drawn(600, 2)
    labels = {name: np.array(codes) for name, codes in rows.annotations.labels.items()}
    for place, name in enumerate(("kind", "shape", "hot")):
        labels[name][np.arange(900) % 3 != place] = -1
    scattered = Predictions(Annotations((KIND, SHAPE, HOT), labels), rows.probabilities)
    (rule,) = fit_joint_sets(scattered, RELATIONS)
    assert rule.way == "separate"
    sets = rule.predict(new.probabilities)
    figures = evaluate_joint_sets(new, sets)
    assert figures.coverage >= 0.88
    product_size = fit_sets(scattered, 1 - 0.1 / 3).predict(new.probabilities)
    count = product_size["kind"].sum(1) * product_size["shape"].sum(1)
    assert figures.size < 0.8 * (count * product_size["hot"][:, 0].sum(1)).mean()


def test_wrong_tables_make_sets_larger_and_not_wrong():
    wrong = [RELATIONS[0].permuted(1), RELATIONS[1]]
    (rule,) = fit_joint_sets(drawn(600, 1), wrong)
    new = drawn(600, 2)
    figures = evaluate_joint_sets(new, rule.predict(new.probabilities))
    assert figures.coverage is not None
    assert 0.87 <= figures.coverage <= 0.93
    assert rule.notes == [
        "'kind->shape', 'kind->hot': labels contradict the tables; no answer is excluded by them"
    ]


def test_sets_as_a_table_and_per_task():
    rows = drawn(300, 1)
    (rule,) = fit_joint_sets(rows, RELATIONS)
    sets = rule.predict(rows[:20].probabilities)
    shown = sets.table()
    assert list(shown.columns) == ["row", "kind", "shape", "hot", "probability"]
    assert shown.groupby("row").size().tolist() == sets.sizes.tolist()
    per_task = sets.per_task()
    for row, part in shown.groupby("row"):
        assert set(np.array(KIND.names)[per_task["kind"][row]]) == set(part["kind"])
        assert per_task["hot"][row, 0].tolist() == [0 in set(part["hot"]), 1 in set(part["hot"])]


def test_too_few_labels_give_every_allowed_answer():
    (rule,) = fit_joint_sets(drawn(4, 0), RELATIONS)
    assert [note.partition(":")[0] for note in rule.notes] == [
        "kind, all", "shape, all", "hot, all",
    ]  # fmt: skip
    new = drawn(10, 1)
    assert rule.predict(new.probabilities).sizes.tolist() == [6] * 10


def test_bad_relations_are_refused():
    with pytest.raises(LabelweaveError, match=r"^relations: found none"):
        fit_joint_sets(drawn(20, 0), [])
    with pytest.raises(LabelweaveError, match=r"^relation shape->edge: found no probabilities of"):
        fit_joint_sets(drawn(20, 0), [Relation(SHAPE, EDGE, np.full((3, 2), 0.5))])

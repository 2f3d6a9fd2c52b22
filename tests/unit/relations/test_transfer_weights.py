import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.losses import CoAnnotation, DistributionMatching, Objective
from labelweave.losses._layout import Columns
from labelweave.losses._registry import made_couplings
from labelweave.relations import HeldOut, NoisyOr, Relation, estimate_transfer_weights, relate
from labelweave.relations._transfer_weights import (
    PRIOR_ROWS,
    label_counts,
    posterior_weight,
    prior_transfer_weights,
)
from labelweave.tasks import Binary, Multiclass, Multilabel

KIND = Multiclass("kind", ("a", "b", "c", "d"))
COLOUR = Multiclass("colour", ("red", "green"))
MARKS = Multilabel("marks", ("spots", "stripes"))
TASKS = (KIND, COLOUR, MARKS)
COLOURS = np.array([0, 0, 1, 1])
MARKED = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
RELATIONS = [Relation(KIND, COLOUR, np.eye(2)[COLOURS]), Relation(KIND, MARKS, MARKED * 0.9 + 0.05)]


def soft(rng, truth, sharpness):
    scores = np.exp(sharpness * truth + rng.normal(size=truth.shape))
    return scores / scores.sum(axis=1, keepdims=True)


def held_out(kind=4.0, colour=4.0, marks=4.0, n=800, seed=0):
    """Rows with labels of every task, and heads of a given sharpness."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, n)
    labels = {"kind": codes, "colour": COLOURS[codes], "marks": MARKED[codes]}
    noise = rng.normal(size=(n, 2))
    predictions = {
        "kind": soft(rng, np.eye(4)[codes], kind),
        "colour": soft(rng, np.eye(2)[COLOURS[codes]], colour),
        "marks": 1 / (1 + np.exp(-marks * (MARKED[codes] - 0.5) - noise)),
    }
    return HeldOut(Annotations(TASKS, labels), predictions)


def test_a_weak_head_has_much_to_learn_and_a_strong_one_little() -> None:
    weak = estimate_transfer_weights(held_out(marks=0.3, colour=0.3), RELATIONS)
    strong = estimate_transfer_weights(held_out(kind=0.5, marks=8.0, colour=6.0), RELATIONS)
    assert weak["marks"].min() > 0.8
    assert weak["colour"].min() > 0.8
    assert weak["kind"].max() < 0.3
    assert strong["marks"].max() < 0.2
    assert strong["colour"].max() < 0.2
    assert strong["kind"].min() > 0.8


def test_needs_are_shares_one_a_class_task_and_one_a_label() -> None:
    weights = estimate_transfer_weights(held_out(), RELATIONS)
    assert {name: weight.shape for name, weight in weights.items()} == {
        "kind": (4,), "colour": (2,), "marks": (2,),
    }  # fmt: skip
    assert len(set(weights["kind"])) == 1
    assert all(((weight >= 0) & (weight <= 1)).all() for weight in weights.values())


def test_what_says_nothing_is_not_needed() -> None:
    rows = held_out(kind=0.0)
    weights = estimate_transfer_weights(rows, RELATIONS[1:])
    assert weights["marks"].max() < 0.1
    assert "colour" not in weights
    one_sided = Relation(KIND, MARKS, MARKED, known=np.array([[True, False]] * 4))
    assert estimate_transfer_weights(held_out(marks=0.3), [one_sided])["marks"][1] == 0


def lost(rows, seed):
    """The rows with predictions of colour that belong to other rows: the relations are noise."""
    order = np.random.default_rng(seed).permutation(len(rows.annotations))
    other = {**rows.predictions, "colour": rows.predictions["colour"][order]}
    return HeldOut(rows.annotations, other)


def prior(annotations, name):
    task = annotations.task(name)
    return prior_transfer_weights([task], label_counts(annotations))[name]


@pytest.mark.parametrize("kind", [0.0, 1.5, 8.0])
def test_six_rows_hardly_move_a_weight_and_hundreds_decide(kind) -> None:
    found = {}
    for n in (6, 800):
        moved = []
        for seed in range(8):
            rows = lost(held_out(kind=kind, n=n, seed=seed), seed)
            training = held_out(n=40, seed=100 + seed).annotations
            weight = estimate_transfer_weights(rows, RELATIONS[:1], training)["kind"][0]
            moved.append(prior(training, "kind")[0] - weight)
        found[n] = np.array(moved)
    assert np.abs(found[6]).max() < 0.2
    if kind:  # the head knows its task, the relations nothing
        assert found[800].min() > 0.5


def test_one_label_a_class_leaves_the_prior() -> None:
    # no held-out head has seen the class of a row, so no row can say which of both is better
    rows = held_out(kind=0.0, n=400)
    first = [int(np.flatnonzero(rows.annotations.labels["kind"] == c)[0]) for c in range(4)]
    codes = np.full(400, -1)
    codes[first] = range(4)
    alone = Annotations(TASKS, {**rows.annotations.labels, "kind": codes})
    found = estimate_transfer_weights(HeldOut(alone, rows.predictions), RELATIONS)["kind"]
    assert found == pytest.approx(np.full(4, 0.95))
    assert found == pytest.approx(np.clip(prior(alone, "kind"), 0.05, 0.95))


@settings(max_examples=60, deadline=None)
@given(
    ratios=st.lists(st.floats(-6, 6), min_size=1, max_size=30),
    mean=st.floats(0.05, 0.95),
    more=st.floats(0, 4),
    place=st.integers(0, 29),
)
def test_the_posterior_mean_is_bounded_and_rises_with_the_evidence(
    ratios, mean, more, place
) -> None:
    n = len(ratios)
    p, q = np.full(n, 1e-3), 1e-3 * np.exp(ratios)
    weight = posterior_weight(p, q, mean)
    slack = 1e-2  # of the integral
    assert PRIOR_ROWS * mean / (PRIOR_ROWS + n) - slack < weight
    assert weight < (PRIOR_ROWS * mean + n) / (PRIOR_ROWS + n) + slack
    q[place % n] *= np.exp(more)
    assert posterior_weight(p, q, mean) >= weight - 1e-9
    assert posterior_weight(p, q, min(0.95, mean + 0.1)) >= weight - 1e-9


def test_without_evidence_the_weight_is_the_prior_and_with_all_of_it_the_beta_mean() -> None:
    same = np.full(50, 0.3)
    assert posterior_weight(same, same, 0.4) == pytest.approx(0.4, abs=1e-3)
    nothing, one = np.full(50, 1e-12), np.ones(50)
    conjugate = (PRIOR_ROWS * 0.4 + 50) / (PRIOR_ROWS + 50)
    assert posterior_weight(nothing, one, 0.4) == pytest.approx(conjugate, abs=1e-3)
    assert posterior_weight(one, nothing, 0.4) == pytest.approx(4 / 60, abs=1e-3)


def test_labels_with_few_rows_lean_on_their_prior() -> None:
    rng = np.random.default_rng(0)
    wide = Multilabel("wide", tuple(f"m{j}" for j in range(20)))
    marked = np.stack([rng.permutation([0, 0, 1, 1]) for _ in range(20)], axis=1)
    table = Relation(KIND, wide, marked * 0.8 + 0.1)

    def weights(n):
        codes = rng.integers(0, 4, n)
        on = rng.random((n, 20)) < table.table[codes]
        # head and class are about equally informative on every label
        scores = 1.5 * (on - 0.5) + rng.normal(size=on.shape)
        said = {"kind": soft(rng, np.eye(4)[codes], 3.0), "wide": 1 / (1 + np.exp(-scores))}
        rows = HeldOut(Annotations((KIND, wide), {"kind": codes, "wide": on.astype(int)}), said)
        return estimate_transfer_weights(rows, [table])["wide"]

    many, few = weights(20_000), weights(40)
    assert many.std() < 0.1
    assert abs(few.mean() - many.mean()) < 0.15
    assert few.std() < 0.15
    assert few.min() > 0.3


def test_tasks_without_labels_on_these_rows_are_left_out() -> None:
    rows = held_out()
    labels = {**rows.annotations.labels, "colour": np.full(800, -1)}
    weights = estimate_transfer_weights(
        HeldOut(Annotations(TASKS, labels), rows.predictions), RELATIONS
    )
    assert set(weights) == {"kind", "marks"}


def test_the_effect_of_a_noisy_or_learns_from_it_and_its_causes_do_not() -> None:
    rng = np.random.default_rng(0)
    causes = rng.random((500, 2)) < 0.4
    fails = Binary("fails")
    labels = {"marks": causes.astype(int), "fails": causes.any(axis=1, keepdims=True).astype(int)}
    said = {"marks": np.where(causes, 0.9, 0.1), "fails": rng.uniform(0.4, 0.6, (500, 1))}
    rows = HeldOut(Annotations((MARKS, fails), labels), said)
    weights = estimate_transfer_weights(rows, [NoisyOr(MARKS, fails, [[0.9], [0.9]], [0.05])])
    assert weights["fails"][0] > 0.8
    assert "marks" not in weights


def test_relate_measures_needs_where_rows_were_held_out() -> None:
    rows = held_out(marks=0.3)
    assert relate(rows.annotations, rows.predictions).transfer_weights == {}
    found = relate(rows.annotations, rows.predictions, held_out=rows)
    assert found.transfer_weights["marks"].min() > 0.5
    assert set(found.summary().transfer_weights) <= {"kind", "colour", "marks"}


@pytest.mark.parametrize("name", ["distribution_matching", "co_annotation"])
def test_measured_weights_come_before_counts_and_a_given_fade_before_both(
    name,
) -> None:
    annotations = held_out().annotations
    counts = label_counts(annotations)
    measured = {"kind": np.full(4, 0.7)}
    make = {"distribution_matching": DistributionMatching, "co_annotation": CoAnnotation}[name]

    def source_weight(options):
        (loss,), _ = made_couplings(
            name, options, TASKS, Columns(TASKS), RELATIONS, counts=counts, measured=measured
        )
        assert isinstance(loss, make)
        back = loss.back if name == "distribution_matching" else loss.parts[-1].factors
        return None if back is None else float(back[0])

    assert source_weight({}) == pytest.approx(0.7)
    few = np.mean(5 / (5 + counts["kind"]))
    assert source_weight({"fade": 5}) == pytest.approx(few)
    assert source_weight({"fade": None}) in (None, 1.0)


def test_ours_has_a_small_weight_and_the_published_forms_have_one() -> None:
    def weight(**options):
        objective = Objective(TASKS, RELATIONS, {"distribution_matching": options})
        return float(objective.factors[-1])

    assert weight() == pytest.approx(0.3)
    assert weight(form="paper") == 1
    assert weight(weight=2) == 2

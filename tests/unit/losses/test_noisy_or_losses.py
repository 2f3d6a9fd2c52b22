"""The losses by noisy-ORs against literal loops over samples, labels and all values of causes."""

from itertools import product
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_reference import (
    BINARY,
    LABELS,
    OTHER,
    SOURCE,
    TASKS,
    divergence,
    random_labels,
    random_logits,
    random_relation,
    tensors,
    to_samples,
    values,
)

from labelweave.errors import LabelweaveError
from labelweave.losses import DistributionMatching, NoisyOrCoAnnotation, NoisyOrMatching, Objective
from labelweave.losses._distribution_matching import FORMS
from labelweave.losses._noisy_or import NoisyOrLabels, NoisyOrLikelihood
from labelweave.relations import NoisyOr, Relation
from labelweave.tasks import Multilabel

MODES = Multilabel("modes", ("w", "x"))
ALL = (*TASKS, MODES)
SMOOTHING = 0.05
seeds = st.integers(0, 2**32 - 1)


def problem(seed, known=0.7, n=4):
    rng = np.random.default_rng(seed)
    relations = []
    for source, target in ((LABELS, BINARY), (LABELS, MODES), (BINARY, LABELS)):
        shape = (source.width, target.width)
        relations.append(
            NoisyOr(source, target, rng.random(shape), rng.random(shape[1]),
                    rng.random(shape) < known, 0.5 + rng.random())
        )  # fmt: skip
    logits = random_logits(rng, n) | {"modes": 1.5 * rng.standard_normal((n, 2))}
    labels = random_labels(rng, n) | {"modes": rng.integers(-1, 2, (n, 2))}
    samples = to_samples(logits)
    for sample, scores in zip(samples, logits["modes"], strict=True):
        sample["modes"] = (1 / (1 + np.exp(-scores))).tolist()
    return relations, logits, labels, samples


def q_and_mass(relation, causes, j):
    """q of one target label by the sum over all values of its causes, and the weight it has."""
    on = mass = 0.0
    for chosen in product((0, 1), repeat=len(causes)):
        p = np.prod([c if v else 1 - c for c, v in zip(causes, chosen, strict=True)])
        active = [i for i, v in enumerate(chosen) if v]
        if all(relation.mask[i, j] for i in active):
            mass += p
        off = 1 - relation.leak[j]
        for i in active:
            off *= 1 - relation.weights[i, j]
        on += p * (1 - off)
    return (1 - SMOOTHING) * on + SMOOTHING / 2, mass


def expected_matching(relation, form, samples):
    spoken, total = np.flatnonzero(relation.spoken), 0.0
    for sample in samples:
        for j in spoken:
            p = sample[relation.target.name][j]
            q, mass = q_and_mass(relation, sample[relation.source.name], j)
            loss = divergence(form, p, q, p, q)
            if form != "paper":
                loss += divergence(form, 1 - p, 1 - q, 1 - p, 1 - q)
            total += mass * loss / len(spoken)
    return relation.strength * total / len(samples)


def expected_co_annotation(relation, direction, samples, labels):
    total = count = 0.0
    s, t = relation.source.name, relation.target.name
    for i, sample in enumerate(samples):
        given_labels = labels[s][i]
        causes = [float(y) if y >= 0 else p for y, p in zip(given_labels, sample[s], strict=True)]
        for j in np.flatnonzero(relation.spoken):
            y, p = labels[t][i][j], sample[t][j]
            q, mass = q_and_mass(relation, causes, j)
            informed = ((given_labels >= 0) & relation.mask[:, j]).any()
            open_ = ((given_labels < 0) & (relation.weights[:, j] > 0)).any()
            if direction == "forward" and y < 0 and informed:
                total -= mass * (q * log(p) + (1 - q) * log(1 - p))
                count += mass
            if direction == "backward" and y >= 0 and open_:
                total -= mass * log(q if y == 1 else 1 - q)
                count += mass
    return relation.strength * total / count if count > 1e-6 else 0.0


@pytest.mark.parametrize("form", FORMS)
@given(seeds)
@settings(max_examples=10)
def test_matching_is_the_literal_formula(form, seed):
    relations, logits, _, samples = problem(seed)
    found = NoisyOrMatching(relations, form, SMOOTHING).double()(tensors(logits))
    expected = [expected_matching(relation, form, samples) for relation in relations]
    assert values(found) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(seeds)
@settings(max_examples=15)
def test_co_annotation_is_the_literal_formula(seed):
    relations, logits, labels, samples = problem(seed)
    loss = NoisyOrCoAnnotation(relations, smoothing=SMOOTHING).double()
    found = values(loss(tensors(logits), tensors(labels)))
    expected = [
        expected_co_annotation(relation, direction, samples, labels)
        for direction in ("forward", "backward")
        for relation in relations
    ]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("loss", [NoisyOrLabels, NoisyOrLikelihood, "js"])
def test_gradients_are_those_of_finite_differences(loss):
    relations, logits, labels, _ = problem(5, known=2)
    made = NoisyOrMatching(relations, loss) if loss == "js" else loss(relations)
    made, names = made.double(), ("modes",) if loss is NoisyOrLabels else ("binary", "labels")
    codes = tensors(labels)
    if loss is NoisyOrLabels:
        codes["labels"] = codes["labels"].clamp(min=0)  # nothing behind a stop-gradient

    def total(*scores):
        return made(tensors(logits) | dict(zip(names, scores, strict=True)), codes).sums.sum()

    assert torch.autograd.gradcheck(total, [tensors(logits, grad=True)[name] for name in names])


def test_a_table_of_one_cause_is_the_same_relation():
    """With a leak and one cause, q is that of a table of two classes: (leak, leak + w - leak w)."""
    rng = np.random.default_rng(0)
    noisy = NoisyOr(BINARY, MODES, [[0.7, 0.2]], [0.1, 0.3])
    table = Relation(OTHER, MODES, [[0.1, 0.3], [1 - 0.9 * 0.3, 1 - 0.7 * 0.8]])
    logits = {"binary": rng.standard_normal((6, 1)), "modes": rng.standard_normal((6, 2))}
    logits["other"] = np.concatenate([np.zeros((6, 1)), logits["binary"]], axis=1)
    for form in ("symmetric", "js"):
        first = NoisyOrMatching([noisy], form, SMOOTHING).double()(tensors(logits))
        second = DistributionMatching([table], form, SMOOTHING).double()(tensors(logits))
        assert values(first) == pytest.approx(values(second), rel=1e-6)


def test_elements_that_teach_or_learn_nothing_have_no_gradient():
    relations, logits, labels, _ = problem(3, known=2)
    leaves = tensors(logits, grad=True)
    NoisyOrLikelihood(relations).double()(leaves, tensors(labels)).sums.sum().backward()
    assert leaves["modes"].grad is None or not leaves["modes"].grad.any()
    known = torch.tensor(labels["labels"]) >= 0
    assert not leaves["labels"].grad[known].any()
    assert leaves["labels"].grad[~known].any()
    leaves = tensors(logits, grad=True)
    NoisyOrLabels(relations[:2]).double()(leaves, tensors(labels)).sums.sum().backward()
    assert leaves["labels"].grad is None or not leaves["labels"].grad.any()
    known = torch.tensor(labels["modes"]) >= 0
    assert not leaves["modes"].grad[known].any()
    # nothing is labelled: co-annotation has nothing to say
    blank = {name: torch.full_like(codes, -1) for name, codes in tensors(labels).items()}
    found = NoisyOrCoAnnotation(relations).double()(tensors(logits), blank)
    assert not found.sums.any()
    assert not found.counts.any()


def test_labelled_effects_find_their_cause():
    """Rows with the effect on and one cause ruled out must learn the other cause."""
    relation = NoisyOr(MODES, BINARY, [[0.9], [0.9]], [0.05])
    labels = {"modes": torch.tensor([[0, -1], [-1, -1]]), "binary": torch.tensor([[1], [0]])}
    scores = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    loss = NoisyOrLikelihood([relation]).double()
    optimizer = torch.optim.Adam([scores], lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        loss({"modes": scores, "binary": torch.zeros(2, 1).double()}, labels).sums.sum().backward()
        optimizer.step()
    p = torch.sigmoid(scores.detach())
    assert p[0, 1] > 0.95
    assert p[1].max() < 0.05


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
def test_certain_causes_and_extreme_scores_stay_finite(smoothing):
    relation = NoisyOr(LABELS, BINARY, np.ones((3, 1)), [0.0])
    logits = {
        "labels": torch.tensor([[60.0, 60, 60], [-60, -60, -60], [60, -60, 0]], requires_grad=True),
        "binary": torch.tensor([[-60.0], [60], [0]], requires_grad=True),
    }
    labels = {"labels": torch.full((3, 3), -1), "binary": torch.tensor([[0], [1], [-1]])}
    objective = Objective([LABELS, BINARY], [relation],
                          {"distribution_matching": {"smoothing": smoothing},
                           "co_annotation": {"smoothing": smoothing}})  # fmt: skip
    loss = objective(logits, labels)
    loss.total.backward()
    assert torch.isfinite(loss.raw).all()
    assert all(torch.isfinite(leaf.grad).all() for leaf in logits.values())


def test_the_objective_takes_both_kinds_in_one_list():
    rng = np.random.default_rng(1)
    table, noisy = (
        random_relation(rng, SOURCE, LABELS),
        NoisyOr(LABELS, BINARY, 0.5 * np.ones((3, 1)), [0.1]),
    )
    couplings = {"distribution_matching": {"weight": 0.5}, "co_annotation": {"temperature": 2.0}}
    both = Objective(TASKS, [noisy, table], couplings, ramp=0).double()
    names = both(tensors(random_logits(rng)), tensors(random_labels(rng))).names[len(TASKS) :]
    assert names == (
        "distribution_matching/source->labels", "distribution_matching/labels->binary",
        "soft_labels/source->labels", "marginal/source",
        "soft_labels/labels->binary", "marginal/labels->binary",
    )  # fmt: skip
    assert both.factors[len(TASKS) :].tolist() == pytest.approx([0.5, 0.5, 0.3, 0.3, 0.3, 0.3])
    # the hard and the paper's forms have none for a noisy-OR: nothing is coupled then
    hard = Objective(
        TASKS, [noisy], {"co_annotation": {"forward": "hard", "backward": "paper"}}
    ).double()
    assert hard(tensors(random_logits(rng)), tensors(random_labels(rng))).names == tuple(
        f"supervised/{task.name}" for task in TASKS
    )


def test_bad_input_gives_one_line():
    relation = NoisyOr(LABELS, BINARY, 0.5 * np.ones((3, 1)), [0.1])
    for couplings, message in [
        ({"distribution_matching": {"form": "jss"}},
         "coupling 'distribution_matching': unknown form 'jss', expected 'symmetric', 'js', "
         "'source_to_target', 'target_to_source', 'paper'; did you mean 'js'?"),
        ({"co_annotation": {"forward": "softlabels"}},
         "coupling 'co_annotation': unknown forward form 'softlabels', expected 'soft_labels', "
         "'hard'; did you mean 'soft_labels'?"),
        ({"co_annotation": {"smoothing": 1}},
         "coupling 'co_annotation': option 'smoothing' should be less than 1, found 1"),
    ]:  # fmt: skip
        with pytest.raises(LabelweaveError) as caught:
            Objective(TASKS, [relation], couplings)
        assert str(caught.value) == message

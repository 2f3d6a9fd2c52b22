import losses_reference as slow
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_reference import (
    BINARY,
    CLASSES,
    LABELS,
    SOURCE,
    TASKS,
    random_labels,
    random_logits,
    random_relation,
    random_relations,
    tensors,
    to_samples,
    values,
)

from labelweave.errors import LabelweaveError
from labelweave.losses import CoAnnotation, DistributionMatching, Supervised
from labelweave.losses._co_annotation import MarginalLikelihood, SoftLabels
from labelweave.losses._distribution_matching import FORMS
from labelweave.relations import Relation

SMOOTHING = 0.05
seeds = st.integers(0, 2**32 - 1)
forms = pytest.mark.parametrize("form", FORMS)


def finite_differences(function, logits, step=1e-5):
    """Central differences of a scalar function of all logits."""
    gradient = {name: np.zeros_like(scores) for name, scores in logits.items()}
    for name, scores in logits.items():
        for index in np.ndindex(scores.shape):
            sides = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in logits.items()}
                moved[name][index] += sign * step
                sides.append(function(moved))
            gradient[name][index] = (sides[0] - sides[1]) / (2 * step)
    return gradient


def check(loss, logits, labels, expected, differentiable=None):
    """Compare a loss's terms with `expected`, and its gradient with differences of a function."""
    leaves = tensors(logits, grad=True)
    terms = loss(leaves, tensors(labels))
    assert values(terms) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert len(terms.names) == len(set(terms.names)) == len(expected)
    (terms.sums / terms.counts.clamp(min=1e-9)).sum().backward()
    for name, expected_gradient in finite_differences(differentiable, logits).items():
        found = np.zeros_like(logits[name]) if leaves[name].grad is None else leaves[name].grad
        assert np.allclose(found, expected_gradient, atol=1e-6), name


@forms
@given(seed=seeds, known=st.sampled_from([0.5, 1.0]))
@settings(max_examples=8)
def test_distribution_matching_against_its_formula(form, seed, known):
    rng = np.random.default_rng(seed)
    relations = sorted(random_relations(rng, known), key=lambda r: r.source.name != "source")
    logits, labels = random_logits(rng), random_labels(rng)
    base = to_samples(logits)

    def term(relation, samples):
        return slow.distribution_matching(relation, form, SMOOTHING, samples, base)

    loss = DistributionMatching(relations, form, SMOOTHING).double()
    assert loss.names == tuple(f"distribution_matching/{r.name}" for r in relations)
    check(
        loss,
        logits,
        labels,
        [term(r, base) for r in relations],
        lambda moved: sum(term(r, to_samples(moved)) for r in relations),
    )


@given(seeds)
@settings(max_examples=15)
def test_soft_labels_against_their_formula(seed):
    rng = np.random.default_rng(seed)
    relations = sorted(random_relations(rng), key=lambda r: r.source.name != "source")
    logits, labels = random_logits(rng), random_labels(rng)

    def terms(samples):
        return [slow.soft_labels(r, SMOOTHING, samples, labels) for r in relations]

    loss = SoftLabels(relations, SMOOTHING).double()
    assert loss.names == tuple(f"soft_labels/{r.name}" for r in relations)
    check(loss, logits, labels, terms(to_samples(logits)), lambda x: sum(terms(to_samples(x))))


@given(seeds)
@settings(max_examples=15)
def test_marginal_likelihood_against_the_sum_over_classes(seed):
    rng = np.random.default_rng(seed)
    relations = random_relations(rng)
    logits, labels = random_logits(rng), random_labels(rng)
    sources = list(dict.fromkeys(r.source.name for r in relations))

    def terms(samples):
        return [
            slow.marginal_likelihood(
                [r for r in relations if r.source.name == source], SMOOTHING, samples, labels
            )
            for source in sources
        ]

    loss = MarginalLikelihood(relations, SMOOTHING).double()
    assert loss.names == tuple(f"marginal/{source}" for source in sources)
    check(loss, logits, labels, terms(to_samples(logits)), lambda x: sum(terms(to_samples(x))))


@given(seeds)
@settings(max_examples=15)
def test_supervised_losses_against_their_formula(seed):
    rng = np.random.default_rng(seed)
    logits, labels = random_logits(rng), random_labels(rng)

    def terms(samples):
        return [slow.supervised(task, samples, labels) for task in TASKS]

    check(
        Supervised(TASKS),
        logits,
        labels,
        terms(to_samples(logits)),
        lambda x: sum(terms(to_samples(x))),
    )


@given(seeds)
@settings(max_examples=5)
def test_gradients_without_a_stopped_argument(seed):
    rng = np.random.default_rng(seed)
    relations = [random_relation(rng, SOURCE, t, known=1.1) for t in (CLASSES, LABELS)]
    leaves, labels = tensors(random_logits(rng), grad=True), tensors(random_labels(rng))
    for loss in (
        DistributionMatching(relations, "js"),
        DistributionMatching(relations, "paper"),
        CoAnnotation(relations),
        Supervised(TASKS),
    ):
        run = loss.double() if isinstance(loss, torch.nn.Module) else loss
        assert torch.autograd.gradcheck(
            lambda *scores, run=run: run(dict(zip(leaves, scores, strict=True)), labels).sums,
            tuple(leaves.values()),
        )


@given(seeds)
@settings(max_examples=20)
def test_missing_labels_have_exactly_no_gradient(seed):
    rng = np.random.default_rng(seed)
    leaves, labels = tensors(random_logits(rng, 6), grad=True), tensors(random_labels(rng, 6))
    Supervised(TASKS)(leaves, labels).sums.sum().backward()
    for task in TASKS:
        missing = labels[task.name] < 0
        assert (leaves[task.name].grad[missing] == 0).all()
        assert (leaves[task.name].grad[~missing] != 0).all()


def test_co_annotation_reaches_only_what_has_no_label():
    rng = np.random.default_rng(0)
    relations = [random_relation(rng, SOURCE, t, known=1.1) for t in (CLASSES, LABELS)]
    leaves, labels = tensors(random_logits(rng, 40), grad=True), tensors(random_labels(rng, 40))
    CoAnnotation(relations).double()(leaves, labels).sums.sum().backward()
    source = labels["source"]
    for name, taught in (
        ("classes", (source >= 0) & (labels["classes"] < 0)),
        ("labels", (source >= 0)[:, None] & (labels["labels"] < 0)),
        ("source", (source < 0) & ((labels["classes"] >= 0) | (labels["labels"] >= 0).any(dim=1))),
    ):
        assert ((leaves[name].grad != 0) == (taught if name == "labels" else taught[:, None])).all()


def test_a_label_that_no_class_speaks_about_gets_no_gradient():
    rng = np.random.default_rng(1)
    known = np.ones((3, 3), bool)
    known[:, 1] = False
    silent = Relation(SOURCE, CLASSES, np.zeros((3, 4)), np.zeros((3, 4)))
    relations = [Relation(SOURCE, LABELS, 0.7 * np.eye(3) + 0.1, known), silent]
    logits, labels = random_logits(rng, 30), tensors(random_labels(rng, 30))
    losses = [DistributionMatching(relations, form) for form in FORMS]
    for loss in (*losses, SoftLabels(relations), MarginalLikelihood(relations)):
        leaves = tensors(logits, grad=True)
        terms = loss.double()(leaves, labels)
        terms.sums.sum().backward()
        if leaves["labels"].grad is not None:
            assert (leaves["labels"].grad[:, 1] == 0).all()
            one_sided = isinstance(loss, DistributionMatching) and loss.form == "target_to_source"
            assert one_sided or (leaves["labels"].grad[:, 0] != 0).any()
        assert leaves["classes"].grad is None or (leaves["classes"].grad == 0).all()
        other = tensors(logits)
        other["labels"][:, 1] += 3
        other["classes"] += torch.tensor([3.0, 0, 0, 0])
        assert values(loss(other, labels)) == pytest.approx(values(terms))
    # such a label is no evidence about the source either, and dilutes no mean
    only = {**labels, "labels": labels["labels"].clone()}
    only["labels"][:, [0, 2]] = -1
    assert MarginalLikelihood(relations).double()(tensors(logits), only).counts.tolist() == [0]


@pytest.mark.parametrize("build", [DistributionMatching, SoftLabels], ids=lambda b: b.__name__)
@given(seed=seeds)
@settings(max_examples=10)
def test_a_stack_of_relations_is_the_relations_one_by_one(build, seed):
    rng = np.random.default_rng(seed)
    relations = random_relations(rng)
    logits, labels = tensors(random_logits(rng, 8)), tensors(random_labels(rng, 8))
    together = build(relations).double()(logits, labels)
    found = dict(zip(together.names, values(together), strict=True))
    for relation in relations:
        alone = build([relation]).double()(logits, labels)
        assert found[alone.names[0]] == pytest.approx(values(alone)[0])


def test_strength_zero_takes_a_relation_out():
    rng = np.random.default_rng(5)
    off = random_relation(rng, SOURCE, CLASSES, known=1.1, strength=0.0)
    on = random_relation(rng, SOURCE, LABELS, known=1.1, strength=1.0)
    logits, labels = random_logits(rng, 12), tensors(random_labels(rng, 12))
    for build in (DistributionMatching, CoAnnotation):
        leaves = tensors(logits, grad=True)
        both = build([off, on]).double()(leaves, labels)
        both.sums.sum().backward()
        assert leaves["classes"].grad is None or (leaves["classes"].grad == 0).all()
        alone = build([on]).double()(tensors(logits), labels)
        found = dict(zip(both.names, values(both), strict=True))
        for name, value in zip(alone.names, values(alone), strict=True):
            assert found.pop(name) == pytest.approx(value)
        assert set(found.values()) == {0.0}


def test_the_strength_is_a_factor_of_distribution_matching_and_soft_labels():
    rng = np.random.default_rng(6)
    table, logits, labels = (
        rng.random((3, 3)),
        tensors(random_logits(rng, 9)),
        tensors(random_labels(rng, 9)),
    )
    for build in (DistributionMatching, SoftLabels):
        once, thrice = (
            values(build([Relation(SOURCE, LABELS, table, None, s)]).double()(logits, labels))[0]
            for s in (1.0, 3.0)
        )
        assert thrice == pytest.approx(3 * once)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda: DistributionMatching([], "js"),
            "found no relation to couple tasks by, expected at least one",
        ),
        (
            lambda: DistributionMatching([Relation(SOURCE, BINARY, np.zeros((3, 1)))], "symetric"),
            "unknown form 'symetric', expected 'symmetric', 'js', 'source_to_target', "
            "'target_to_source', 'paper'; did you mean 'symmetric'?",
        ),
        (
            lambda: SoftLabels([Relation(SOURCE, BINARY, np.zeros((3, 1)))], smoothing=1),
            "smoothing 1, expected from 0 to below 1",
        ),
        (
            lambda: CoAnnotation([Relation(SOURCE, BINARY, np.zeros((3, 1)))], None, None),
            "co-annotation: forward and backward are both off, expected at least one form",
        ),
    ],
)
def test_bad_settings(act, error):
    with pytest.raises(LabelweaveError) as caught:
        act()
    assert str(caught.value) == error

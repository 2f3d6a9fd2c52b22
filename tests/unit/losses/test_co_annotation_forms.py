from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_reference import (
    CLASSES,
    LABELS,
    SOURCE,
    TASKS,
    random_labels,
    random_logits,
    random_relation,
    random_relations,
    smoothed,
    tensors,
)

from labelweave.errors import LabelweaveError
from labelweave.losses import CoAnnotation, Objective
from labelweave.losses._co_annotation import (
    BACKWARD,
    FORWARD,
    HardClasses,
    HardLabels,
    MarginalLikelihood,
    PaperScores,
    PosteriorTargets,
)
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel

SMOOTHING = 0.05
seeds = st.integers(0, 2**32 - 1)


def softmax(scores):
    weights = [exp(score - max(scores)) for score in scores]
    return [weight / sum(weights) for weight in weights]


def observed(relations, labels, row):
    """The labelled elements that some class informs about: (relation, column, on)."""
    found = []
    for relation in relations:
        if relation.strength == 0:
            continue
        y = labels[relation.target.name][row]
        if isinstance(relation.target, Multiclass):
            if y >= 0 and relation.mask.any():
                found.append((relation, int(y), True))
        else:
            spoken = relation.mask.any(axis=0)
            found += [(relation, j, v == 1) for j, v in enumerate(y) if v >= 0 and spoken[j]]
    return found


def posterior_row(elements, p, smoothing):
    joint = list(p)
    for relation, j, on in elements:
        filled = relation.filled()
        for s in range(len(p)):
            entry = smoothed(relation, smoothing, s, j, filled)
            joint[s] *= (entry if on else 1 - entry) ** relation.strength
    r = [value / sum(joint) for value in joint]
    return -sum(a * log(b) for a, b in zip(r, p, strict=True))


def paper_row(elements, p, temperature):
    scores = []
    for s in range(len(p)):
        top = bottom = 0.0
        for relation, j, on in elements:
            multiclass = isinstance(relation.target, Multiclass)
            w = relation.strength * relation.table[s, j] * relation.mask[s, j]
            top += w if on else 0.0
            bottom += relation.strength * relation.mask[s, j] if multiclass else w
        scores.append(top / bottom if bottom > 0 else 0.0)
    target = softmax([score / temperature for score in scores])
    trust = np.mean([relation.strength for relation, _, _ in elements])
    return -trust * sum(a * log(b) for a, b in zip(target, p, strict=True))


def hard_row(relations, elements, p):
    on = {(relation.name, j) for relation, j, on in elements if on}
    sets = []
    for s in range(len(p)):
        required = [
            (relation, j)
            for relation in relations
            for j in range(relation.target.width)
            if relation.strength > 0 and relation.mask[s, j] and relation.table[s, j] > 0.7
        ]
        fits = required and all((relation.name, j) in on for relation, j in required)
        sets.append(required if fits else [])
    best = max(len(each) for each in sets)
    winners = [s for s, each in enumerate(sets) if len(each) == best]
    if best == 0 or len(winners) > 1:
        return None
    trust = np.mean([relation.strength for relation, _ in sets[winners[0]]])
    return -trust * log(p[winners[0]])


def backward_terms(relations, logits, labels, row_loss):
    terms = []
    for source in dict.fromkeys(r.source.name for r in relations):
        group = [r for r in relations if r.source.name == source]
        losses = []
        for i, scores in enumerate(logits[source]):
            elements = observed(group, labels, i)
            if labels[source][i] < 0 and elements:
                losses.append(row_loss(group, elements, softmax(list(scores))))
        losses = [loss for loss in losses if loss is not None]
        terms.append(sum(losses) / len(losses) if losses else 0.0)
    return terms


BACKWARD_FORMS = {
    "posterior": (
        lambda r: PosteriorTargets(r, SMOOTHING),
        lambda group, elements, p: posterior_row(elements, p, SMOOTHING),
    ),
    "paper": (
        lambda r: PaperScores(r, 0.3),
        lambda group, elements, p: paper_row(elements, p, 0.3),
    ),
    "hard": (lambda r: HardClasses(r), hard_row),
}


def sharp_relations(rng):
    """Relations whose tables have many entries of 0, 1 and above 0.7."""
    found = random_relations(rng, 0.8)
    return [
        Relation(r.source, r.target, np.round(r.table), r.mask, r.strength)
        if not isinstance(r.target, Multiclass)
        else Relation(
            r.source, r.target, np.eye(r.target.width)[r.table.argmax(1)], r.mask, r.strength
        )
        for r in found
    ]


@pytest.mark.parametrize("form", BACKWARD_FORMS)
@pytest.mark.parametrize("tables", [random_relations, sharp_relations], ids=["soft", "sharp"])
@given(seed=seeds)
@settings(max_examples=12)
def test_backward_forms_against_their_formula(form, tables, seed):
    rng = np.random.default_rng(seed)
    relations = tables(rng)
    build, row_loss = BACKWARD_FORMS[form]
    logits, labels = random_logits(rng, 12), random_labels(rng, 12)
    found = build(relations).double()(tensors(logits), tensors(labels)).means().tolist()
    assert found == pytest.approx(backward_terms(relations, logits, labels, row_loss), rel=1e-5)


@given(seed=seeds)
@settings(max_examples=12)
def test_hard_labels_against_their_formula(seed):
    rng = np.random.default_rng(seed)
    relations = [random_relation(rng, SOURCE, LABELS), random_relation(rng, SOURCE, CLASSES)]
    logits, labels = random_logits(rng, 12), random_labels(rng, 12)
    expected = []
    for relation in relations:
        total = count = 0.0
        for i, s in enumerate(labels["source"]):
            if s < 0:
                continue
            y, scores = labels[relation.target.name][i], logits[relation.target.name][i]
            if relation.target is CLASSES:
                if y < 0 and relation.mask[s].all():
                    total -= sum(relation.table[s] * np.log(softmax(list(scores))))
                    count += 1
                continue
            for j in range(3):
                if y[j] < 0 and relation.mask[s, j] and relation.table[s, j] > 0:
                    total += relation.table[s, j] * log(1 + exp(-scores[j]))
                    count += 1
        expected.append(relation.strength * total / count if count else 0.0)
    loss = HardLabels(relations).double()
    assert loss.names == ("hard_labels/source->labels", "hard_labels/source->classes")
    assert loss(tensors(logits), tensors(labels)).means().tolist() == pytest.approx(expected)


@given(seeds)
@settings(max_examples=15)
def test_the_posterior_form_has_the_gradient_of_the_marginal_likelihood(seed):
    rng = np.random.default_rng(seed)
    relations = random_relations(rng)
    logits, labels = random_logits(rng, 8), tensors(random_labels(rng, 8))
    gradients = []
    for form in (MarginalLikelihood, PosteriorTargets):
        leaves = tensors(logits, grad=True)
        form(relations).double()(leaves, labels).means().sum().backward()
        gradients.append({n: leaf.grad for n, leaf in leaves.items() if leaf.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-12), name


@pytest.mark.parametrize("form", [PaperScores, HardClasses, HardLabels])
@given(seeds)
@settings(max_examples=5)
def test_gradients_by_finite_differences(form, seed):
    rng = np.random.default_rng(seed)
    relations = [Relation(SOURCE, LABELS, np.eye(3)), random_relation(rng, SOURCE, CLASSES, 1.1)]
    leaves, labels = tensors(random_logits(rng), grad=True), tensors(random_labels(rng))
    loss = form(relations).double()
    assert torch.autograd.gradcheck(
        lambda *scores: loss(dict(zip(leaves, scores, strict=True)), labels).sums,
        tuple(leaves.values()),
    )


@pytest.mark.parametrize("forward", [None, *FORWARD])
@pytest.mark.parametrize("backward", [None, *BACKWARD])
def test_labelled_elements_get_no_gradient_and_strength_zero_takes_out(forward, backward):
    if forward is None and backward is None:
        return
    rng = np.random.default_rng(7)
    on = Relation(SOURCE, LABELS, 0.8 * np.eye(3) + 0.1)
    off = random_relation(rng, SOURCE, CLASSES, known=1.1, strength=0.0)
    logits, labels = random_logits(rng, 60), tensors(random_labels(rng, 60))
    labels["labels"][:20] = torch.eye(3, dtype=torch.int64).repeat(7, 1)[:20]
    leaves = tensors(logits, grad=True)
    both = CoAnnotation([off, on], forward, backward).double()(leaves, labels)
    both.sums.sum().backward()
    for name, reached in (("labels", forward), ("source", backward)):
        gradient = leaves[name].grad
        if gradient is not None:
            assert (gradient[labels[name] >= 0] == 0).all()
        assert (gradient is not None and bool((gradient != 0).any())) == (reached is not None)
    assert leaves["classes"].grad is None or (leaves["classes"].grad == 0).all()
    alone = CoAnnotation([on], forward, backward).double()(tensors(logits), labels)
    found = dict(zip(both.names, both.means().tolist(), strict=True))
    for name, value in zip(alone.names, alone.means().tolist(), strict=True):
        assert found.pop(name) == pytest.approx(value)
    assert set(found.values()) <= {0.0}


def test_the_papers_targets_are_nearly_uniform_at_temperature_one():
    # fear among Du, Tao and Martinez (2014): 7 classes, one whose labels are all on
    source, target = Multiclass("emotion", range(7)), Multilabel("units", tuple("abcdefg"))
    relation = Relation(source, target, np.eye(7))
    labels = {"emotion": torch.tensor([-1]), "units": torch.eye(7)[:1].long()}
    best = {}
    for temperature in (1.0, 0.05):
        scores = torch.zeros(1, 7, requires_grad=True)
        logits = {"emotion": scores, "units": torch.zeros(1, 7)}
        PaperScores([relation], temperature)(logits, labels).sums.sum().backward()
        best[temperature] = 1 / 7 - scores.grad[0, 0].item()  # p minus the gradient: the target
    assert best[1.0] == pytest.approx(exp(1) / (exp(1) + 6))
    assert best[1.0] < 0.3121
    assert best[0.05] > 0.99


def test_the_largest_set_wins_and_a_tie_teaches_nothing():
    target = Multilabel("units", ("a", "b", "c"))
    relation = Relation(SOURCE, target, [[1, 0, 0], [1, 1, 0.6], [0, 0, 1]])
    units = torch.tensor([[1, 1, 0], [1, 0, -1], [1, 0, 1], [0, 1, 0], [-1, 1, 0]])
    labels = {"source": torch.full((5,), -1), "units": units}
    scores = torch.zeros(5, 3, requires_grad=True)
    terms = HardClasses([relation])({"source": scores, "units": torch.zeros(5, 3)}, labels)
    terms.sums.sum().backward()
    # class 1 has two labels on; class 0 has its one; 0 and 2 tie; no class fits twice
    assert terms.counts.tolist() == [2]
    assert (scores.grad < 0).nonzero().tolist() == [[0, 1], [1, 0]]


def test_forms_by_name_in_an_objective():
    rng = np.random.default_rng(8)
    relations = [random_relation(rng, SOURCE, LABELS)]
    logits, labels = tensors(random_logits(rng, 9)), tensors(random_labels(rng, 9))
    options = {"forward": "hard", "backward": "paper", "temperature": 0.1, "weight": 0.5}
    loss = Objective(TASKS, relations, {"co_annotation": options}).double()(logits, labels)
    assert loss.names[5:] == ("hard_labels/source->labels", "paper/source")
    alone = PaperScores(relations, 0.1).double()(logits, labels).means()
    assert loss.weighted[-1].item() == pytest.approx(0.5 * alone.item())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"forward": "soft_label"},
            "unknown forward form 'soft_label', expected 'soft_labels', 'hard'; "
            "did you mean 'soft_labels'?",
        ),
        (
            {"backward": "marginals"},
            "unknown backward form 'marginals', expected 'marginal', 'posterior', 'paper', "
            "'hard'; did you mean 'marginal'?",
        ),
        (
            {"backward": "paper", "temperature": 0},
            "temperature 0, expected a number above 0",
        ),
    ],
)
def test_bad_settings(options, error):
    with pytest.raises(LabelweaveError) as caught:
        CoAnnotation([Relation(SOURCE, LABELS, np.eye(3))], **options)
    assert str(caught.value) == error

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
    OTHER,
    SOURCE,
    random_logits,
    random_relation,
    tensors,
    to_samples,
    values,
)

from labelweave.losses import DistributionMatching
from labelweave.losses._distribution_matching import FORMS
from labelweave.relations import Relation
from labelweave.tasks import Multiclass

SMOOTHING = 0.05
seeds = st.integers(0, 2**32 - 1)
forms = pytest.mark.parametrize("form", FORMS)


@pytest.mark.parametrize("form", ["symmetric", "js", "source_to_target", "target_to_source"])
def test_agreeing_heads_have_no_loss_and_no_gradient(form):
    rng = np.random.default_rng(2)
    relation = Relation(OTHER, BINARY, [[0.0], [1.0]])
    twin = Multiclass("twin", SOURCE.classes)
    loss = DistributionMatching([relation, Relation(SOURCE, twin, np.eye(3))], form, smoothing=0)
    logits = random_logits(rng)
    logits["twin"] = logits["source"].copy()
    logits["binary"] = logits["other"][:, 1:] - logits["other"][:, :1]
    leaves = tensors(logits, grad=True)
    terms = loss.double()(leaves)
    assert values(terms) == pytest.approx([0, 0], abs=1e-12)
    terms.sums.sum().backward()
    for name in ("source", "other", "twin", "binary"):
        gradient = leaves[name].grad
        assert gradient is None or gradient.abs().max() < 1e-9, name


@forms
@given(seeds)
@settings(max_examples=20)
def test_disagreeing_heads_have_a_positive_loss(form, seed):
    rng = np.random.default_rng(seed)
    relations = [random_relation(rng, SOURCE, t, known=1.1) for t in (CLASSES, LABELS)]
    found = values(DistributionMatching(relations, form).double()(tensors(random_logits(rng))))
    assert min(found) > 0 or form == "paper"
    assert min(found) >= 0


def learnt_target(form, target):
    rng = np.random.default_rng(3)
    # every row has one likely entry, so that no q is 0 or 1 once the paper's form rounds it
    relation = Relation(SOURCE, target, 0.8 * np.eye(3, target.width) + 0.2 / target.width)
    given_logits = tensors(random_logits(rng))
    loss = DistributionMatching([relation], form, SMOOTHING).double()
    scores = torch.zeros(3, target.width, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        loss({**given_logits, target.name: scores}).sums.sum().backward()
        optimizer.step()
    samples = to_samples({name: t.numpy() for name, t in given_logits.items()})
    q = [
        [slow.pushed(relation, SMOOTHING, s["source"], j)[0] for j in range(target.width)]
        for s in samples
    ]
    squash = torch.sigmoid if target is LABELS else lambda x: torch.softmax(x, dim=1)
    return squash(scores.detach()).numpy(), np.array(q)


@pytest.mark.parametrize("target", [CLASSES, LABELS], ids=lambda t: t.name)
@pytest.mark.parametrize("form", ["symmetric", "js", "source_to_target"])
def test_the_target_learns_what_the_source_says(form, target):
    p, q = learnt_target(form, target)
    assert np.allclose(p, q, atol=1e-3)


def test_the_papers_form_pushes_a_multilabel_target_to_zero():
    p, q = learnt_target("paper", LABELS)
    assert p.max() < 0.05
    assert q.max() > 0.5


@pytest.mark.parametrize(
    ("form", "learning", "fixed"),
    [("source_to_target", "labels", "source"), ("target_to_source", "source", "labels")],
)
def test_one_sided_forms_teach_one_side(form, learning, fixed):
    rng = np.random.default_rng(4)
    leaves = tensors(random_logits(rng), grad=True)
    relation = random_relation(rng, SOURCE, LABELS, known=1.1)
    DistributionMatching([relation], form).double()(leaves).sums.sum().backward()
    assert (leaves[learning].grad != 0).any()
    assert leaves[fixed].grad is None or (leaves[fixed].grad == 0).all()

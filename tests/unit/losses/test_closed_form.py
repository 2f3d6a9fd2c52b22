"""The losses in closed form against the compositions that they equal."""

import copy

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
)  # fmt: skip
from torch._subclasses.fake_tensor import FakeTensorMode

from labelweave.errors import LabelweaveError
from labelweave.losses import Objective
from labelweave.relations import Noise, NoisyOr, Relation

TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}
MATCHING = {"distribution_matching": {}}
COUPLINGS = [
    {},
    MATCHING,
    {"distribution_matching": {"form": "source_to_target"}},
    {"distribution_matching": {"form": "target_to_source"}},
    {"co_annotation": {"backward": None}},
    {"co_annotation": {"forward": None}},
    {"co_annotation": {}, **MATCHING},
]
seeds = st.integers(0, 2**32 - 1)


def exact(*arguments, **options):
    """An objective whose tables are not rounded to single precision."""
    torch.set_default_dtype(torch.float64)
    try:
        return Objective(*arguments, **options)
    finally:
        torch.set_default_dtype(torch.float32)


def composed(objective, *arguments):
    """The same objective without its closed form."""
    closed, objective.closed_form = objective.closed_form, None
    try:
        return objective(*arguments)
    finally:
        objective.closed_form = closed


@pytest.mark.parametrize("known", [0.6, 1.0], ids=["in part", "known"])
@pytest.mark.parametrize("couplings", COUPLINGS, ids=str)
@given(seed=seeds, smoothing=st.sampled_from([0.0, 0.01]), measured=st.booleans())
@settings(max_examples=8)
def test_values_and_gradients_are_those_of_the_composition(
    couplings, known, seed, smoothing, measured
):
    rng = np.random.default_rng(seed)
    relations = random_relations(rng, known)
    options = {name: {**given, "smoothing": smoothing} for name, given in couplings.items()}
    needs = {task.name: rng.random(task.width) for task in TASKS} if measured else None
    objective = exact(TASKS, relations, options, needs=needs)
    assert objective.closed_form is not None
    logits, labels = random_logits(rng, 5), tensors(random_labels(rng, 5))
    leaves, twins = tensors(logits, grad=True), tensors(logits, grad=True)
    found, expected = objective(leaves, labels), composed(objective, twins, labels)
    assert found.names == expected.names
    assert torch.allclose(found.raw, expected.raw, **TOLERANCE)
    found.total.backward()
    expected.total.backward()
    for name, leaf in leaves.items():
        assert torch.allclose(leaf.grad, twins[name].grad, **TOLERANCE), name


@pytest.mark.parametrize("known", [0.6, 1.0], ids=["in part", "known"])
@pytest.mark.parametrize("measured", [False, True])
@given(seed=seeds)
@settings(max_examples=8)
def test_a_relation_of_labels_alone_is_that_of_the_composition(measured, known, seed):
    rng = np.random.default_rng(seed)
    needs = {task.name: rng.random(task.width) for task in TASKS} if measured else None
    relations = [random_relation(rng, SOURCE, LABELS, known)]
    objective = exact(TASKS, relations, COUPLINGS[-1], needs=needs)
    logits, labels = random_logits(rng, 5), tensors(random_labels(rng, 5))
    leaves, twins = tensors(logits, grad=True), tensors(logits, grad=True)
    found, expected = objective(leaves, labels), composed(objective, twins, labels)
    assert torch.allclose(found.raw, expected.raw, **TOLERANCE)
    found.total.backward()
    expected.total.backward()
    for name in (SOURCE.name, LABELS.name):
        assert torch.allclose(leaves[name].grad, twins[name].grad, **TOLERANCE)


@pytest.mark.parametrize("couplings", [{}, {"co_annotation": {}}], ids=str)
def test_gradients_against_finite_differences(couplings):
    rng = np.random.default_rng(3)
    objective = Objective(TASKS, random_relations(rng), couplings).double()
    labels, leaves = tensors(random_labels(rng, 4)), tensors(random_logits(rng, 4), grad=True)

    def total(*scores):
        return objective(dict(zip(leaves, scores, strict=True)), labels).total

    assert torch.autograd.gradcheck(total, tuple(leaves.values()))


@pytest.mark.parametrize(
    "couplings",
    [
        {"distribution_matching": {"form": "js"}},
        {"distribution_matching": {"form": "paper"}},
        {"co_annotation": {"forward": "hard"}},
        {"co_annotation": {"backward": "posterior"}},
        {**MATCHING, "distillation": {}},
    ],
    ids=str,
)
def test_other_forms_are_composed(couplings):
    relations = random_relations(np.random.default_rng(0))
    assert Objective(TASKS, relations, couplings).closed_form is None


def test_noise_and_noisy_ors_are_composed():
    rng = np.random.default_rng(0)
    noise = [Noise(CLASSES, np.full((1, 4, 4), 0.25))]
    assert Objective(TASKS, random_relations(rng), MATCHING, noise=noise).closed_form is None
    noisy_or = NoisyOr(LABELS, BINARY, rng.random((3, 1)), [0.1])
    assert Objective(TASKS, [noisy_or], MATCHING).closed_form is None


def test_scores_far_apart_stay_finite():
    relation = Relation(SOURCE, LABELS, np.eye(3))
    objective = Objective(TASKS, [relation], COUPLINGS[-1])
    scores = {t.name: torch.full((2, t.width), 1e4) for t in TASKS}
    scores["source"] = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    leaves = {name: part.requires_grad_() for name, part in scores.items()}
    labels = {"source": [-1, 0], "other": [0, 1], "classes": [-1, 3], "binary": [[0], [-1]]}
    labels = {name: torch.tensor(codes) for name, codes in labels.items()}
    labels["labels"] = torch.tensor([[0, 0, 0], [-1, -1, 1]])
    loss = objective(leaves, labels)
    loss.total.backward()
    assert torch.isfinite(loss.raw).all()
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves.values())


def test_half_precision_and_constant_scores():
    rng = np.random.default_rng(0)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1])
    labels = tensors(random_labels(rng))
    scores = {name: torch.tensor(part).half() for name, part in random_logits(rng).items()}
    scores["labels"].requires_grad_()
    loss = objective(scores, labels)
    loss.total.backward()
    assert loss.raw.dtype == torch.float32
    assert scores["labels"].grad.dtype == torch.float16
    assert torch.allclose(loss.raw, composed(objective, scores, labels).raw, atol=1e-5)


def test_a_gradient_of_the_gradient_is_refused():
    rng = np.random.default_rng(0)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1]).double()
    leaves = tensors(random_logits(rng), grad=True)
    loss = objective(leaves, tensors(random_labels(rng)))
    with pytest.raises(LabelweaveError) as caught:
        torch.autograd.grad(loss.total, leaves["source"], create_graph=True)
    assert str(caught.value) == (
        "the losses in closed form have no second derivative, found a backward pass with "
        "create_graph=True; set objective.closed_form = None before it"
    )


def test_a_second_backward_pass_gives_the_same_gradient():
    rng = np.random.default_rng(1)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1]).double()
    leaves = tensors(random_logits(rng), grad=True)
    total = objective(leaves, tensors(random_labels(rng))).total
    first = torch.autograd.grad(total, list(leaves.values()), retain_graph=True)
    second = torch.autograd.grad(total, list(leaves.values()))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_what_it_returns_can_be_changed_in_place():
    rng = np.random.default_rng(2)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1])
    scores = {name: torch.tensor(part).float() for name, part in random_logits(rng).items()}
    leaves = {name: part.requires_grad_() for name, part in scores.items()}
    loss = objective(leaves, tensors(random_labels(rng)))
    loss.total.backward()
    for found in (loss.raw, loss.weighted, *(leaf.grad for leaf in leaves.values())):
        assert not found.is_inference()
        found.mul_(0.0)


def test_values_are_the_same_where_nothing_is_recorded():
    rng = np.random.default_rng(2)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1]).double()
    logits, labels = tensors(random_logits(rng)), tensors(random_labels(rng))
    expected = objective(logits, labels)
    with torch.inference_mode():
        found = objective(logits, labels)
    assert torch.equal(found.raw, expected.raw)


def test_a_copy_has_its_own_precision():
    rng = np.random.default_rng(2)
    objective = Objective(TASKS, random_relations(rng), COUPLINGS[-1])
    twin = copy.deepcopy(objective).double()
    logits, labels = random_logits(rng), tensors(random_labels(rng))
    exact = twin(tensors(logits), labels).raw
    single = objective({name: torch.tensor(p).float() for name, p in logits.items()}, labels).raw
    assert (single.dtype, exact.dtype) == (torch.float32, torch.float64)
    assert torch.allclose(single.double(), exact, atol=1e-5)


@given(seed=seeds)
@settings(max_examples=8)
def test_classes_of_different_numbers_side_by_side(seed):
    rng = np.random.default_rng(seed)
    relations = [random_relation(rng, SOURCE, CLASSES), random_relation(rng, CLASSES, LABELS)]
    objective = exact(TASKS, relations, {"co_annotation": {}})
    logits = {name: 60 * part for name, part in random_logits(rng, 5).items()}
    labels = tensors(random_labels(rng, 5))
    leaves, twins = tensors(logits, grad=True), tensors(logits, grad=True)
    found, expected = objective(leaves, labels), composed(objective, twins, labels)
    assert torch.allclose(found.raw, expected.raw, **TOLERANCE)
    found.total.backward()
    expected.total.backward()
    for name, leaf in leaves.items():
        assert torch.allclose(leaf.grad, twins[name].grad, **TOLERANCE), name


def test_it_never_waits_for_a_value():
    # tensors without values: looking at one, as .item() and boolean indexing do, raises
    relations = [
        random_relation(np.random.default_rng(0), SOURCE, target) for target in (CLASSES, LABELS)
    ]
    objective = Objective(TASKS, relations, COUPLINGS[-1])
    with FakeTensorMode(allow_non_fake_inputs=True):
        scores = {t.name: torch.empty(8, t.width, requires_grad=True) for t in TASKS}
        labels = {
            t.name: torch.empty((8,) if t.kind == "multiclass" else (8, t.width), dtype=torch.int64)
            for t in TASKS
        }
        loss = objective(scores, labels)
        loss.total.backward()
    assert loss.raw.shape == (len(loss.names),)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@given(seed=seeds)
@settings(max_examples=10)
def test_one_task_alone_has_the_terms_of_the_composition(task, seed):
    rng = np.random.default_rng(seed)
    objective = Objective([task]).double()
    logits, labels = random_logits(rng, 5), tensors(random_labels(rng, 5))
    leaves, twins = tensors(logits, grad=True), tensors(logits, grad=True)
    found = objective(leaves, labels)
    batch = objective.columns(twins, labels)
    expected = objective.supervised.terms(batch)
    assert found.names == expected.names
    assert torch.allclose(found.raw, expected.means().detach())
    found.total.backward()
    expected.means().sum().backward()
    assert torch.allclose(leaves[task.name].grad, twins[task.name].grad)

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from losses_reference import LABELS, SOURCE, TASKS, random_labels, random_logits, tensors

from labelweave.errors import LabelweaveError
from labelweave.losses import Distillation, Objective
from labelweave.networks import probabilities
from labelweave.tasks import Multiclass

seeds = st.integers(0, 2**32 - 1)


def softened(task, scores, temperature):
    scaled = scores / temperature
    if isinstance(task, Multiclass):
        weights = np.exp(scaled - scaled.max())
        return [weights / weights.sum()]
    return [np.array([1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))]) for x in scaled]


def reference(task, logits, labels, teachers, temperature):
    losses = []
    for scores, codes, given_scores in zip(logits, labels, teachers, strict=True):
        pairs = zip(
            softened(task, given_scores, temperature),
            softened(task, scores, temperature),
            np.atleast_1d(codes),
            strict=True,
        )
        losses += [float((t * np.log(t / s)).sum()) for t, s, code in pairs if code < 0]
    return temperature**2 * float(np.mean(losses)) if losses else 0.0


@given(seed=seeds, temperature=st.sampled_from([0.5, 1.0, 4.0]))
@settings(max_examples=20)
def test_against_its_formula(seed, temperature):
    rng = np.random.default_rng(seed)
    logits, teachers, labels = random_logits(rng), random_logits(rng), random_labels(rng)
    loss = Distillation(TASKS, {"source": temperature, "labels": temperature}, {"labels": 0.5})
    terms = loss(tensors(logits), tensors(labels), tensors(teachers))
    assert terms.names == tuple(f"distillation/{task.name}" for task in TASKS)
    expected = [
        (0.5 if task is LABELS else 1.0)
        * reference(
            task, logits[task.name], labels[task.name], teachers[task.name],
            temperature if task in (SOURCE, LABELS) else 2.0,
        )
        for task in TASKS
    ]  # fmt: skip
    assert terms.means().tolist() == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(seeds)
@settings(max_examples=10)
def test_only_elements_without_a_label_are_taught(seed):
    rng = np.random.default_rng(seed)
    leaves, labels = tensors(random_logits(rng, 9), grad=True), tensors(random_labels(rng, 9))
    teachers = tensors(random_logits(rng, 9), grad=True)
    Distillation(TASKS)(leaves, labels, teachers).sums.sum().backward()
    for task in TASKS:
        missing = labels[task.name] < 0
        assert (leaves[task.name].grad[~missing] == 0).all()
        assert (leaves[task.name].grad[missing] != 0).all()
        assert teachers[task.name].grad is None


def test_what_a_teacher_says_at_a_labelled_element_never_enters():
    rng = np.random.default_rng(2)
    labels, logits = tensors(random_labels(rng, 9)), random_logits(rng, 9)
    teachers = tensors(random_logits(rng, 9))
    gone = {name: x.clone() for name, x in teachers.items()}
    for name, x in gone.items():
        x[labels[name] >= 0] = torch.nan
    found = []
    for given_scores in (teachers, gone):
        leaves = tensors(logits, grad=True)
        terms = Distillation(TASKS)(leaves, labels, given_scores)
        terms.sums.sum().backward()
        found.append([terms.sums.detach(), *(leaf.grad for leaf in leaves.values())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(0)
    leaves, labels = tensors(random_logits(rng), grad=True), tensors(random_labels(rng))
    teachers = tensors(random_logits(rng))
    loss = Distillation(TASKS, 3.0)
    assert torch.autograd.gradcheck(
        lambda *scores: loss(dict(zip(leaves, scores, strict=True)), labels, teachers).sums,
        tuple(leaves.values()),
    )


@given(seeds)
@settings(max_examples=10)
def test_probabilities_and_scores_of_a_teacher_are_the_same(seed):
    rng = np.random.default_rng(seed)
    logits, labels = tensors(random_logits(rng, 5)), tensors(random_labels(rng, 5))
    teachers = tensors(random_logits(rng, 5))
    loss = Distillation(TASKS, 2.0)
    by_scores = loss(logits, labels, teachers).means()
    found = loss(logits, labels, probabilities(teachers, TASKS), "probabilities").means()
    assert torch.allclose(found, by_scores, atol=1e-9)


def test_in_the_objective_it_needs_teachers_and_no_relation():
    rng = np.random.default_rng(3)
    logits, labels = tensors(random_logits(rng, 6)), tensors(random_labels(rng, 6))
    teachers = tensors(random_logits(rng, 6))
    options = {"temperature": {"labels": 3.0}, "weights": 0.5, "weight": 0.25}
    couplings = {"distribution_matching": {}, "distillation": options}
    objective = Objective(TASKS, (), couplings).double()
    loss = objective(logits, labels, teachers=teachers)
    alone = Distillation(TASKS, {"labels": 3.0}, 0.5)(logits, labels, teachers)
    assert loss.names[len(TASKS) :] == alone.names
    assert torch.allclose(loss.raw[len(TASKS) :], alone.means())
    assert torch.allclose(loss.weighted, loss.raw * torch.tensor([1.0] * 5 + [0.25] * 5))
    with pytest.raises(LabelweaveError, match="no teacher of task 'source', found none"):
        objective(logits, labels)


def test_the_teacher_itself_has_no_loss():
    rng = np.random.default_rng(1)
    logits = tensors(random_logits(rng))
    labels = {name: -torch.ones_like(x) for name, x in tensors(random_labels(rng)).items()}
    assert Distillation(TASKS)(logits, labels, logits).means().abs().max() < 1e-12


def test_certain_teachers_stay_finite():
    leaves = {"labels": torch.zeros(1, 3, requires_grad=True)}
    teachers = {"labels": torch.tensor([[0.0, 1.0, 0.5]])}
    labels = {"labels": torch.full((1, 3), -1)}
    terms = Distillation([LABELS])(leaves, labels, teachers, "probabilities")
    terms.sums.sum().backward()
    assert torch.isfinite(terms.sums).all()
    assert torch.isfinite(leaves["labels"].grad).all()


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (
            lambda: Distillation(TASKS, {"sorce": 2.0}),
            "distillation: no task 'sorce', expected 'source', 'other', 'classes', 'labels', "
            "'binary'; did you mean 'source'?",
        ),
        (
            lambda: Distillation([SOURCE], 0),
            "distillation: task 'source': temperature 0, expected a number above 0",
        ),
        (
            lambda: Distillation([SOURCE], weights={"source": -1}),
            "distillation: task 'source': weight -1, expected a number of 0 or more",
        ),
        (
            lambda: Objective(TASKS, (), {"distillation": {"temperature": {"binary": "hot"}}}),
            "coupling 'distillation': option 'temperature' should be a valid number, unable to "
            "parse string as a number, found 'hot'",
        ),
        (
            lambda: Objective(TASKS, (), {"distillation": {"temperature": {"binary": 0}}}),
            "coupling 'distillation': distillation: task 'binary': temperature 0.0, expected a "
            "number above 0",
        ),
        (
            lambda: Distillation([SOURCE])(
                {"source": torch.zeros(2, 3)}, {"source": torch.zeros(2, dtype=torch.int64)}, {}
            ),
            "distillation: no teacher of task 'source', found none",
        ),
        (
            lambda: Distillation([SOURCE])(
                {"source": torch.zeros(2, 3)},
                {"source": torch.zeros(2, dtype=torch.int64)},
                {"source": torch.zeros(2, 4)},
            ),
            "distillation: the teacher of 'source' has outputs of shape (2, 4), expected (2, 3)",
        ),
        (
            lambda: Distillation([SOURCE])({}, {}, {}, "logit"),
            "distillation: unknown form 'logit', expected 'logits', 'probabilities'; "
            "did you mean 'logits'?",
        ),
    ],
)
def test_bad_settings(act, error):
    with pytest.raises(LabelweaveError) as caught:
        act()
    assert str(caught.value) == error

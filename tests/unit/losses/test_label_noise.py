"""The losses that know of wrong labels."""

import numpy as np
import pytest
import torch
from losses_reference import (
    CLASSES,
    LABELS,
    SOURCE,
    TASKS,
    random_labels,
    random_logits,
    random_relation,
    tensors,
    values,
)

from labelweave.errors import LabelweaveError
from labelweave.losses import CoAnnotation, ForwardCorrected, Objective, Supervised
from labelweave.losses._layout import Columns
from labelweave.relations import Noise, Relation
from labelweave.tasks import Multiclass


def random_noise(rng, task, sources=1):
    one = isinstance(task, Multiclass)
    shape = (task.width, task.width) if one else (task.width, 2, 2)
    rows = rng.dirichlet(np.ones(shape[-1]), (sources, *shape[:-1]))
    return Noise(task, 0.4 * rows + 0.6 * np.eye(shape[-1]))


def identity(task):
    eye = np.eye(task.width) if isinstance(task, Multiclass) else np.tile(np.eye(2), (3, 1, 1))
    return Noise(task, eye[None])


def test_without_noise_the_loss_is_the_supervised_one():
    rng = np.random.default_rng(0)
    logits, labels = tensors(random_logits(rng, 20)), tensors(random_labels(rng, 20))
    expected = Supervised(TASKS)(logits, labels)
    found = ForwardCorrected(TASKS, [identity(CLASSES), identity(LABELS)])(logits, labels)
    assert values(found) == pytest.approx(values(expected), rel=1e-6)
    assert torch.equal(found.counts, expected.counts)
    # a task without noise is not even computed in another way
    index = found.names.index("supervised/source")
    assert found.sums[index] == expected.sums[index]


def literal(logits, labels, noise, source):
    """-log sum_c p(c) N[d, c, y], mean over the labelled elements of the noisy tasks."""
    total = {}
    for each in noise:
        name, terms = each.task.name, []
        for i, scores in enumerate(logits[name]):
            confusion = each.confusion[source[i]]
            if isinstance(each.task, Multiclass):
                p = np.exp(scores) / np.exp(scores).sum()
                elements = [(p, confusion, labels[name][i])]
            else:
                on = 1 / (1 + np.exp(-scores))
                pairs = np.stack([1 - on, on], axis=1)
                elements = zip(pairs, confusion, labels[name][i], strict=True)
            terms += [-np.log(p @ n[:, y]) for p, n, y in elements if y >= 0]
        total[f"supervised/{name}"] = np.mean(terms) if terms else 0.0
    return total


@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient_against_a_literal_form_and_finite_differences(seed):
    rng = np.random.default_rng(seed)
    logits, labels = random_logits(rng, 4), random_labels(rng, 4)
    noise = [random_noise(rng, task, sources=2) for task in (CLASSES, LABELS)]
    source = rng.integers(2, size=4)
    leaves = tensors(logits, grad=True)
    loss = ForwardCorrected(TASKS, noise).double()
    terms = loss(leaves, tensors(labels), source=torch.tensor(source))
    expected = literal(logits, labels, noise, source)
    found = dict(zip(terms.names, values(terms), strict=True))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    terms.means().sum().backward()
    for name in ("classes", "labels"):
        for index in np.ndindex(logits[name].shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = {k: v.copy() for k, v in logits.items()}
                moved[name][index] += step
                sides.append(sum(literal(moved, labels, noise, source).values()))
            slope = (sides[0] - sides[1]) / 2e-5
            assert leaves[name].grad[index].item() == pytest.approx(slope, abs=1e-6)


def test_the_best_head_is_the_clean_distribution():
    rng = np.random.default_rng(1)
    clean = np.array([0.6, 0.3, 0.1, 0.0])
    noise = random_noise(rng, CLASSES)
    found = rng.choice(4, size=20_000, p=clean @ noise.confusion[0])
    labels = {"classes": torch.tensor(found)}
    fitted = {}
    for name, loss in (("plain", Supervised([CLASSES])), ("noise", None)):
        loss = loss or ForwardCorrected([CLASSES], [noise])
        scores = torch.zeros(1, 4, requires_grad=True)
        optimiser = torch.optim.LBFGS([scores], max_iter=100, line_search_fn="strong_wolfe")

        def step(loss=loss, scores=scores, optimiser=optimiser):
            optimiser.zero_grad()
            value = loss({"classes": scores.expand(len(found), -1)}, labels).means().sum()
            value.backward()
            return value

        optimiser.step(step)
        fitted[name] = scores.softmax(dim=1).detach().numpy()[0]
    assert fitted["noise"] == pytest.approx(clean, abs=0.02)
    assert np.abs(fitted["plain"] - clean).max() > 0.05


@pytest.mark.parametrize("backward", ["marginal", "posterior"])
def test_the_marginal_sees_the_table_of_the_labels_found(backward):
    rng = np.random.default_rng(2)
    relations = [random_relation(rng, SOURCE, task, known=1.0) for task in (CLASSES, LABELS)]
    noise = [random_noise(rng, task, sources=2) for task in (CLASSES, LABELS)]
    logits, labels = tensors(random_logits(rng, 12)), tensors(random_labels(rng, 12))
    for source in (0, 1):
        found = [
            Relation(r.source, r.target, n.observed(r.table, source), strength=r.strength)
            for r, n in zip(relations, noise, strict=True)
        ]
        options = {"forward": None, "backward": backward, "smoothing": 0.0}
        columns = Columns(TASKS)
        expected = CoAnnotation(found, **options, columns=columns).double()(logits, labels)
        coupling = CoAnnotation(relations, **options, columns=columns, noise=noise).double()
        rows = torch.full((12,), source)
        assert values(coupling(logits, labels, source=rows)) == pytest.approx(
            values(expected), rel=1e-5
        )


def test_a_step_with_noise_is_one_graph():
    rng = np.random.default_rng(3)
    relations = [random_relation(rng, SOURCE, CLASSES)]
    noise = [random_noise(rng, CLASSES, sources=2), random_noise(rng, LABELS)]
    objective = Objective(TASKS, relations, {"co_annotation": {}}, noise=noise).double()
    logits, labels = tensors(random_logits(rng, 8)), tensors(random_labels(rng, 8))
    source = torch.tensor([0, 1] * 4)
    torch.compiler.reset()
    compiled = torch.compile(objective, fullgraph=True, backend="eager", dynamic=False)
    found = compiled(logits, labels, torch.tensor(0.5), source=source)
    expected = objective(logits, labels, torch.tensor(0.5), source=source)
    assert torch.allclose(found.weighted, expected.weighted)


def test_wrong_noise_gives_one_line():
    rng = np.random.default_rng(4)
    noise = [random_noise(rng, CLASSES, sources=2)]
    cases = {
        "noise of 'other': no such task, expected 'classes'": (
            lambda: ForwardCorrected([CLASSES], [Noise(Multiclass("other", (0, 1)), [np.eye(2)])])
        ),
        "noise of 'classes': found the classes or labels 'a', 'b', expected '0', '1', '2', '3'": (
            lambda: ForwardCorrected(
                [CLASSES], [Noise(Multiclass("classes", ("a", "b")), [np.eye(2)])]
            )
        ),
        "noise of 'classes': found twice, expected once": (
            lambda: ForwardCorrected([CLASSES], noise * 2)
        ),
        "noise: found confusions of 2 and of 3 data sources, expected the same number": (
            lambda: ForwardCorrected(TASKS, [*noise, random_noise(rng, LABELS, sources=3)])
        ),
        "noise of 2 data sources: found a batch without 'source', expected it": (
            lambda: ForwardCorrected([CLASSES], noise)(
                {"classes": torch.zeros(1, 4)}, {"classes": torch.tensor([0])}
            )
        ),
        "co-annotation: backward form 'hard' takes labels as they are, expected marginal, "
        "posterior or null where labels are noisy": (
            lambda: CoAnnotation(
                [random_relation(rng, SOURCE, CLASSES)], backward="hard", noise=noise
            )
        ),
        "noise of 'classes': found shape (2, 2), expected (sources, 4, 4)": (
            lambda: Noise(CLASSES, np.eye(2))
        ),
        "noise of 'classes': a row sums to 2, expected 1": (
            lambda: Noise(CLASSES, [np.eye(4) + np.eye(4)[::-1]])
        ),
        "noise of 'classes': expected probabilities from 0 to 1": (
            lambda: Noise(CLASSES, [2 * np.eye(4)])
        ),
    }
    for message, call in cases.items():
        with pytest.raises(LabelweaveError) as error:
            call()
        assert str(error.value) == message

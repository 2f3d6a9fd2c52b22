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
    tensors,
)

from labelweave.errors import LabelweaveError
from labelweave.losses import CoAnnotation, DistributionMatching, Objective, Supervised
from labelweave.losses._distribution_matching import FORMS
from labelweave.relations import Relation
from labelweave.tasks import Multiclass

BOTH = {"distribution_matching": {"weight": 1}, "co_annotation": {"weight": 1}}
# the marginal likelihood of the three relations' one source counts once for each of them
MULTIPLES = torch.tensor([1.0] * 11 + [3.0], dtype=torch.float64)
seeds = st.integers(0, 2**32 - 1)


def relations(seed=0):
    rng = np.random.default_rng(seed)
    return [random_relation(rng, SOURCE, target) for target in (CLASSES, LABELS, BINARY)]


def batch(seed=0, n=8):
    rng = np.random.default_rng(seed)
    return random_logits(rng, n), random_labels(rng, n)


def test_names_values_and_total():
    logits, labels = map(tensors, batch())
    objective = Objective(TASKS, relations(), BOTH).double()
    loss = objective(logits, labels)
    assert loss.names == (
        "supervised/source",
        "supervised/other",
        "supervised/classes",
        "supervised/labels",
        "supervised/binary",
        "distribution_matching/source->classes",
        "distribution_matching/source->labels",
        "distribution_matching/source->binary",
        "soft_labels/source->classes",
        "soft_labels/source->labels",
        "soft_labels/source->binary",
        "marginal/source",
    )
    supervised = Supervised(TASKS)(logits, labels)
    assert loss.raw[:5].tolist() == pytest.approx((supervised.sums / supervised.counts).tolist())
    coupling = DistributionMatching(relations()).double()(logits)
    assert loss.raw[5:8].tolist() == pytest.approx((coupling.sums / 8).tolist())
    assert loss.weighted.tolist() == (loss.raw * MULTIPLES).tolist()
    assert loss.total.item() == pytest.approx(loss.weighted.sum().item())
    assert not loss.raw.requires_grad


def test_weights_enter_the_weighted_terms_only():
    logits, labels = map(tensors, batch())
    plain = Objective(TASKS, relations(), BOTH).double()(logits, labels)
    couplings = {"distribution_matching": {"weight": 0.5}, "co_annotation": {"weight": 0}}
    weights = {"source": 2, "labels": 0.0}
    found = Objective(TASKS, relations(), couplings, task_weights=weights).double()(logits, labels)
    factors = [2, 1, 1, 0, 1, 0.5, 0.5, 0.5, 0, 0, 0, 0]
    assert found.raw.tolist() == plain.raw.tolist()
    assert found.weighted.tolist() == pytest.approx((plain.raw * torch.tensor(factors)).tolist())
    assert found.total.item() == pytest.approx(found.weighted.sum().item())


@pytest.mark.parametrize(
    ("ramp", "progress", "factor"),
    [(0.2, 0.0, 0.0), (0.2, 0.05, 0.25), (0.2, 0.2, 1.0), (0.2, 0.9, 1.0), (0.0, 0.0, 1.0)],
)
@pytest.mark.parametrize("kind", [float, torch.tensor], ids=["float", "tensor"])
def test_the_ramp_holds_back_the_couplings(ramp, progress, factor, kind):
    logits, labels = map(tensors, batch())
    objective = Objective(TASKS, relations(), BOTH, ramp=ramp).double()
    loss = objective(logits, labels, kind(progress))
    expected = torch.where(torch.arange(12) < 5, loss.raw, loss.raw * MULTIPLES * factor)
    assert loss.weighted.tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("empty", [task.name for task in TASKS])
def test_a_batch_without_labels_of_a_task_gives_zero(empty):
    logits, labels = batch()
    labels[empty][:] = -1
    leaves = tensors(logits, grad=True)
    loss = Objective(TASKS, relations(), {"co_annotation": {}}).double()(leaves, tensors(labels))
    assert dict(zip(loss.names, loss.raw.tolist(), strict=True))[f"supervised/{empty}"] == 0
    loss.total.backward()
    for name, leaf in leaves.items():
        assert torch.isfinite(leaf.grad).all(), name


def test_a_batch_without_any_label_has_only_distribution_matching():
    logits, labels = batch()
    labels = {name: np.full_like(codes, -1) for name, codes in labels.items()}
    leaves = tensors(logits, grad=True)
    loss = Objective(TASKS, relations(), BOTH).double()(leaves, tensors(labels))
    found = dict(zip(loss.names, loss.raw.tolist(), strict=True))
    assert {n for n, v in found.items() if v} == {n for n in found if n.startswith("distribution")}
    loss.total.backward()
    assert (leaves["other"].grad == 0).all()


def test_without_relations_couplings_by_relations_are_ignored():
    logits, labels = map(tensors, batch())
    loss = Objective(TASKS, (), BOTH)(logits, labels)
    assert loss.names == tuple(f"supervised/{task.name}" for task in TASKS)


@given(seeds)
@settings(max_examples=20)
def test_two_processes_give_the_gradient_of_the_whole_batch(seed):
    logits, labels = batch(seed)
    objective = Objective(TASKS, relations(seed), BOTH).double()
    whole = tensors(logits, grad=True)
    objective(whole, tensors(labels)).total.backward()
    shards = [
        tuple({name: values[i::2] for name, values in part.items()} for part in (logits, labels))
        for i in range(2)
    ]
    counts = []
    for scores, codes in shards:
        objective(tensors(scores), tensors(codes), 1.0, lambda c: counts.append(c) or c)
    mean = (counts[0] + counts[1]) / 2
    for i, (scores, codes) in enumerate(shards):
        leaves = tensors(scores, grad=True)
        objective(leaves, tensors(codes), 1.0, lambda _: mean).total.backward()
        for name, leaf in leaves.items():
            # the processes' gradients are averaged
            assert torch.allclose(leaf.grad / 2, whole[name].grad[i::2], atol=1e-12), name


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
@pytest.mark.parametrize("form", FORMS)
@given(seed=seeds)
@settings(max_examples=15)
def test_extreme_scores_stay_finite(form, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels = batch(seed)
    extreme = {
        name: rng.choice([-1e4, -40.0, 0.0, 40.0, 1e4], scores.shape).astype(np.float32)
        for name, scores in logits.items()
    }
    hard = [
        Relation(SOURCE, CLASSES, np.eye(3, 4)),
        Relation(SOURCE, LABELS, np.eye(3), rng.random((3, 3)) < 0.7),
    ]
    options = {"smoothing": smoothing}
    couplings = {"distribution_matching": {"form": form, **options}, "co_annotation": options}
    leaves = tensors(extreme, grad=True)
    loss = Objective(TASKS, hard, couplings)(leaves, tensors(labels))
    assert torch.isfinite(loss.raw).all()
    loss.total.backward()
    for name, leaf in leaves.items():
        assert torch.isfinite(leaf.grad).all(), name


@pytest.mark.parametrize("form", FORMS)
def test_the_objective_is_one_graph(form):
    logits, labels = batch()
    couplings = {**BOTH, "distribution_matching": {"form": form}}
    objective = Objective(TASKS, relations(), couplings).double()
    torch.compiler.reset()
    compiled = torch.compile(objective, fullgraph=True, backend="eager")
    found, expected = tensors(logits, grad=True), tensors(logits, grad=True)
    progress = torch.tensor(0.05)
    loss = compiled(found, tensors(labels), progress)
    loss.total.backward()
    eager = objective(expected, tensors(labels), progress)
    eager.total.backward()
    assert loss.weighted.tolist() == pytest.approx(eager.weighted.tolist())
    assert all(torch.allclose(found[name].grad, expected[name].grad) for name in found)


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        (
            (TASKS, relations(), {"distribution_maching": {}}),
            {},
            "no such coupling 'distribution_maching', expected 'distribution_matching', "
            "'co_annotation', 'distillation'; did you mean 'distribution_matching'?",
        ),
        (
            (TASKS, relations(), {"distribution_matching": {"forms": "js"}}),
            {},
            "coupling 'distribution_matching': no such option 'forms', expected 'weight', "
            "'smoothing', 'fade', 'form'; did you mean 'form'?",
        ),
        (
            (TASKS, relations(), {"distribution_matching": {"form": "jss"}}),
            {},
            "coupling 'distribution_matching': unknown form 'jss', expected 'symmetric', 'js', "
            "'source_to_target', 'target_to_source', 'paper'; did you mean 'js'?",
        ),
        (
            (TASKS, relations(), {"co_annotation": {"smoothing": 1.5}}),
            {},
            "coupling 'co_annotation': option 'smoothing' should be less than 1, found 1.5",
        ),
        (
            (TASKS, relations(), {"co_annotation": {"smoothing": "much"}}),
            {},
            "coupling 'co_annotation': option 'smoothing' should be a valid number, unable to "
            "parse string as a number, found 'much'",
        ),
        (
            (TASKS, relations(), {"co_annotation": {"weight": -1}}),
            {},
            "coupling 'co_annotation': option 'weight' should be greater than or equal to 0, "
            "found -1",
        ),
        (
            (TASKS, relations(), {"co_annotation": {"weight": "much"}}),
            {},
            "coupling 'co_annotation': option 'weight' should be a valid number, unable to parse "
            "string as a number, found 'much'",
        ),
        (
            (TASKS,),
            {"task_weights": {"sorce": 1}},
            "weight of task 'sorce': no such task, expected 'source', 'other', 'classes', "
            "'labels', 'binary'; did you mean 'source'?",
        ),
        (
            (TASKS,),
            {"task_weights": {"source": float("nan")}},
            "task 'source': found the weight 'nan', expected a number of 0 or more",
        ),
        (
            ((SOURCE, CLASSES), relations(), BOTH),
            {},
            "relation source->labels: no task 'labels', expected 'source', 'classes'",
        ),
        (
            ((Multiclass("source", (2, 1, 0)), CLASSES, LABELS, BINARY), relations(), BOTH),
            {},
            "relation source->classes: task 'source' has the classes or labels '0', '1', '2', "
            "expected '2', '1', '0'",
        ),
    ],
)
def test_bad_settings(arguments, options, error):
    with pytest.raises(LabelweaveError) as caught:
        Objective(*arguments, **options)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("backward", "multiple"), [("marginal", 3), ("posterior", 3), ("paper", 1), ("hard", 1)]
)
def test_summed_evidence_counts_the_weight_once_a_relation(backward, multiple):
    logits, labels = map(tensors, batch())
    options = {"co_annotation": {"forward": None, "backward": backward, "weight": 0.5}}
    loss = Objective(TASKS, relations(), options).double()(logits, labels)
    assert loss.weighted[5:].tolist() == pytest.approx((0.5 * multiple * loss.raw[5:]).tolist())
    assert float(loss.raw[5:].abs().sum()) > 0


@pytest.mark.parametrize(
    ("scores", "labels", "error"),
    [
        ({"source": None}, {}, "scores of task 'source': found none"),
        ({}, {"labels": None}, "labels of task 'labels': found none"),
        (
            {"labels": torch.zeros(4, 2)},
            {},
            "scores of task 'labels': found the shape (4, 2), expected (4, 3)",
        ),
        (
            {"classes": torch.zeros(5, 4)},
            {},
            "scores of task 'classes': found the shape (5, 4), expected (4, 4)",
        ),
        (
            {},
            {"source": torch.zeros(4, 3, dtype=torch.int64)},
            "labels of task 'source': found the shape (4, 3), expected (4,)",
        ),
        (
            {},
            {"source": torch.zeros(4, dtype=torch.int32)},
            "labels of task 'source': found int32, expected int64, -1 = missing",
        ),
        (
            {},
            {"labels": torch.zeros(4, 3)},
            "labels of task 'labels': found float32, expected integers, -1 = missing",
        ),
        (
            {"source": torch.zeros(4, 3, dtype=torch.float64)},
            {},
            "scores of task 'source': found float64, expected float32 as the couplings' tables; "
            "objective.to(torch.float64) turns these",
        ),
    ],
)
def test_a_batch_that_does_not_fit_the_tasks(scores, labels, error):
    rng = np.random.default_rng(0)
    objective = Objective(TASKS, relations(), {"co_annotation": {}})
    fit = {name: torch.tensor(part).float() for name, part in random_logits(rng, 4).items()}
    codes = tensors(random_labels(rng, 4))
    given = [{**good, **bad} for good, bad in ((fit, scores), (codes, labels))]
    given = [{k: v for k, v in each.items() if v is not None} for each in given]
    for loss in (objective, CoAnnotation(relations())):
        with pytest.raises(LabelweaveError) as caught:
            loss(*given)
        assert str(caught.value) == error
    assert torch.isfinite(objective(fit, codes).total)
    assert torch.isfinite(Objective(TASKS)(tensors(random_logits(rng, 4)), codes).total)


@given(st.integers(-(2**31), 2**31), st.integers(0, 3), st.booleans())
def test_a_label_out_of_range_is_one_line(value, row, multiclass):
    rng = np.random.default_rng(1)
    logits, codes = tensors(random_logits(rng, 4)), tensors(random_labels(rng, 4))
    task = next(task for task in TASKS if isinstance(task, Multiclass) == multiclass)
    labels = codes[task.name].long()
    labels[row if multiclass else (row, 0)] = value
    codes[task.name] = labels
    last = task.width - 1 if multiclass else 1
    for loss in (
        Objective(TASKS),
        Objective([task]),
        Objective(TASKS, relations(), COUPLED).double(),
    ):
        if 0 <= value <= last or value in (-1, -100):
            assert torch.isfinite(loss(logits, codes).total)
            continue
        with pytest.raises(LabelweaveError) as caught:
            loss(logits, codes)
        expected = (
            f"labels of task '{task.name}': found {value}, expected 0 to {last}, or -1 = missing"
        )
        assert str(caught.value).startswith(expected)


COUPLED = {"co_annotation": {}, "distribution_matching": {}}


@pytest.mark.parametrize("couplings", [{}, COUPLED], ids=["supervised", "coupled"])
def test_minus_100_is_missing_as_minus_1_is(couplings):
    rng = np.random.default_rng(2)
    logits, codes = tensors(random_logits(rng, 6)), tensors(random_labels(rng, 6))
    other = {name: torch.where(part < 0, -100, part.long()) for name, part in codes.items()}
    assert any((part == -100).any() for part in other.values())
    for tasks in (TASKS, *([task] for task in TASKS)):
        objective = Objective(tasks, relations() if len(tasks) > 1 else (), couplings).double()
        losses = [objective(logits, {k: v.long() for k, v in c.items()}) for c in (codes, other)]
        assert losses[0].total == losses[1].total
        assert torch.equal(losses[0].raw, losses[1].raw)


def test_a_compiled_objective_is_checked_on_request():
    rng = np.random.default_rng(4)
    logits, codes = tensors(random_logits(rng, 4)), tensors(random_labels(rng, 4))
    codes["source"] = torch.tensor([0, 3, -1, 1])
    objective = Objective(TASKS)
    with pytest.raises(LabelweaveError, match=r"task 'source': found 3, expected 0 to 2"):
        objective.check(logits, codes)


def test_labels_that_count_from_one_are_named():
    rng = np.random.default_rng(3)
    task = next(task for task in TASKS if isinstance(task, Multiclass))
    logits = tensors(random_logits(rng, task.width))
    codes = {task.name: torch.arange(1, task.width + 1)}
    with pytest.raises(LabelweaveError, match="labels count from 0"):
        Objective([task])(logits, codes)

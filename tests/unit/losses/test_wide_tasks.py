"""A task of very many classes stays apart from the columns: the same losses and gradients."""

from typing import Any

import numpy as np
import pytest
import torch

from labelweave.losses import Objective, _objective, _stack
from labelweave.losses._co_annotation import MarginalLikelihood
from labelweave.losses._layout import Columns
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel, Task

PERSON = Multiclass("person", tuple(f"p{i}" for i in range(11)))
GROUP = Multiclass("group", ("a", "b", "c"))
MARKS = Multilabel("marks", ("hat", "glasses", "beard", "smile"))
TASKS: tuple[Task, ...] = (GROUP, PERSON, MARKS)
ROWS = 24
FORMS: list[dict[str, dict[str, Any]]] = [
    {},
    {"distribution_matching": {}, "co_annotation": {}},
    {"co_annotation": {}},
    {"distribution_matching": {"form": "js"}, "co_annotation": {"backward": "posterior"}},
    {"distribution_matching": {"form": "paper"}, "co_annotation": {"backward": "paper"}},
    {"co_annotation": {"forward": "hard", "backward": "hard"}},
]


def relations(known: float) -> list[Relation]:
    rng = np.random.default_rng(3)
    mask = rng.random((11, 4)) < known
    classes = rng.dirichlet(np.ones(3), 11)
    return [
        Relation(PERSON, MARKS, np.where(mask, rng.random((11, 4)), 0.0), mask),
        Relation(PERSON, GROUP, classes),
        Relation(GROUP, MARKS, rng.random((3, 4))),
    ]


def batch() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    logits = {
        task.name: torch.randn(ROWS, task.width, generator=generator, dtype=torch.float64)
        for task in TASKS
    }
    rng = np.random.default_rng(1)
    person, group = rng.integers(-1, 11, ROWS), rng.integers(-1, 3, ROWS)
    person[::2], person[3] = -1, -100
    marks = rng.integers(-1, 2, (ROWS, 4))
    labels = {"group": group, "person": person, "marks": marks}
    return logits, {name: torch.from_numpy(codes) for name, codes in labels.items()}


def found(
    limit: int,
    couplings: dict[str, Any],
    known: float,
    monkeypatch: pytest.MonkeyPatch,
    number: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    for module in (_objective, _stack):
        monkeypatch.setattr(module, "WIDE", limit)
    objective = Objective(TASKS, relations(known)[:number], couplings).double()
    assert bool(objective.columns.wide) == (limit < 11)
    logits, labels = batch()
    given = [scores.requires_grad_() for scores in logits.values()]
    loss = objective(dict(zip(logits, given, strict=True)), labels)
    return loss.total, loss.raw, list(torch.autograd.grad(loss.total, given))


@pytest.mark.parametrize("known", [1.0, 0.6])
@pytest.mark.parametrize("couplings", FORMS)
def test_losses_and_gradients_are_those_of_the_columns(
    couplings: dict[str, Any], known: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    total, raw, gradients = found(1000, couplings, known, monkeypatch)
    wide_total, wide_raw, wide_gradients = found(10, couplings, known, monkeypatch)
    torch.testing.assert_close(wide_total, total, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(wide_raw, raw, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(wide_gradients, gradients, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("couplings", FORMS)
def test_of_labels_alone_only_the_on_columns_are_a_product(
    couplings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    total, raw, gradients = found(1000, couplings, 1.0, monkeypatch, 1)
    wide_total, wide_raw, wide_gradients = found(10, couplings, 1.0, monkeypatch, 1)
    torch.testing.assert_close(wide_total, total, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(wide_raw, raw, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(wide_gradients, gradients, rtol=1e-6, atol=1e-7)


def test_a_task_that_a_relation_predicts_stays_among_the_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_objective, "WIDE", 10)
    back = Relation(GROUP, PERSON, np.random.default_rng(0).dirichlet(np.ones(11), 3))
    assert not Objective(TASKS, [back], {"distribution_matching": {}}).columns.wide


def test_tasks_that_are_all_wide_need_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_objective, "WIDE", 2)
    objective = Objective((GROUP, PERSON))
    logits, labels = batch()
    loss = objective({n: logits[n].float() for n in ("group", "person")}, labels)
    expected = [
        torch.nn.functional.cross_entropy(
            logits[n].float(), labels[n].clamp(min=-1), ignore_index=-1
        )
        for n in ("group", "person")
    ]
    torch.testing.assert_close(loss.raw, torch.stack(expected))


def test_the_gradient_of_the_rows_that_teach_is_a_gradient_of_all_rows() -> None:
    """No dense gradient is added to it here."""
    tables = relations(1.0)[::2]  # the second one's source is not wide
    terms = [
        MarginalLikelihood(tables, columns=Columns(TASKS, wide)).double()
        for wide in ((), ("person",))
    ]
    logits, labels = batch()
    given = [logits[name].requires_grad_() for name in ("person", "group")]
    sums = [loss(logits, labels).sums.sum() for loss in terms]
    dense, wide = (torch.autograd.grad(loss, given) for loss in sums)
    torch.testing.assert_close(wide, dense)
    assert wide[0].layout == torch.strided
    assert bool((wide[0][labels["person"] >= 0] == 0).all())

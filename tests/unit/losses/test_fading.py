import numpy as np
import pytest
import torch

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.losses import (
    CoAnnotation,
    DistributionMatching,
    Objective,
)
from labelweave.relations import Relation
from labelweave.relations._transfer_weights import label_counts, prior_transfer_weights
from labelweave.tasks import Multiclass, Multilabel

ERRORS = {
    "0": "coupling 'co_annotation': option 'fade' should be greater than 0, found 0",
    "-1": "coupling 'co_annotation': option 'fade' should be greater than 0, found -1",
    "much": (
        "coupling 'co_annotation': option 'fade' should be a valid number, unable to parse string "
        "as a number, found 'much'"
    ),
    "nan": "coupling 'co_annotation': option 'fade' should be a finite number, found nan",
}
KIND = Multiclass("kind", ("a", "b", "c"))
MARKS = Multilabel("marks", ("x", "y"))
FORM = Multiclass("form", ("round", "flat"))
TASKS = (KIND, MARKS, FORM)
RELATIONS = [
    Relation(KIND, MARKS, [[0.9, 0.1], [0.2, 0.8], [0.5, 0.3]]),
    Relation(KIND, FORM, [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]),
]
WEIGHTS = {
    "kind": np.full(3, 0.5),
    "marks": np.array([0.25, 0.25]),
    "form": np.full(2, 0.125),
}


def batch(seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    logits = {t.name: torch.randn(8, t.width, generator=generator) for t in TASKS}
    rng = np.random.default_rng(seed)
    labels = {
        "kind": torch.tensor(np.where(np.arange(8) < 4, rng.integers(0, 3, 8), -1)),
        "marks": torch.tensor(np.where(np.arange(8)[:, None] < 4, -1, rng.integers(0, 2, (8, 2)))),
        "form": torch.tensor(np.where(np.arange(8) < 4, -1, rng.integers(0, 2, 8))),
    }
    return logits, labels


def gradients(loss, logits, labels) -> dict[str, torch.Tensor]:
    leaves = {name: values.clone().requires_grad_() for name, values in logits.items()}
    loss(leaves, labels).means().sum().backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("make", [DistributionMatching, CoAnnotation])
def test_what_a_task_learns_is_multiplied_by_its_own_weight(make) -> None:
    logits, labels = batch()
    whole = gradients(make(RELATIONS), logits, labels)
    part = gradients(make(RELATIONS, transfer_weights=WEIGHTS), logits, labels)
    for name, factor in (("kind", 0.5), ("marks", 0.25), ("form", 0.125)):
        assert torch.allclose(part[name], factor * whole[name], atol=1e-6)
        assert whole[name].abs().max() > 0


def test_the_papers_form_does_not_fade_and_js_fades_by_the_mean() -> None:
    logits, labels = batch()
    paper = DistributionMatching(RELATIONS, "paper")(logits, labels).means()
    assert torch.equal(
        DistributionMatching(RELATIONS, "paper", transfer_weights=WEIGHTS)(logits, labels).means(),
        paper,
    )
    js = DistributionMatching(RELATIONS, "js")(logits, labels).means()
    faded = DistributionMatching(RELATIONS, "js", transfer_weights=WEIGHTS)(logits, labels).means()
    assert torch.allclose(faded, torch.tensor([0.375, 0.3125]) * js)


def test_own_labels_and_the_weights_that_follow() -> None:
    labels = Annotations(
        (KIND, MARKS),
        {
            "kind": np.array([0, 0, 1, -1]),
            "marks": np.array([[1, 0], [1, -1], [0, 0], [-1, 0]]),
        },
    )
    counts = label_counts(labels)
    assert {name: list(own) for name, own in counts.items()} == {"kind": [2, 1, 0], "marks": [1, 0]}
    found = prior_transfer_weights(TASKS, counts, 2.0)
    assert found["kind"] == pytest.approx(np.full(3, (2 / 4 + 2 / 3 + 1) / 3))
    assert found["marks"] == pytest.approx([2 / 3, 1])
    assert found["form"] == pytest.approx([1, 1])


def test_an_objective_fades_by_its_counts_by_default() -> None:
    logits, labels = batch()
    counts = {"kind": np.full(3, 20.0), "marks": np.full(2, 60.0), "form": np.full(2, 1e9)}
    whole = Objective(TASKS, RELATIONS, {"co_annotation": {}})(logits, labels)
    kept = Objective(TASKS, RELATIONS, {"co_annotation": {"fade": None}}, counts=counts)
    faded = Objective(TASKS, RELATIONS, {"co_annotation": {}}, counts=counts)(logits, labels)
    assert torch.equal(kept(logits, labels).weighted, whole.weighted)
    ratio = dict(zip(whole.names, (faded.weighted / whole.weighted).tolist(), strict=True))
    assert ratio["marginal/kind"] == pytest.approx(0.5)
    assert ratio["soft_labels/kind->marks"] == pytest.approx(0.25)
    assert ratio["soft_labels/kind->form"] == pytest.approx(0, abs=1e-6)
    assert ratio["supervised/kind"] == 1
    for fade in (0, -1, "much", float("nan")):
        with pytest.raises(LabelweaveError) as error:
            Objective(TASKS, RELATIONS, {"co_annotation": {"fade": fade}}, counts=counts)
        assert str(error.value) == ERRORS[str(fade)]
    with pytest.raises(LabelweaveError, match=r"task 'form': found own labels of shape \(3,\)"):
        Objective(TASKS, RELATIONS, {"co_annotation": {}}, counts=counts | {"form": np.ones(3)})

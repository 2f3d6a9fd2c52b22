import numpy as np
import pytest
import torch
from losses_reference import (
    BINARY,
    CLASSES,
    LABELS,
    OTHER,
    SOURCE,
    TASKS,
    random_labels,
    random_relation,
)  # fmt: skip
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from labelweave.losses import Objective
from labelweave.losses._co_annotation import BACKWARD
from labelweave.losses._distribution_matching import FORMS
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import NoisyOr

COUPLINGS = [
    *({"distribution_matching": {"form": form}} for form in FORMS),
    *({"co_annotation": {"forward": "hard", "backward": form}} for form in BACKWARD),
    {"distillation": {}},
    {"distribution_matching": {}, "co_annotation": {}},
]


class Step(nn.Module):
    """Network and objective in one graph."""

    def __init__(self, couplings):
        super().__init__()
        rng = np.random.default_rng(0)
        pairs = [(SOURCE, CLASSES), (SOURCE, LABELS), (OTHER, SOURCE)]
        noisy_or = NoisyOr(LABELS, BINARY, rng.random((3, 1)), [0.1], [[True], [True], [False]])
        relations = [*(random_relation(rng, *pair) for pair in pairs), noisy_or]
        torch.manual_seed(0)
        self.network = MultiTaskNetwork(backbone("mlp", 5, hidden=[8], dropout=0.0), TASKS)
        self.objective = Objective(TASKS, relations, couplings, ramp=0.5)

    def forward(self, inputs, labels, progress):
        logits = self.network(inputs)
        teachers = {name: 2 * scores for name, scores in logits.items()}
        return self.objective(logits, labels, progress, teachers=teachers)


def batch(seed=0, rows=16):
    rng = np.random.default_rng(seed)
    labels = {name: torch.tensor(codes) for name, codes in random_labels(rng, rows).items()}
    return torch.tensor(rng.standard_normal((rows, 5)), dtype=torch.float32), labels


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("couplings", COUPLINGS[-1:], ids=["both"])
def test_a_step_is_one_graph_compiled_once(backend, couplings):
    check_compiled(backend, couplings)


@pytest.mark.parametrize("couplings", COUPLINGS[:-1], ids=str)
def test_every_form_is_one_graph_compiled_once(couplings):
    check_compiled("eager", couplings)


def check_compiled(backend, couplings):
    step, twin = Step(couplings), Step(couplings)
    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, backend=backend, dynamic=False)
    found = compiled(*batch(), torch.tensor(0.1))
    expected = twin(*batch(), torch.tensor(0.1))
    found.total.backward()
    expected.total.backward()
    assert torch.allclose(found.weighted, expected.weighted, atol=1e-6)
    for one, other in zip(step.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6)
    # another batch and a progress on the other side of the ramp's end: the same graph
    with torch.compiler.set_stance("fail_on_recompile"):
        later = compiled(*batch(1), torch.tensor(0.9))
    assert torch.allclose(later.weighted, twin(*batch(1), torch.tensor(0.9)).weighted, atol=1e-6)


@pytest.mark.parametrize("couplings", COUPLINGS, ids=str)
def test_a_step_never_waits_for_a_value(couplings):
    # tensors without values: looking at one, as .item() and boolean indexing do, raises
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        step = Step(couplings)
        step.objective.checked = True  # only the first batch is looked at
        inputs, labels = torch.empty(16, 5), {}
        for task in TASKS:
            shape = (16,) if task.kind == "multiclass" else (16, task.width)
            labels[task.name] = torch.empty(shape, dtype=torch.int64)
        loss = step(inputs, labels, mode.from_tensor(torch.tensor(0.3)))
        loss.total.backward()
    assert loss.weighted.shape == (len(loss.names),)

"""AdamW against PyTorch's own, and what a training must not import."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from labelweave.training._optimiser import AdamW


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))


def groups_of(network: nn.Sequential) -> list[dict[str, Any]]:
    return [
        {"params": list(network[0].parameters()), "factor": 0.5},
        {"params": list(network[2].parameters()), "factor": 1.0},
    ]


def stepped(network: nn.Sequential, optimizer: Any, steps: range) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * 0.1 / (step + 1)
        generator = torch.Generator().manual_seed(step)
        loss = network(torch.randn(4, 5, generator=generator)).square().sum()
        for weight in network.parameters():
            weight.grad = None
        loss.backward()
        if step % 3 == 1:  # a weight that no loss reaches stays as it is
            network[2].bias.grad = None
        optimizer.step()


def test_steps_and_state_are_those_of_pytorch_to_the_last_bit() -> None:
    ours, theirs = layers(), layers()
    own = AdamW(groups_of(ours), 0.3)
    reference = torch.optim.AdamW(groups_of(theirs), lr=1.0, weight_decay=0.3, fused=True)
    stepped(ours, own, range(6))
    stepped(theirs, reference, range(6))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    expected = reference.state_dict()["state"]
    state = own.state_dict()["state"]
    assert state.keys() == expected.keys()
    for number, slots in state.items():
        assert slots.keys() == expected[number].keys()
        assert all(torch.equal(slots[name], expected[number][name]) for name in slots)


def test_a_state_taken_back_goes_on_as_if_unbroken() -> None:
    unbroken, network = layers(), layers()
    stepped(unbroken, AdamW(groups_of(unbroken), 0.1), range(8))
    first = AdamW(groups_of(network), 0.1)
    stepped(network, first, range(5))
    state = first.state_dict()["state"]
    again = AdamW(groups_of(network), 0.1)
    again.load_state_dict({"state": state, "param_groups": again.param_groups})
    stepped(network, again, range(5, 8))
    for mine, other in zip(network.parameters(), unbroken.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_the_state_of_another_network_is_refused() -> None:
    network, other = layers(), nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3))
    first = AdamW(groups_of(network), 0.1)
    stepped(network, first, range(1))
    with pytest.raises(ValueError, match="another weight"):
        AdamW(groups_of(other), 0.1).load_state_dict(first.state_dict())


@pytest.mark.slow
def test_a_training_on_the_cpu_imports_neither_fabric_nor_the_compiler() -> None:
    code = (
        "import sys, numpy as np, pandas as pd\n"
        "from labelweave import MultiTaskClassifier\n"
        "frame = pd.DataFrame({'a': np.arange(40.0), 'b': np.arange(40) % 2})\n"
        "frame['kind'] = np.where(frame['b'] == 1, 'odd', 'even')\n"
        "frame['large'] = np.where(frame['a'] > 20, 'yes', 'no')\n"
        "MultiTaskClassifier(method='multi_task', steps=3).fit(frame[['a', 'b']],"
        " frame[['kind', 'large']])\n"
        "print({'lightning_fabric', 'torch._dynamo', 'sympy'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

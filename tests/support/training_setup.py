"""A small training that the tests of the trainer share."""

import numpy as np
import torch

from labelweave.annotations import Annotations
from labelweave.balancing import Proportional
from labelweave.data._batches import Batches
from labelweave.losses import Objective
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation
from labelweave.tasks import Binary, Multiclass
from labelweave.training import Trainer, TrainingConfig

SPECIES = Multiclass("species", ("a", "b", "c"))
TASKS = (SPECIES, Binary("sick"))
RELATION = Relation(SPECIES, TASKS[1], [[0.9], [0.1], [0.5]])
COUPLINGS = {"distribution_matching": {}, "co_annotation": {}}
ROWS = 60


class Setup:
    """A small training: two tasks, each labelled on half of the rows, an MLP with dropout."""

    def __init__(self, folder=None, body=None, **config):
        rng = np.random.default_rng(0)
        self.inputs = rng.standard_normal((ROWS, 4)).astype(np.float32)
        species = self.inputs[:, :3].argmax(axis=1)
        sick = np.where(species == 0, 1, 0)[:, None].astype(np.int8)
        species[::2], sick[1::2] = -1, -1
        labels = Annotations(TASKS, {"species": species, "sick": sick})
        torch.manual_seed(0)
        self.network = MultiTaskNetwork(body or backbone("mlp", 4, hidden=[8]), TASKS)
        self.objective = Objective(TASKS, [RELATION], COUPLINGS)
        self.batches = Batches(self.inputs, labels, Proportional([np.arange(ROWS)], 8, 0))
        self.trainer = Trainer(TrainingConfig(accelerator="cpu", **config), seed=1, folder=folder)

    def fit(self, steps=230, validate=None):
        return self.trainer.fit(self.network, self.objective, self.batches, steps, validate)

    def weights(self):
        return {name: value.clone() for name, value in self.network.state_dict().items()}


def accuracy(network):
    # random numbers of the caller's own must not change the training
    torch.rand(3)
    found = network.probabilities(torch.eye(3, 4))["species"]
    return {"species": float(found.diagonal().mean()), "sick": None}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def raise_once(step, action, validate=accuracy):
    """Return a validation that acts when it is asked for the step-th time."""
    calls = iter(range(1, 1000))

    def wrapped(network):
        if next(calls) == step:
            action()
        return validate(network)

    return wrapped

"""How well a trained network fits each of its tasks: training rows against validation rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.evaluation import evaluate, main_metric
from labelweave.inference import joint_probabilities
from labelweave.losses import own_labels
from labelweave.networks import MultiTaskNetwork
from labelweave.priors import labelled_prior
from labelweave.study.fold import Rows
from labelweave.tasks import Task

ROWS = 2000  # training rows of a task that are looked at


def task_fits(
    network: MultiTaskNetwork, train: Rows, labels: Annotations, validation: Rows
) -> dict[str, dict[str, Any]]:
    """Return per task of a network how well it was learnt.

    - ``labels``: labelled elements of the training rows; ``rarest`` and ``rarest_labels``: the
      class, or the label's state, with the fewest, and how many it has.
    - ``train``: of (at most 2,000) labelled training rows the ``loss`` (cross-entropy an element),
      its value for a ``constant`` predictor, which says the classes' shares whatever the inputs,
      and the ``score``, the main metric; ``validation``: the same of the validation rows, None
      where none carries the label.

    Args:
        network: the trained network.
        train: the training rows.
        labels: their labels, as the network saw them.
        validation: the validation rows; may be empty.
    """
    picked = np.unique(np.concatenate([_some(labels, task.name) for task in network.tasks]))
    given = joint_probabilities([network], train.inputs[picked])
    seen = labels[picked]
    kept_out = None
    if len(validation.index):
        kept_out = joint_probabilities([network], validation.inputs)
    found: dict[str, dict[str, Any]] = {}
    counts = own_labels(labels)
    for task in network.tasks:
        prior, own = labelled_prior(labels, task.name), counts[task.name]
        rarest = int(own.argmin())
        found[task.name] = {
            "labels": int(labels.observed(task.name).sum()),
            "rarest": str(task.names[rarest]),
            "rarest_labels": int(own[rarest]),
            "train": _side(task, given[task.name], seen, prior),
            "validation": None
            if kept_out is None
            else _side(task, kept_out[task.name], validation.annotations, prior),
        }
    return found


def _some(labels: Annotations, name: str) -> NDArray[np.int64]:
    """Return labelled rows of a task, at most `ROWS` of them, evenly spread."""
    rows = np.flatnonzero(labels.labelled(name))
    if len(rows) <= ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, ROWS).round().astype(np.int64)]


def _side(
    task: Task, given: NDArray[np.float32], labels: Annotations, prior: NDArray[np.float64]
) -> dict[str, float] | None:
    codes = labels.labels[task.name]
    found = evaluate(task, given, codes)
    constant = evaluate(task, np.broadcast_to(prior, given.shape), codes)
    if found["log_loss"] is None:
        return None
    return {
        "loss": found["log_loss"],
        "constant": constant["log_loss"] or 0.0,
        "score": found[main_metric(task)] or 0.0,
    }

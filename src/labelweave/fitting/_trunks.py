"""Which tasks of a joint network have a trunk that no other task reads: training rows decide."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.fitting._config import FitConfig
from labelweave.fitting._networks import Fit, train_fits
from labelweave.fitting._split import Rows, Split, held_out
from labelweave.model import NetworkSpec, joint_probabilities
from labelweave.relations._transfer_weights import label_counts
from labelweave.tasks import Multiclass, Task

PARTS = 5  # one of them is held out
SHARE = 0.4  # of the training's steps of each trial: the harm of sharing shows late
MOST = 3  # tasks on trial: each makes its steps longer
LEAST = 1e-6  # a probability below counts as this one
DEVIATIONS = 1.645  # one-sided 5 %
ROWS = 3  # with fewer the test cannot pass

Floats = NDArray[np.float64]


def choose_trunks(
    split: Split, labels: Annotations, tasks: Sequence[Task], config: FitConfig
) -> tuple[str, ...]:
    """Return the names of the tasks that are to share no trunk with another.

    With ``trunks: auto`` the up to three tasks with the fewest labels are on trial. Two networks,
    one with a single trunk and one where these tasks have their own, are trained for 40 % of
    the steps each, from one seed and on the same batches, without a fifth of the training rows.
    With d_i the log-likelihood of held-out row i's labels in the second, minus that in the first,
    a task gains where

        sum_i d_i > 1.645 sqrt(1 + sum_i d_i^2):

    a one-sided test of a self-normalised sum, with one nat more in its spread. One or two rows can
    never decide. Classes, and labels of several, that the trials have not seen are left out.

    A task leaves only with all that have fewer labels: those that stay learn from it.

    Args:
        split: the data of one seed; only its training rows are looked at.
        labels: of its training rows.
        tasks: the network's.
        config: the settings.
    """
    if len(tasks) < 2 or config.network.trunks == "shared":
        return ()
    if config.network.trunks == "own":
        return tuple(task.name for task in tasks)
    if not config.network.chooses_trunks:
        return ()
    inner, out = next(held_out(_training_rows(split, labels), PARTS))
    held, kept = labels[out], inner.train.annotations
    seen = {name: counts > 0 for name, counts in label_counts(kept).items()}
    on_trial: list[Task] = []
    for task in sorted(tasks, key=lambda task: int(labels.observed(task.name).sum()))[:MOST]:
        if _judged(task, held, seen[task.name]).sum() < ROWS:
            break
        on_trial.append(task)
    if not on_trial:
        return ()
    first, second = (
        _trial(inner, tasks, config, own) for own in ((), [task.name for task in on_trial])
    )
    found: list[str] = []
    for task in on_trial:
        shared, apart = (
            _likelihoods(task, each[task.name], held, seen[task.name]) for each in (first, second)
        )
        if not parts_are_better(shared, apart):
            break
        found.append(task.name)
    return tuple(found)


def parts_are_better(shared: Floats, apart: Floats) -> bool:
    """Return whether held-out log-likelihoods, (n,), are better apart: see `choose_trunks`."""
    better = apart - shared
    return bool(better.sum() > DEVIATIONS * np.sqrt(1.0 + (better**2).sum()))


def _training_rows(split: Split, labels: Annotations) -> Split:
    train, none = replace(split.train, annotations=labels), np.zeros(0, np.int64)
    nothing = Rows(train.inputs[:0], labels[:0], none, none)
    return replace(split, train=train, validation=nothing, everything=None)


def _trial(
    split: Split, tasks: Sequence[Task], config: FitConfig, own: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Return what a network predicts of the held-out rows after a short, uncoupled training."""
    steps = max(1, round(SHARE * config.training.total_steps(len(split.train.index))))
    training = config.training.model_copy(update={"steps": steps, "epochs": None, "patience": None})
    config = config.model_copy(update={"training": training})
    spec = NetworkSpec(config.network.backbone, config.network.options())
    labels = split.train.annotations
    trial = Fit(split, labels, list(tasks), (), (), {}, config, spec, None, own_trunks=own)
    return joint_probabilities(train_fits([trial], None, False, None), split.test.inputs)


def _judged(task: Task, labels: Annotations, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows that have a label which counts, (n,)."""
    codes = labels.labels[task.name]
    if isinstance(task, Multiclass):
        return (codes >= 0) & seen[codes]
    return np.asarray(((codes >= 0) & seen).any(axis=1), np.bool_)


def _likelihoods(
    task: Task, given: NDArray[np.float32], labels: Annotations, seen: NDArray[np.bool_]
) -> Floats:
    """Return the log-likelihood, in nats, of every row that is judged."""
    rows = _judged(task, labels, seen)
    codes = labels.labels[task.name][rows]
    p = np.clip(np.asarray(given[rows], np.float64), LEAST, 1 - LEAST)
    if isinstance(task, Multiclass):
        return np.asarray(np.log(p[np.arange(len(p)), codes]))
    each = np.where(codes == 1, np.log(p), np.log1p(-p))
    return np.asarray(np.where((codes >= 0) & seen, each, 0.0).sum(axis=1))

"""The guard: candidates for a task's predictions, averaged with weights from held-out labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from labelweave.annotations import Annotations
from labelweave.coupling._strengths import ESTIMATED, GRID, Strength
from labelweave.learners._stacking import Judged, fit_temperature, own_labels, tempered
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# all rows with related labels count as so many own labels a class together, and at least as so many
PER_CLASS, AT_LEAST = 3, 20
PRIOR_ALONE, PRIOR_TRUSTED = 0.5, 0.1  # prior of `alone` without and with an expert's table
ESTIMATED_MEAN = float(ESTIMATED @ GRID)
LEAST = 1e-3  # a candidate of less weight is dropped


@dataclass(frozen=True)
class Candidate:
    """One way to predict a task, in the average.

    Attributes:
        name: ``alone``, ``coupled``, ``self_trained``, ``self_trained_coupled`` or a joint
            learner's name.
        weight: posterior probability.
        temperature: of its probabilities.
        likelihood: mean log-likelihood of the judging rows.
    """

    name: str
    weight: float
    temperature: float
    likelihood: float


def guard(
    task: Task, predictions: Mapping[str, Floats], judged: Judged, trust: float = 0.0
) -> list[Candidate]:
    """Return the candidates' posterior weights, prior times exp(held-out log-likelihood).

    Candidates that do harm get weight 0; those that held-out labels cannot distinguish are
    averaged. A gain over `alone` on a few rows is noisy, and candidates must not win by noise:
    their gain counts less its standard error, sqrt(n) times the deviation of a row's gain, and
    `alone` is half of the prior. As far as the tables are trusted, nothing is subtracted and
    `alone` is a tenth of the prior: an expert's table stands without evidence against it.

    Args:
        task: the task.
        predictions: by candidate, (n, W) for all rows that `judged` counts in, made without them;
            ``alone`` among them.
        judged: the rows that judge.
        trust: of the task's relations, see `trust_in`.
    """
    names = list(predictions)
    fits, temperatures = [], []
    for name in names:
        p = predictions[name][judged.rows]
        # `alone` has its learners' temperatures already
        t = 1.0 if name == "alone" else fit_temperature(task, p, judged)
        fits.append(judged.likelihood(tempered(task, p, t)))
        temperatures.append(t)
    own = PRIOR_ALONE + trust * (PRIOR_TRUSTED - PRIOR_ALONE)
    alone = fits[names.index("alone")]
    scores = []
    for name, fit in zip(names, fits, strict=True):
        if name == "alone":
            scores.append(np.log(own) if len(names) > 1 else 0.0)
            continue
        gain = fit - alone
        error = np.sqrt(judged.weight.sum()) * _deviation(gain, judged.weight)
        prior = np.log((1 - own) / (len(names) - 1))
        scores.append(prior + float(judged.weight @ gain) - (1 - trust) * error)
    weights = softmax(np.array(scores))
    weights = np.where(weights >= LEAST, weights, 0.0)
    weights /= weights.sum()
    total = max(float(judged.weight.sum()), 1e-9)
    return [
        Candidate(name, float(w), t, float(judged.weight @ fit) / total)
        for name, w, t, fit in zip(names, weights, temperatures, fits, strict=True)
    ]


def trust_in(name: str, strengths: Sequence[Strength]) -> float:
    """Return how far the relations of a task are trusted, the best of them, from 0 to 1.

    An expert's table by its strength; an estimated one by how far its strength was raised above the
    mean of its prior.
    """
    found = [0.0]
    for s in strengths:
        if name in s.version.whole.ends():
            power = s.to_source if s.version.whole.source.name == name else s.to_target
            raised = max(0.0, (power - ESTIMATED_MEAN) / (1 - ESTIMATED_MEAN))
            found.append(s.as_given * power + (1 - s.as_given) * raised)
    return min(1.0, max(found))


def _deviation(values: Floats, weight: Floats) -> float:
    """Return the weighted standard deviation; 0 without rows."""
    total = float(weight.sum())
    if not total > 0:
        return 0.0
    mean = float(weight @ values) / total
    return float(np.sqrt(max(0.0, float(weight @ (values - mean) ** 2) / total)))


def judging_rows(
    annotations: Annotations,
    name: str,
    folds: Rows,
    weight: Floats,
    related: Rows,
    strengths: Sequence[Strength],
) -> Judged:
    """Return what judges predictions of a task: its own held-out labels, and related labels.

    A row with labels of related tasks judges through the expert's tables as they are, at the
    strength that the labels allow them: M(s) = prod_o (T[s, y_o] / pi_o)^lambda. All such rows
    together count as much as three own labels a class, at least 20. Estimated tables and revisions
    do not judge: they come from the very predictions that would be judged.

    Args:
        annotations: labels of n rows.
        name: the task.
        folds: (n,) fold of every row for this task.
        weight: (n,) how much every row counts.
        related: rows without a label of this task, predicted without their own labels' help.
        strengths: the relations.
    """
    task = annotations.task(name)
    codes = annotations.labels[name]
    own = np.flatnonzero(annotations.labelled(name) & (folds >= 0))
    judged = own_labels(task, codes, own, weight)
    evidence = related_evidence(annotations, task, related, strengths) if len(related) else None
    if evidence is None:
        return judged
    spread = np.ptp(evidence, axis=-1).reshape(len(related), -1).max(axis=1) > 1e-6
    rows, evidence = related[spread], evidence[spread]
    if not len(rows):
        return judged
    most = max(AT_LEAST, PER_CLASS * (task.width if isinstance(task, Multiclass) else 2))
    part = Judged(rows, evidence, weight[rows] * min(1.0, most / len(rows)))
    return Judged.join([judged, part])


def related_evidence(
    annotations: Annotations, task: Task, rows: Rows, strengths: Sequence[Strength]
) -> Floats | None:
    """Return what the related labels of rows say about a task's classes: (r, K) or (r, L, 2)."""
    found = None
    for strength in strengths:
        link = strength.expert
        if link is None or task.name not in link.ends() or strength.as_given < 0.5:
            continue
        to_source = link.source.name == task.name
        on, off = link.log_ratio(task.name)
        power = link.to_source if to_source else link.to_target
        if to_source and isinstance(task, Multiclass):
            message = _from_target(annotations.labels[link.target.name][rows], on, off)
        elif not to_source and isinstance(link.source, Multiclass):
            message = _from_source(annotations.labels[link.source.name][rows], on, off)
        else:
            continue  # causes and effects of a noisy-OR: no single label says enough
        found = power * message + (0.0 if found is None else found)
    return None if found is None else np.exp(found - found.max(axis=-1, keepdims=True))


def _from_target(codes: NDArray[np.integer], on: Floats, off: Floats | None) -> Floats:
    if off is None:
        return np.where((codes >= 0)[:, None], on[:, np.maximum(codes, 0)].T, 0.0)
    return np.asarray((codes == 1) @ on.T + (codes == 0) @ off.T)


def _from_source(codes: NDArray[np.integer], on: Floats, off: Floats | None) -> Floats:
    if off is None:
        return np.where((codes >= 0)[:, None], on[np.maximum(codes, 0)], 0.0)
    both = np.stack([off, on], axis=2)[np.maximum(codes, 0)]
    return np.where((codes >= 0)[:, None, None], both, 0.0)

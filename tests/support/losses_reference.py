"""Random problems, and slow, literal forms of the losses: Python loops over samples and classes.

A sample is a dictionary of probabilities: task name to a list of P(class) or of P(label on).
"""

from math import log

import numpy as np
import torch

from labelweave.relations import Relation
from labelweave.tasks import Binary, Multiclass, Multilabel

SOURCE = Multiclass("source", range(3))
OTHER = Multiclass("other", range(2))
CLASSES = Multiclass("classes", range(4))
LABELS = Multilabel("labels", ("a", "b", "c"))
BINARY = Binary("binary")
TASKS = (SOURCE, OTHER, CLASSES, LABELS, BINARY)

EPS = 1e-6  # q is clamped from below by this much


def random_relation(rng, source, target, known=0.8, strength=None):
    shape = (source.width, target.width)
    mask = rng.random(shape) < known
    if isinstance(target, Multiclass):
        mask[:] = mask[:, :1]
        table = rng.dirichlet(np.ones(target.width), source.width)
    else:
        table = rng.random(shape)
    strength = 0.5 + rng.random() if strength is None else strength
    return Relation(source, target, table, mask, strength)


def random_relations(rng, known=0.8):
    pairs = [(SOURCE, target) for target in (CLASSES, LABELS, BINARY)]
    pairs += [(OTHER, target) for target in (LABELS, SOURCE)]
    chosen = [pair for pair in pairs if rng.random() < 0.7] or pairs[:1]
    return [random_relation(rng, *pair, known) for pair in chosen]


def random_logits(rng, n=3):
    return {t.name: 1.5 * rng.standard_normal((n, t.width)) for t in TASKS}


def random_labels(rng, n=3):
    shape = {t.name: (n,) if isinstance(t, Multiclass) else (n, t.width) for t in TASKS}
    top = {t.name: t.width if isinstance(t, Multiclass) else 2 for t in TASKS}
    return {name: rng.integers(-1, top[name], shape[name]) for name in shape}


def tensors(arrays, grad=False):
    return {name: torch.tensor(a, requires_grad=grad) for name, a in arrays.items()}


def to_samples(logits):
    probabilities = {}
    for task in TASKS:
        scores = logits[task.name]
        if isinstance(task, Multiclass):
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            probabilities[task.name] = weights / weights.sum(axis=1, keepdims=True)
        else:
            probabilities[task.name] = 1 / (1 + np.exp(-scores))
    n = len(logits["source"])
    return [{name: p[i].tolist() for name, p in probabilities.items()} for i in range(n)]


def values(terms):
    return (terms.sums / terms.counts.clamp(min=1e-9)).tolist()


def smoothed(relation, smoothing, row, column, entries=None):
    """One entry of the table, mixed with the uniform distribution."""
    table = relation.table if entries is None else entries
    uniform = 1 / relation.target.width if isinstance(relation.target, Multiclass) else 0.5
    return (1 - smoothing) * float(table[row][column]) + smoothing * uniform


def pushed(relation, smoothing, p_source, column, rounded=False):
    """Return q of one column over the classes that inform about it, and their probability."""
    q = mass = 0.0
    for s, p in enumerate(p_source):
        if relation.mask[s][column]:
            entry = smoothed(relation, smoothing, s, column)
            q += p * (float(entry > 0.5) if rounded else entry)
            mass += p
    return (q / mass if mass > 0 else 0.0), mass


def divergence(form, p, q, frozen_p, frozen_q):
    """One column's loss; the frozen arguments are those behind a stop-gradient."""
    if form == "source_to_target":
        return frozen_q * (log(max(frozen_q, EPS)) - log(p))
    if form == "target_to_source":
        return frozen_p * (log(frozen_p) - log(max(q, EPS)))
    if form == "symmetric":
        return 0.5 * (
            divergence("source_to_target", p, q, frozen_p, frozen_q)
            + divergence("target_to_source", p, q, frozen_p, frozen_q)
        )
    if form == "js":
        m = (p + q) / 2
        return 0.5 * (p * (log(p) - log(m)) + q * (log(max(q, EPS)) - log(m)))
    return -p * log(max(q, EPS))  # the paper's


def distribution_matching(relation, form, smoothing, samples, frozen=None):
    """Return the relation's term: strength times the mean over samples."""
    total = 0.0
    source, target = relation.source.name, relation.target
    spoken = [j for j in range(target.width) if relation.mask[:, j].any()]
    for sample, stopped in zip(samples, frozen or samples, strict=True):
        for j in spoken:
            rounded = form == "paper" and not isinstance(target, Multiclass)
            q, _ = pushed(relation, smoothing, sample[source], j, rounded)
            stopped_q, mass = pushed(relation, smoothing, stopped[source], j, rounded)
            p, stopped_p = sample[target.name][j], stopped[target.name][j]
            loss = divergence(form, p, q, stopped_p, stopped_q)
            if not isinstance(target, Multiclass):
                if form != "paper":
                    loss += divergence(form, 1 - p, 1 - q, 1 - stopped_p, 1 - stopped_q)
                loss /= len(spoken)
            total += mass * loss
    return relation.strength * total / len(samples)


def soft_labels(relation, smoothing, samples, labels):
    """Return the relation's term: the mean over rows (multilabel: elements) without a label."""
    total, count = 0.0, 0
    target = relation.target
    for i, sample in enumerate(samples):
        s = labels[relation.source.name][i]
        if s < 0:
            continue
        if isinstance(target, Multiclass):
            if labels[target.name][i] < 0 and relation.mask[s].all():
                count += 1
                for t in range(target.width):
                    wanted = smoothed(relation, smoothing, s, t)
                    total -= wanted * log(sample[target.name][t])
            continue
        for j in range(target.width):
            if labels[target.name][i][j] < 0 and relation.mask[s][j]:
                count += 1
                wanted, p = smoothed(relation, smoothing, s, j), sample[target.name][j]
                total -= wanted * log(p) + (1 - wanted) * log(1 - p)
    return relation.strength * total / count if count else 0.0


def marginal_likelihood(relations, smoothing, samples, labels):
    """Return the term of the relations' common source task."""
    total, count = 0.0, 0
    source = relations[0].source
    for i, sample in enumerate(samples):
        if labels[source.name][i] >= 0:
            continue
        likelihood, observed = 0.0, False
        for s in range(source.width):
            joint = sample[source.name][s]
            for relation in relations:
                target, filled = relation.target, relation.filled()
                if relation.strength == 0:
                    continue
                if isinstance(target, Multiclass):
                    y = labels[target.name][i]
                    if y >= 0 and relation.mask.any():
                        observed = True
                        entry = smoothed(relation, smoothing, s, y, filled)
                        joint *= entry**relation.strength
                    continue
                for j in range(target.width):
                    y = labels[target.name][i][j]
                    if y >= 0 and relation.mask[:, j].any():
                        observed = True
                        on = smoothed(relation, smoothing, s, j, filled)
                        joint *= (on if y == 1 else 1 - on) ** relation.strength
            likelihood += joint
        if observed:
            total -= log(likelihood)
            count += 1
    return total / count if count else 0.0


def supervised(task, samples, labels):
    """Return the task's term: the mean over its labelled elements."""
    losses = []
    for sample, label in zip(samples, labels[task.name], strict=True):
        if isinstance(task, Multiclass):
            losses += [-log(sample[task.name][label])] if label >= 0 else []
            continue
        for p, y in zip(sample[task.name], label, strict=True):
            losses += [-log(p if y == 1 else 1 - p)] if y >= 0 else []
    return sum(losses) / len(losses) if losses else 0.0

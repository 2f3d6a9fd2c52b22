"""The class priors that training rows show: of all labelled rows, and of each source's rows."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.priors.adjustment import Prior, estimate_prior, pseudo_rows
from labelweave.relations import AnyRelation, Relation, source_posterior
from labelweave.tasks import Multiclass, Task

SAMPLE = 10_000  # rows of a source whose labels tell the shares of another task's classes
DOUBT = 0.01  # share of the training prior in what a table tells: no class is ruled out


def labelled_prior(
    labels: Annotations, name: str, weights: NDArray[np.float64] | None = None
) -> Prior:
    """Return the shares of a task's classes (K,), or of its labels being on (L,); none 0 or 1.

    Each class, and each side of a label, counts half a row more than it has (Jeffreys' prior).

    Args:
        labels: annotations of n rows; missing labels do not count.
        name: the task.
        weights: (n,) how often training meets each row, up to a factor; None = equally often.
    """
    on, rows = _counts(labels, name, weights)
    return np.asarray((on + 0.5) / (rows + pseudo_rows(labels.task(name)) / 2))


def source_priors(
    labels: Annotations,
    source: NDArray[np.int64],
    relations: Sequence[AnyRelation],
    training: Mapping[str, Prior],
) -> dict[str, NDArray[np.float64]]:
    """Return the prior of every task of `training` in every source, (D, K) or (D, L).

    Where a source labels a task: the frequencies there, with one pseudo-row a class in the shares
    of `training`. Where it does not, the relations tell: the classes of a relation's source task by
    EM from the labels of its targets, as far as these tell them apart; the classes of a target as
    the table says for the shares of its source task. Else `training`.

    Args:
        labels: annotations of n training rows.
        source: (n,) the source of each row.
        relations: how the tasks relate; noisy-ORs are not looked at.
        training: per task the prior of all labelled rows, as `labelled_prior` gives it.
    """
    tables = [relation for relation in relations if isinstance(relation, Relation)]
    whole = {name: _counts(labels, name)[1] for name in training}
    found: list[dict[str, Prior]] = []
    for number in range(int(source.max(initial=0)) + 1):
        part = labels[source == number]
        own = {
            name: _frequencies(part, name, whole[name], shares)
            for name, shares in training.items()
            if part.labelled(name).any()
        }
        found.append(_completed(own, part, tables, training))
    return {name: np.stack([own[name] for own in found]) for name in training}


def population_prior(
    own: Mapping[str, NDArray[np.float64]], source: NDArray[np.int64]
) -> dict[str, Prior]:
    """Return every task's prior in all training rows, labelled or not, (K,) or (L,).

    Args:
        own: what `source_priors` returns.
        source: (n,) the source of each row.
    """
    rows = np.bincount(source, minlength=len(next(iter(own.values()))))
    return {name: np.asarray(rows / rows.sum() @ priors) for name, priors in own.items()}


def spoken_prior(task: Task, training: Prior, tau: float) -> Prior:
    """Return the prior of which scores speak to which training adds tau log-odds of `training`.

    As share^(1 - tau), for a label both of its sides; with tau = 1 all classes are alike, with
    tau = 0 it is `training` itself.
    """
    if tau == 0:
        return training
    if isinstance(task, Multiclass):
        found = training ** (1 - tau)
        return np.asarray(found / found.sum())
    on, off = training ** (1 - tau), (1 - training) ** (1 - tau)
    return np.asarray(on / (on + off))


def log_odds(task: Task, prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a prior adds to a head's scores: log shares, or log-odds of labels, same shape.

    Scores that speak of one prior speak of another when the difference of the two is added.
    """
    if isinstance(task, Multiclass):
        return np.log(prior)
    return np.asarray(np.log(prior) - np.log1p(-prior))


def _counts(
    labels: Annotations, name: str, weights: NDArray[np.float64] | None = None
) -> tuple[Prior, NDArray[np.float64]]:
    """Return the rows of every class, or with a label on, and all labelled rows, () or (L,).

    Weights are scaled so that the labelled rows count as many as they are.
    """
    task, codes, seen = labels.task(name), labels.labels[name], labels.labelled(name)
    weight: Prior = np.ones(len(labels)) if weights is None else weights
    weight = weight * (seen.sum() / max(float(weight[seen].sum()), 1e-12))
    if isinstance(task, Multiclass):
        on = np.bincount(codes[seen], weight[seen], task.width).astype(np.float64)
        return on, np.array(on.sum())
    return weight @ (codes == 1), weight @ (codes >= 0)


def _frequencies(
    part: Annotations, name: str, whole: NDArray[np.float64], training: Prior
) -> Prior:
    """Return a task's shares in a part of the labelled rows, `whole` () or (L,) being all."""
    (on, rows), pseudo = _counts(part, name), pseudo_rows(part.task(name))
    # the half rows of the training prior, divided like its rows: equal shares stay equal
    half = 0.5 * rows / np.maximum(whole, 1)
    return np.asarray((on + half + pseudo * training) / (rows + pseudo * (half + 1)))


def _completed(
    own: dict[str, Prior],
    part: Annotations,
    relations: Sequence[Relation],
    training: Mapping[str, Prior],
) -> dict[str, Prior]:
    """Return the priors of all tasks in a source, of those that its labels tell."""
    for name in dict.fromkeys(relation.source.name for relation in relations):
        told = [r for r in relations if r.source.name == name and r.target.name in own]
        if name not in own and told:
            own[name] = _backwards(told, part, training[name])
    for relation in relations:
        name = relation.target.name
        if name not in own:
            shares = own.get(relation.source.name, training[relation.source.name])
            own[name] = _forwards(relation, shares, training[name])
    return {**training, **own}


def _backwards(told: Sequence[Relation], labels: Annotations, training: Prior) -> Prior:
    """Return the shares of the source's classes that explain the labels of its targets best."""
    labels = labels[:: -(-len(labels) // SAMPLE)]
    posterior = np.tile(training, (len(labels), 1))
    for relation in told:
        codes = labels.labels[relation.target.name]
        evidence = source_posterior(relation, training, codes) / training
        # relations may contradict each other: none rules a class out
        posterior *= (1 - DOUBT) * evidence + DOUBT
        posterior /= posterior.sum(axis=1, keepdims=True)
    return estimate_prior(told[0].source, posterior, training)


def _forwards(relation: Relation, shares: Prior, training: Prior) -> Prior:
    """Return the target's prior for these shares of the source; unknown entries tell nothing."""
    told = shares @ np.where(relation.mask, relation.table, 0.0)
    told = told + (shares @ ~relation.mask) * training
    return np.asarray((1 - DOUBT) * told + DOUBT * training)

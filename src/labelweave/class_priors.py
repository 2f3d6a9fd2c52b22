"""Probabilities under another class prior, and the prior of rows without labels.

A network trained under one class prior predicts for rows of that prior. Where the classes stay the
same but their shares change (label shift), Bayes' rule gives the probabilities for the new shares,
and EM estimates the shares themselves (Saerens, Latinne, Decaestecker, "Adjusting the outputs of a
classifier to new a priori probabilities", Neural Computation 14, 2002).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave._arguments import a_path
from labelweave._messages import Message, some
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import AnyRelation, Relation, source_posterior
from labelweave.tasks import Multiclass, Task, key

__all__ = [
    "AssumedPrior",
    "PriorChoice",
    "adjust",
    "assumed_prior",
    "estimate_prior",
    "source_priors",
]

PREDICTION = "key 'label_shift.prediction'"  # its place in a study file

Floats = NDArray[np.floating]
Prior = NDArray[np.float64]
TINY = 1e-12
STEPS, TOLERANCE = 1000, 1e-6


def adjust(task: Task, probabilities: Floats, old: Prior, new: Prior) -> NDArray[np.float64]:
    """Return p(t|x) new(t) / old(t), normalised; separately for every label of a multilabel task.

    Saerens et al., equation 2.4; in scores it is the logit adjustment of Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021.

    Args:
        task: the task.
        probabilities: (n, K) of the classes, or (n, L) of the labels being on, under `old`.
        old: (K,) shares of the classes, or (L,) of a label being on.
        new: the same, for which the result holds.
    """
    # a probability of exactly 0 must not outvote a share of 0
    p = np.clip(np.asarray(probabilities, dtype=np.float64), TINY, 1 - TINY)
    on = p * (new / np.maximum(old, TINY))
    if isinstance(task, Multiclass):
        return np.asarray(on / on.sum(axis=1, keepdims=True))
    off = (1 - p) * ((1 - new) / np.maximum(1 - old, TINY))
    return np.asarray(on / (on + off))


def estimate_prior(task: Task, probabilities: Floats, old: Prior) -> Prior:
    """Return the shares that best explain the predicted rows, by EM; (K,) or (L,).

    Saerens et al., section 2.2, with one pseudo-row a class in the shares of `old`, so that a few
    rows change little. The estimate assumes calibrated probabilities: over-confident ones change
    the shares too little.

    Args:
        task: the task.
        probabilities: of n rows without labels, under `old`; n may be 0.
        old: (K,) shares of the classes, or (L,) of a label being on.
    """
    pseudo = pseudo_rows(task)
    prior = old
    for _ in range(STEPS):
        mass = adjust(task, probabilities, old, prior).sum(axis=0)
        after = (mass + pseudo * old) / (len(probabilities) + pseudo)
        change = np.abs(after - prior).max()
        prior = after
        if change < TOLERANCE:
            break
    return prior


def pseudo_rows(task: Task) -> int:
    """Return the number of pseudo-rows behind an estimated prior: one a class, two a label."""
    return task.width if isinstance(task, Multiclass) else 2


SAMPLE = 10_000  # rows of a source used to estimate another task's class shares
DOUBT = 0.01  # share of the training prior mixed into a table's estimate: no class is ruled out


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
    of `training`. Where it does not, the relations estimate it: the classes of a relation's source
    task by EM from the labels of its targets, as far as these distinguish them; the classes of a
    target by the table from the shares of its source task. Else `training`.

    Args:
        labels: annotations of n training rows.
        source: (n,) the source of each row.
        relations: how the tasks relate; noisy-ORs are ignored.
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


def score_prior(task: Task, training: Prior, tau: float) -> Prior:
    """Return the prior that scores assume when training adds tau log-odds of `training` to them.

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

    Adding the difference of two priors moves scores from one to the other.
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
    """Return the priors of all tasks in a source, given those that its labels determine."""
    for name in dict.fromkeys(relation.source.name for relation in relations):
        informative = [r for r in relations if r.source.name == name and r.target.name in own]
        if name not in own and informative:
            own[name] = _backwards(informative, part, training[name])
    for relation in relations:
        name = relation.target.name
        if name not in own:
            shares = own.get(relation.source.name, training[relation.source.name])
            own[name] = _forwards(relation, shares, training[name])
    return {**training, **own}


def _backwards(relations: Sequence[Relation], labels: Annotations, training: Prior) -> Prior:
    """Return the shares of the source's classes that explain the labels of its targets best."""
    labels = labels[:: -(-len(labels) // SAMPLE)]
    posterior = np.tile(training, (len(labels), 1))
    for relation in relations:
        codes = labels.labels[relation.target.name]
        evidence = source_posterior(relation, training, codes) / training
        # relations may contradict each other: none rules a class out
        posterior *= (1 - DOUBT) * evidence + DOUBT
        posterior /= posterior.sum(axis=1, keepdims=True)
    return estimate_prior(relations[0].source, posterior, training)


def _forwards(relation: Relation, shares: Prior, training: Prior) -> Prior:
    """Return the target's prior for these shares of the source; unknown entries are ignored."""
    prior = shares @ np.where(relation.mask, relation.table, 0.0)
    prior = prior + (shares @ ~relation.mask) * training
    return np.asarray((1 - DOUBT) * prior + DOUBT * training)


NAMES = ("training", "population", "uniform", "rows")
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class AssumedPrior:
    """Which class prior predictions are for.

    Args:
        name: a name of `NAMES`; also for tasks that `given` leaves out.
        given: per task (K,) shares of the classes that sum to 1, or (L,) of labels being on.
    """

    name: str = "training"
    given: Mapping[str, Prior] = field(default_factory=dict)

    def apply(
        self,
        tasks: Sequence[Task],
        probabilities: Mapping[str, Floats],
        known: Mapping[str, Mapping[str, Prior]],
    ) -> dict[str, NDArray[np.float32]]:
        """Return probabilities under this prior, of those under the training prior.

        Args:
            tasks: the tasks.
            probabilities: per task (n, K) or (n, L), under the training prior.
            known: the priors of each task in ``training`` and in the ``population``.

        Raises:
            LabelweaveError: another prior is asked for, and that of the training is not known.
        """
        result = {name: np.asarray(p, dtype=np.float32) for name, p in probabilities.items()}
        for task in tasks:
            if self.name == "training" and task.name not in self.given:
                continue
            if task.name not in known.get("training", {}):
                raise LabelweaveError(
                    f"prior: the model does not say with which shares task '{task.name}' was "
                    "trained; train it again, or predict with prior 'training'"
                )
            p, old = probabilities[task.name], known["training"][task.name]
            new = self._prior(task, p, old, known["population"][task.name])
            result[task.name] = adjust(task, p, old, new).astype(np.float32)
        return result

    def _prior(self, task: Task, p: Floats, old: Prior, population: Prior) -> Prior:
        if task.name in self.given:
            return self.given[task.name]
        if self.name == "population":
            return population
        if self.name == "rows":
            return estimate_prior(task, p, old)
        return np.full(task.width, 1 / task.width if isinstance(task, Multiclass) else 0.5)

    def message(self) -> Message:
        """Return what the prior is, in words."""
        named = Message(f"prior.{self.name}")
        if not self.given:
            return named
        return Message("prior.given", {"tasks": some(list(self.given)), "prior": named})

    def __str__(self) -> str:
        return str(self.message())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able description, for `from_dict`."""
        return {"name": self.name, "given": {n: list(map(float, p)) for n, p in self.given.items()}}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "AssumedPrior":
        """Return the prior that `to_dict` described."""
        given = {name: np.asarray(shares) for name, shares in description["given"].items()}
        return cls(description["name"], given)


PriorChoice = str | Path | Mapping[str, Any] | AssumedPrior


def assumed_prior(choice: PriorChoice, tasks: Sequence[Task], place: str = "prior") -> AssumedPrior:
    """Return the prior that a user names or gives.

    Args:
        choice: a name of `NAMES`; per task its shares, each class or label with its probability
            (for a task of one label, the probability alone will do); or a CSV file of them with the
            columns ``task``, ``class`` and ``probability``.
        tasks: the tasks that are predicted; those left out keep the training prior.
        place: what errors call the choice, where it is no file.

    Raises:
        LabelweaveError: an unknown name, task or class, a class left out, or shares that are none.
    """
    if isinstance(choice, AssumedPrior):
        return choice
    if isinstance(choice, Mapping):
        return _given(choice, tasks, place)
    if isinstance(choice, str) and choice in NAMES:
        return AssumedPrior(choice)
    path = a_path(place, choice, f"{listing(NAMES)}, shares by task, or a CSV file")
    if path.suffix != ".csv":
        raise LabelweaveError(
            f"{place}: found '{choice}', expected {listing(NAMES)} or a CSV file"
            f"{nearest(choice, NAMES)}"
        )
    return _given(_read(path), tasks, str(path))


def _read(path: Path) -> dict[str, dict[str, float]]:
    from labelweave.tables import read_table  # only where a prior is a file

    table = read_table(path, text=("task", "class"))
    columns = ("task", "class", "probability")
    for column in columns:
        if column not in table:
            raise LabelweaveError(
                f"{path}: no column '{column}', found {listing(table.columns)}"
                f"{nearest(column, table.columns)}"
            )
    given: dict[str, dict[str, float]] = {}
    for task, name, share in table[list(columns)].itertuples(index=False):
        shares = given.setdefault(key(task), {})
        if key(name) in shares:
            raise LabelweaveError(f"{path}: found '{name}' of task '{task}' twice, expected once")
        shares[key(name)] = share
    return given


def _given(choice: Mapping[str, Any], tasks: Sequence[Task], place: str) -> AssumedPrior:
    known = {task.name: task for task in tasks}
    for name in choice:
        if name not in known:
            raise LabelweaveError(
                f"{place}: no task '{name}', expected {listing(known)}{nearest(name, known)}"
            )
    return AssumedPrior(
        given={name: _shares(known[name], shares, place) for name, shares in choice.items()}
    )


def _shares(task: Task, choice: Any, place: str) -> Prior:
    place = f"{place}, task '{task.name}'"
    if not isinstance(choice, Mapping):
        choice = {task.names[0]: choice} if task.width == 1 else choice
    if not isinstance(choice, Mapping):
        raise LabelweaveError(f"{place}: found {choice!r}, expected each class with its share")
    shares = {key(name): share for name, share in choice.items()}
    for name in shares:
        if name not in task.names:
            expected = f"expected {listing(task.names)}{nearest(name, task.names)}"
            raise LabelweaveError(f"{place}: no class '{name}', {expected}")
    missing = [name for name in task.names if name not in shares]
    if missing:
        raise LabelweaveError(f"{place}: found no share of {listing(missing)}, expected one each")
    for name, share in shares.items():
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise LabelweaveError(
                f"{place}, '{name}': found {share!r}, expected a share from 0 to 1"
            )
    prior = np.array([shares[name] for name in task.names], dtype=np.float64)
    if not isinstance(task, Multiclass):
        return prior
    if abs(prior.sum() - 1) > SUM_TOLERANCE:
        raise LabelweaveError(f"{place}: shares that sum to {prior.sum():.4g}, expected 1")
    return np.asarray(prior / prior.sum())

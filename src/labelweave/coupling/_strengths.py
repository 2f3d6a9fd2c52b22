"""How strongly each relation couples, in each direction: a posterior mean, not a choice.

lambda is judged by the out-of-fold likelihood of the receiving task's own labels on the grid
{0, .25, .5, .75, 1} and averaged under its posterior (docs/explanation/coupling.md, step 3).
Six labels hardly move it, sixty decide.

Besides:

- Labels of a class that has only one cannot be held out from the learners. They still judge an
  expert's table: the table's messages alone, on the class shares, do not know them.
- A table that is wrong is wrong in both directions. Messages from the task with more labels judge
  it well; the way back has half of that posterior in its prior. Not the other way round: messages
  from a task of few labels are poor however right the table is.
- An expert who is right in one table is more likely right in the next: relations of the same kind
  into one task share part of their prior (partial pooling).
- An expert's table competes with its revision by the data (the expert as a Dirichlet prior of 5
  pseudo-rows a row), by the same messages: the mixture of both couples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from labelweave.annotations import Annotations
from labelweave.coupling._posterior import (
    Link,
    as_states,
    combinations,
    label_message,
    label_odds,
    log_states,
    mixed,
    state_message,
)
from labelweave.coupling._tables import Folds, RelationVersions, TableVersion
from labelweave.tasks import Multiclass, Task, one_hot

Floats = NDArray[np.float64]

GRID = (0.0, 0.25, 0.5, 0.75, 1.0)
EXPERT = np.array([0.2, 0.1, 0.1, 0.1, 0.5])  # prior of an expert's table
ESTIMATED = np.array([0.6, 0.1, 0.1, 0.1, 0.1])  # prior of an estimated one
AS_GIVEN = 0.9  # prior of the expert's table as it is, against its revision
SHARED = 0.5  # how much of a direction's prior is the other direction's posterior
POOLED = 0.5  # how much of it is what other relations of the same kind are found to be
SWEEPS = 3
TEMPERATURES = (1.0, 1.4, 2.0, 2.8)
MOST_ROWS = 1_000  # of a task that judge; more would not change a mean over five values


@dataclass(frozen=True, eq=False)
class Strength:
    """What was found for one relation.

    Attributes:
        name: ``source->target``.
        to_source, to_target: mean strengths.
        posterior_to_source, posterior_to_target: (5,) over 0, .25, .5, .75, 1.
        as_given: share of the expert's table as it is in the table used; 0 without an expert.
        shares: of all versions of the table in the one used.
        version: the tables used, with these strengths.
        expert: the expert's table as it is, with these strengths; None = there is none.
    """

    name: str
    to_source: float
    to_target: float
    posterior_to_source: Floats
    posterior_to_target: Floats
    as_given: float
    shares: tuple[float, ...]
    version: TableVersion
    expert: Link | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the figures, JSON-able."""
        return {
            "relation": self.name,
            "to_source": round(self.to_source, 4),
            "to_target": round(self.to_target, 4),
            "posterior_to_source": self.posterior_to_source.round(4).tolist(),
            "posterior_to_target": self.posterior_to_target.round(4).tolist(),
            "as_given": round(self.as_given, 4),
        }


def fit_strengths(
    annotations: Annotations,
    predictions: Mapping[str, Floats],
    rates: Mapping[str, Floats],
    sources: Sequence[RelationVersions],
    folds: Mapping[str, Folds],
    weight: Floats,
    *,
    alone: bool = False,
) -> list[Strength]:
    """Return the strength of every relation in both directions, and the table to use.

    Args:
        annotations: labels of n rows.
        predictions: per task probabilities of these rows, out-of-fold where they are labelled; the
            class shares on rows that no learner can do without.
        rates: per task the shares of classes or labels.
        sources: the relations.
        folds: per task the fold whose tables do not know the row's label.
        weight: (n,) how much every row counts.
        alone: judge every relation separately, without the others (for choosing a forest).
    """
    if not sources:
        return []
    work = _Work(annotations, predictions, rates, sources, folds, weight, alone)
    shares = {source.name: work.shares(source) for source in sources}
    versions = {source.name: mixed_version(source, shares[source.name]) for source in sources}
    as_given = {s.name: shares[s.name][0] if s.given else 0.0 for s in sources}
    priors = {name: share * EXPERT + (1 - share) * ESTIMATED for name, share in as_given.items()}
    posteriors = work.posteriors(versions, priors)
    found = []
    for source in sources:
        back, forth = (posteriors[source.name, way] for way in ("source", "target"))
        means = float(back @ GRID), float(forth @ GRID)
        version = _with(versions[source.name], *means)
        name = source.name
        expert = source.any.whole.with_strengths(*means) if source.given else None
        found.append(
            Strength(name, *means, back, forth, as_given[name], shares[name], version, expert)
        )
    return found


class _Work:
    """The judging rows of every receiving task, and the messages that they get."""

    def __init__(
        self,
        annotations: Annotations,
        predictions: Mapping[str, Floats],
        rates: Mapping[str, Floats],
        sources: Sequence[RelationVersions],
        folds: Mapping[str, Folds],
        weight: Floats,
        alone: bool,
    ) -> None:
        self.annotations, self.predictions, self.rates = annotations, predictions, rates
        self.sources, self.folds, self.alone = sources, folds, alone
        links = [source.any.whole for source in sources]
        tasks = {t.name: t for link in links for t in (link.source, link.target)}
        self.joint = _states_of(tasks, sources, alone)
        self.judges = {name: self._judges(task, weight) for name, task in tasks.items()}

    def _judges(self, task: Task, weight: Floats) -> "_Judges":
        rows = np.flatnonzero(self.annotations.labelled(task.name))
        rows = rows[weight[rows] > 0]
        if len(rows) > MOST_ROWS:
            # evenly spread: the order of rows is not informative within a fold
            rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]
        return _Judges(
            task,
            rows,
            self.annotations.labels[task.name][rows],
            self.predictions[task.name][rows],
            self.folds[task.name][rows],
            weight[rows],
            task.name in self.joint,
        )

    def way_in(self, source: RelationVersions) -> str:
        """Return the direction whose messages come from the task with more labels."""
        one, two = (len(self.judges[name].rows) for name in source.any.whole.ends())
        return "source" if two >= one else "target"

    def shares(self, source: RelationVersions) -> tuple[float, ...]:
        """Return the posterior of every version of a relation's table."""
        count = len(source.versions)
        if count == 1:
            return (1.0,)
        prior = [AS_GIVEN, *[(1 - AS_GIVEN) / (count - 1)] * (count - 1)]
        judges = self.judges[source.any.whole.ends()[0 if self.way_in(source) == "source" else 1]]
        scores = []
        for version in source.versions:
            grid = [self.message(version, judges.name, value) for value in GRID]
            fit = np.array([judges.likelihood(message) for message in grid])
            scores.append(float(logsumexp(fit + np.log(EXPERT))))
        return tuple(softmax(np.log(prior) + np.array(scores)).tolist())

    def posteriors(
        self, versions: Mapping[str, TableVersion], priors: Mapping[str, Floats]
    ) -> dict[tuple[str, str], Floats]:
        """Return the posterior over the grid for each relation and direction."""
        edges = {}
        for source in self.sources:
            link = source.any.whole
            edges[source.name, "source"] = link.source.name
            edges[source.name, "target"] = link.target.name
        grids = {
            edge: [self.message(versions[edge[0]], receiver, value) for value in GRID]
            for edge, receiver in edges.items()
        }
        found = {edge: priors[edge[0]] for edge in edges}
        fits = {}
        for _ in range(1 if self.alone else SWEEPS):
            for edge, receiver in edges.items():
                rest = self._rest(edge, edges, grids, found)
                judges = self.judges[receiver]
                fits[edge] = np.array([judges.likelihood(rest + m) for m in grids[edge]])
                prior = self._pooled(edge, edges, priors, found)
                found[edge] = softmax(fits[edge] + np.log(prior))
        result = dict(found)
        for source in self.sources:
            name, well = source.name, self.way_in(source)
            back = name, "target" if well == "source" else "source"
            prior = (1 - SHARED) * priors[name] + SHARED * found[name, well]
            result[back] = softmax(fits[back] + np.log(np.maximum(prior, 1e-12)))
        return result

    def _pooled(
        self,
        edge: tuple[str, str],
        edges: Mapping[tuple[str, str], str],
        priors: Mapping[str, Floats],
        found: Mapping[tuple[str, str], Floats],
    ) -> Floats:
        """Return a direction's prior: in part what other relations of the kind were found to be."""
        given = {source.name: source.given for source in self.sources}
        like = [
            found[other]
            for other, receiver in edges.items()
            if other != edge and receiver == edges[edge] and given[other[0]] == given[edge[0]]
        ]
        own = priors[edge[0]]
        if self.alone or not like:
            return own
        share = POOLED * len(like) / (len(like) + 1)
        return np.asarray((1 - share) * own + share * np.mean(like, axis=0))

    def _rest(
        self,
        edge: tuple[str, str],
        edges: Mapping[tuple[str, str], str],
        grids: Mapping[tuple[str, str], list[Floats]],
        found: Mapping[tuple[str, str], Floats],
    ) -> Floats:
        """Return the sum of the other relations' mean messages to the same task."""
        total = np.zeros(grids[edge][0].shape)
        if self.alone:
            return total
        for other, receiver in edges.items():
            if receiver == edges[edge] and other != edge:
                total = total + sum(w * m for w, m in zip(found[other], grids[other], strict=True))
        return total

    def message(self, version: TableVersion, receiver: str, strength: float) -> Floats:
        """Return the log messages to a task's judging rows, by the tables without their folds."""
        judges = self.judges[receiver]
        whole = version.whole
        sender = whole.target.name if receiver == whole.source.name else whole.source.name
        given = self.predictions[sender][judges.rows]
        result = np.zeros(judges.shape)
        if not strength:
            return result
        same = all(link is whole for link in version.folds)
        numbers = [0] if same else range(len(version.folds))
        for fold in numbers:
            inside = slice(None) if same else judges.folds == fold
            link = version.folds[fold].with_strengths(strength, strength)
            result[inside] = self._sent(link, given[inside], sender, receiver)
        return result

    def _sent(self, link: Link, given: Floats, sender: str, receiver: str) -> Floats:
        to_source = receiver == link.source.name
        tasks = {link.source.name: link.source, link.target.name: link.target}
        if to_source and not isinstance(link.target, Multiclass) and sender not in self.joint:
            return label_message(link, given)
        belief = np.exp(log_states(tasks[sender], given, sender in self.joint))
        belief /= belief.sum(axis=1, keepdims=True)
        if not to_source and not isinstance(link.target, Multiclass) and receiver not in self.joint:
            on = label_odds(link, belief)
            return np.stack([np.zeros_like(on), on], axis=2)
        return state_message(link, belief, receiver, receiver in self.joint, sender in self.joint)


class _Judges:
    """Labelled rows of one task: log-probabilities of its states, and which fit the labels."""

    def __init__(
        self,
        task: Task,
        rows: NDArray[np.int64],
        codes: NDArray[np.integer],
        p: Floats,
        folds: Folds,
        weight: Floats,
        joint: bool,
    ) -> None:
        self.name, self.rows, self.folds, self.weight = task.name, rows, folds, weight
        if isinstance(task, Multiclass):
            self.log_p, fits = log_states(task, p, joint), one_hot(codes, task.width)
        elif joint:
            states = combinations(task.width)
            self.log_p = log_states(task, p, joint)
            wrong = (codes == 1).astype(float) @ (1 - states).T + (codes == 0) @ states.T
            fits = (wrong == 0).astype(np.float64)
        else:
            clipped = np.clip(p, 1e-12, 1 - 1e-12)
            self.log_p = np.log(np.stack([1 - clipped, clipped], axis=2))
            fits = np.stack([codes != 1, codes != 0], axis=2).astype(np.float64)
        with np.errstate(divide="ignore"):
            self.log_fits = np.log(fits)
        self.shape = self.log_p.shape

    def likelihood(self, message: Floats) -> float:
        """Return the weighted log-likelihood of the labels with a message multiplied in.

        At the best of some temperatures: related tasks are predicted from the same inputs, so
        together they are over-confident, which is no fault of the tables.
        """
        scores = self.log_p + message
        return max(self._at(scores / t) for t in TEMPERATURES)

    def _at(self, scores: Floats) -> float:
        found = logsumexp(scores + self.log_fits, axis=-1) - logsumexp(scores, axis=-1)
        return float(self.weight @ found.reshape(len(self.rows), -1).sum(axis=1))


def _states_of(
    tasks: Mapping[str, Task], sources: Sequence[RelationVersions], alone: bool
) -> frozenset[str]:
    links = [source.any.whole for source in sources]
    if not alone:
        return as_states(list(tasks.values()), links)
    # one relation at a time: only causes of a noisy-OR are combined
    causes = {link.source.name for link in links if not isinstance(link.source, Multiclass)}
    return frozenset(causes)


def mixed_version(source: RelationVersions, shares: Sequence[float]) -> TableVersion:
    """Return the mixture of a relation's versions."""
    if len(source.versions) == 1 or shares[0] > 0.999:
        return source.any
    folds = zip(*(version.folds for version in source.versions), strict=True)
    return TableVersion(
        mixed([version.whole for version in source.versions], shares),
        tuple(mixed(links, shares) for links in folds),
    )


def _with(version: TableVersion, to_source: float, to_target: float) -> TableVersion:
    whole = version.whole.with_strengths(to_source, to_target)
    if all(link is version.whole for link in version.folds):
        return TableVersion(whole, (whole,) * len(version.folds))
    return TableVersion(whole, tuple(f.with_strengths(to_source, to_target) for f in version.folds))

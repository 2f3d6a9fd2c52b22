"""`fit_coupled`: any learners, coupled by relations, guarded by held-out labels.

The steps are explained in docs/explanation/coupling.md.

stack = fit_coupled(X, annotations, relations, seed=0)
stack.predict_proba(X_new)["species"]     # (n, K)
stack.weights, stack.strengths, stack.guard, stack.history
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.class_priors import adjust
from labelweave.coupling._evidence import with_evidence
from labelweave.coupling._guard import guard, judging_rows, trust_in
from labelweave.coupling._posterior import joint_posterior
from labelweave.coupling._self_training import fit_self_trained, pseudo_labels, related_rows
from labelweave.coupling._stack import CoupledStack, standardised
from labelweave.coupling._strengths import EXPERT, Strength, fit_strengths, mixed_version
from labelweave.coupling._tables import (
    Pair,
    RelationVersions,
    as_relation,
    build_sources,
    choose_forest,
    hidden,
    table_folds,
)
from labelweave.errors import LabelweaveError
from labelweave.learners import (
    JointLearner,
    JointModel,
    LearnerChoice,
    Member,
    TaskStack,
    resolve_learners,
)
from labelweave.learners._fitting import size_of, takes_weights
from labelweave.learners._folds import ALWAYS, assign_folds
from labelweave.learners._stacking import Judged
from labelweave.learners._task_stack import (
    LibraryFit,
    applicable,
    combine,
    fit_library,
    fold_count,
    stack_weights,
)
from labelweave.relations import AnyRelation, NoisyOr
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Progress = Callable[[str], None]
_Given = Mapping[str, Floats]

WORK = 4_000  # labelled rows of a task that judge and are predicted out-of-fold
TAUGHT = 4_000  # rows that pseudo-labels are given to
MOST_CELLS = 10_000_000  # of rows and classes, of each of both: ten thousand classes, 1,000 rows
TEACHERS = 3  # learners that are self-trained, at most, each of this weight at least
TEACHER_WEIGHT = 0.05
WORTH = 0.5  # self-training needs so many related rows for each own label,
HELD, HELD_ESTIMATED = 0.1, 0.35  # and a relation of this strength; .25 is the prior's mean
MOST_SHIFT = 20.0  # factor on a pseudo-label for its source's class prior
TABLE_FOLDS = 5
JOINT_FOLDS = 3
CONTRADICTED = "the labels contradict the expert's table"
HALF, DOUBT = 2, 0.1  # of an expert's table: chance of at least half the strength (place in GRID)
JOINT_SHARE = 0.15  # of the budget, that the fits of one joint learner may take


def fit_coupled(
    X: Floats,
    annotations: Annotations,
    relations: Sequence[AnyRelation] = (),
    *,
    estimate: Sequence[Pair] | Literal["all"] = (),
    learners: Sequence[LearnerChoice] | None = None,
    joint_learners: Sequence[JointLearner] = (),
    joint_inputs: Any = None,
    groups: NDArray[Any] | None = None,
    sample_weight: Floats | None = None,
    priors: Mapping[str, Floats] | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: Progress | None = None,
) -> CoupledStack:
    """Fit a library of learners to every task, couple the tasks, and guard what comes out.

    The six steps are those of docs/explanation/coupling.md: learners and their mixture,
    joint posterior, strengths, self-training, guard; a student learns the predictions.

    Args:
        X: (n, d) encoded inputs, finite.
        annotations: labels of n rows, -1 = missing, per element.
        relations: an expert's tables and noisy-ORs.
        estimate: (source, target) names of tables to estimate from the data; ``all`` = between
            all pairs with a multiclass source.
        learners: see `resolve_learners`; None = the library.
        joint_learners: models of all tasks at once.
        joint_inputs: what these read of the n rows, such as images, where that is not `X`; rows
            are picked by ``joint_inputs[rows]``.
        groups: (n,) rows of one group are never on both sides of a fold.
        sample_weight: (n,) how much each row counts, 0 or more.
        priors: per task (n, K) or (n, L), the shares of its classes or labels in each row's source;
            None = alike. Messages between tasks do not depend on them; pseudo-labels do.
        seed: decides everything.
        budget: seconds of one core for the learners of all tasks, by their fixed time model;
            None = 60, and 1 for every 1,000 labels.
        progress: called with what is fitted now.

    Raises:
        LabelweaveError: inputs that do not fit each other, or no label at all.
    """
    work = _Fitting(
        X, annotations, learners, joint_learners, joint_inputs, groups, sample_weight, seed, budget,
        progress, priors,
    )  # fmt: skip
    pairs = _pairs(annotations, relations, estimate)
    if estimate == "all" and pairs:
        work.history.append({"looked_for": ["->".join(pair) for pair in pairs]})
    return work.coupled(list(relations), pairs)


def fit_best_single(
    X: Floats,
    annotations: Annotations,
    *,
    learners: Sequence[LearnerChoice] | None = None,
    joint_learners: Sequence[JointLearner] = (),
    joint_inputs: Any = None,
    groups: NDArray[Any] | None = None,
    sample_weight: Floats | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: Progress | None = None,
) -> CoupledStack:
    """Fit the stacked library to every task alone: what a careful user would do without coupling.

    The same learners, folds, temperatures and mixture weights as `fit_coupled`, from each task's
    own labels only.

    Args:
        X: (n, d) encoded inputs, finite.
        annotations: labels of n rows, -1 = missing, per element.
        learners: see `resolve_learners`; None = the library.
        joint_learners: models of all tasks at once that couple nothing.
        joint_inputs: what these read of the n rows, such as images, where that is not `X`.
        groups: (n,) rows of one group are never on both sides of a fold.
        sample_weight: (n,) how much each row counts, 0 or more.
        seed: decides everything.
        budget: seconds of one core for the learners of all tasks, by their fixed time model;
            None = 60, and 1 for every 1,000 labels.
        progress: called with what is fitted now.

    Raises:
        LabelweaveError: inputs that do not fit each other, or no label at all.
    """
    work = _Fitting(
        X, annotations, learners, joint_learners, joint_inputs, groups, sample_weight, seed, budget,
        progress,
    )  # fmt: skip
    return work.alone()


def _pairs(
    annotations: Annotations,
    relations: Sequence[AnyRelation],
    estimate: Sequence[Pair] | Literal["all"],
) -> list[Pair]:
    given = {frozenset((r.source.name, r.target.name)) for r in relations}
    if estimate != "all":
        for pair in estimate:
            for name in pair:
                annotations.task(name)
        return [pair for pair in estimate if frozenset(pair) not in given]
    pairs: dict[frozenset[str], Pair] = {}
    for s in annotations.tasks:
        for t in annotations.tasks:
            ends = frozenset((s.name, t.name))
            if s is t or ends in given or not isinstance(s, Multiclass):
                continue
            # of two directions the one with more rows in its table says more
            if ends not in pairs or s.width > annotations.task(pairs[ends][0]).width:
                pairs[ends] = (s.name, t.name)
    return list(pairs.values())


class _Fitting:
    """The steps of one fit, in order; `rows` are those that are predicted out-of-fold and judge."""

    def __init__(
        self,
        X: Floats,
        annotations: Annotations,
        learners: Sequence[LearnerChoice] | None,
        joint_learners: Sequence[JointLearner],
        joint_inputs: Any,
        groups: NDArray[Any] | None,
        sample_weight: Floats | None,
        seed: int,
        budget: float | None,
        progress: Progress | None,
        priors: Mapping[str, Floats] | None = None,
    ) -> None:
        X = np.asarray(X, np.float64)
        n = len(annotations)
        if X.ndim != 2 or len(X) != n:
            raise LabelweaveError(f"X: found shape {X.shape}, expected ({n}, columns)")
        if not any(annotations.labelled(task.name).any() for task in annotations.tasks):
            raise LabelweaveError("annotations: found no label, expected some")
        self.centre = X.mean(axis=0)
        deviation = X.std(axis=0)
        self.scale = np.where(deviation > 1e-12 * (1 + np.abs(self.centre)), deviation, 1.0)
        self.X = standardised(X, self.centre, self.scale)
        self.joint_inputs = self.X if joint_inputs is None else joint_inputs
        if len(self.joint_inputs) != n:
            raise LabelweaveError(f"joint_inputs: found {len(joint_inputs)} rows, expected {n}")
        self.all, self.tasks, self.seed = annotations, annotations.tasks, seed
        self.joint_learners = list(joint_learners)
        alone = learners is not None and not len(learners) and self.joint_learners
        self.learners = () if alone else resolve_learners(learners)
        self.sample_weight = _checked_weight(sample_weight, n)
        self.history: list[dict[str, Any]] = []
        self.progress = progress or (lambda text: None)
        labels = sum(int(annotations.labelled(t.name).sum()) for t in self.tasks)
        self.budget = 60 + labels / 1000 if budget is None else budget
        self.most_work = min(WORK, MOST_CELLS // max(task.width for task in self.tasks))
        self.folds_all = self._folds(groups)
        self.rows = self._work_rows()
        self.priors = {n: np.asarray(p, np.float64)[self.rows] for n, p in (priors or {}).items()}
        self.annotations = annotations[self.rows]
        self.groups = (
            None if groups is None else np.unique(groups, return_inverse=True)[1][self.rows]
        )
        self.folds = {name: fold[self.rows] for name, fold in self.folds_all.items()}
        self.weight = (
            np.ones(len(self.rows))
            if self.sample_weight is None
            else self.sample_weight[self.rows] / self.sample_weight.mean()
        )
        self.rates = {t.name: _rate(annotations, t) for t in self.tasks}

    def _folds(self, groups: NDArray[Any] | None) -> dict[str, Rows]:
        """Return every task's folds; a group without its label goes with its other labels' fold."""
        found, own = {}, {}
        for number, task in enumerate(self.tasks):
            seen = self.all.labelled(task.name)
            own[task.name] = seen
            found[task.name] = assign_folds(
                task,
                self.all.labels[task.name],
                groups,
                fold_count(int(seen.sum())),
                self.seed * 1000 + number,
            )
        n = len(self.all)
        group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
        held = {name: np.bincount(group, weights=seen) > 0 for name, seen in own.items()}
        taken = {name: fold.copy() for name, fold in found.items()}
        for task in self.tasks:
            # whole groups: those with a label of the task keep their fold
            free = ~held[task.name]
            for other in self.tasks:
                if other is not task:
                    rows = (free & held[other.name])[group] & (found[other.name] >= 0)
                    taken[task.name][rows] = found[other.name][rows]
                    free = free & ~held[other.name]
        return taken

    def _work_rows(self) -> Rows:
        chosen = np.zeros(len(self.all), np.bool_)
        rng = np.random.default_rng(self.seed)
        for task in self.tasks:
            rows = np.flatnonzero(self.all.labelled(task.name))
            if len(rows) > self.most_work:
                rows = rng.choice(rows, self.most_work, replace=False)
            chosen[rows] = True
        return np.flatnonzero(chosen)

    def alone(self) -> CoupledStack:
        """Return the stacked library of every task."""
        stacks: dict[str, TaskStack] = {}
        guards = {}
        nothing = np.zeros(0, np.int64)
        fits = {task.name: self._library(task, nothing) for task in self.tasks}
        joint, joint_p = self._joint([], [], {})
        self._join(fits, joint_p)
        for task in self.tasks:
            fit = fits[task.name]
            judged = judging_rows(
                self.annotations, task.name, self.folds[task.name], self.weight, nothing, ()
            )
            stacks[task.name], p = self._stacked(fit, judged)
            guards[task.name] = guard(task, {"alone": p}, judged)
        return self._result(stacks, {}, [], [], guards, joint)

    def coupled(self, relations: list[AnyRelation], pairs: list[Pair]) -> CoupledStack:
        """Return the guarded coupling."""
        ends = [(r.source.name, r.target.name) for r in relations] + pairs
        watched = {t.name: self._watched(t.name, ends) for t in self.tasks}
        fits = {t.name: self._library(t, watched[t.name]) for t in self.tasks}
        nothing = np.zeros(0, np.int64)
        own = {t.name: self._judged(t.name, nothing, ()) for t in self.tasks}
        p = {n: self._stacked(fit, own[n])[1] for n, fit in fits.items()}

        folds = table_folds(self.annotations, self.folds, TABLE_FOLDS)
        self.progress("tables")
        sources = self._sources(relations, pairs, p, folds)
        wrong = self._contradicted(sources, p, folds)
        if wrong:
            relations = [r for r in relations if r.name not in wrong]
            pairs = [*pairs, *(pair for name, pair in wrong.items() if pair not in pairs)]
            sources = self._sources(relations, pairs, p, folds)
            self.history += [{"relation": name, "estimated": CONTRADICTED} for name in wrong]
        sources, rejected = with_evidence(
            self.annotations, p, sources, folds, self.groups, self.seed
        )
        self.history += [{"relation": n, "left_out": str(r)} for n, r in rejected.items()]
        if pairs or len(sources) > 1:
            by_itself = fit_strengths(
                self.annotations, p, self.rates, sources, folds, self.weight, alone=True
            )
            trust = {s.name: (s.to_source + s.to_target) / 2 for s in by_itself}
            sources, left_out = choose_forest(sources, trust, self.rates)
            self.history += [{"relation": n, "left_out": str(r)} for n, r in left_out.items()]
        self.progress("strengths")
        strengths = fit_strengths(self.annotations, p, self.rates, sources, folds, self.weight)

        joint, joint_p = self._joint(strengths, relations, p)
        self._join(fits, joint_p)
        # now the labels of related tasks weigh the learners as well
        judged = {t.name: self._judged(t.name, watched[t.name], strengths) for t in self.tasks}
        stacks = {}
        for name, fit in fits.items():
            stacks[name], p[name] = self._stacked(fit, judged[name])
        if sources:
            strengths = fit_strengths(self.annotations, p, self.rates, sources, folds, self.weight)
            judged = {t.name: self._judged(t.name, watched[t.name], strengths) for t in self.tasks}
        coupled = self._posterior(p, strengths, folds)

        taught_stacks, taught = {}, {}
        for task in self.tasks:
            found = self._self_train(
                task, fits[task.name], stacks[task.name], p, strengths, watched[task.name], judged
            )
            if found is not None:
                taught_stacks[task.name], taught[task.name] = found
        self_strengths, both = strengths, {}
        if taught:
            q = {**p, **taught}
            self_strengths = fit_strengths(
                self.annotations, q, self.rates, sources, folds, self.weight
            )
            both = self._posterior(q, self_strengths, folds)
        guards = {}
        touched = {name for s in strengths for name in s.version.whole.ends()}
        for task in self.tasks:
            name = task.name
            candidates = {"alone": p[name]}
            if name in touched:
                candidates["coupled"] = coupled[name]
            if name in taught:
                candidates["self_trained"] = taught[name]
            if both and name in touched:
                candidates["self_trained_coupled"] = both[name]
            candidates |= {key: found[name] for key, found in joint_p.items()}
            guards[name] = guard(task, candidates, judged[name], trust_in(name, strengths))
        return self._result(stacks, taught_stacks, strengths, self_strengths, guards, joint)

    def _sources(
        self,
        relations: Sequence[AnyRelation],
        pairs: Sequence[Pair],
        p: _Given,
        folds: Mapping[str, Rows],
    ) -> list[RelationVersions]:
        return build_sources(
            self.annotations, p, self.rates, relations, pairs, folds, TABLE_FOLDS, self.seed
        )

    def _contradicted(
        self, sources: Sequence[RelationVersions], p: _Given, folds: Mapping[str, Rows]
    ) -> dict[str, Pair]:
        """Return by name the pairs whose expert's table is of no use by the labels that there are.

        They are too few to revise the table, so that it alone would stand between the tasks: the
        pair is estimated instead, as it would be without the expert. A table is of no use where
        one direction is all but certainly less than half true, and the other is less believed than
        before any label.
        """
        if not any(source.given and len(source.versions) == 1 for source in sources):
            return {}
        found = fit_strengths(
            self.annotations, p, self.rates, sources, folds, self.weight, alone=True
        )
        wrong = {}
        for source, strength in zip(sources, found, strict=True):
            chances = [
                posterior[HALF:].sum()
                for posterior in (strength.posterior_to_source, strength.posterior_to_target)
            ]
            contradicted = min(chances) < DOUBT and max(chances) < EXPERT[HALF:].sum()
            if source.given and len(source.versions) == 1 and contradicted:
                link = source.any.whole
                wrong[source.name] = (link.source.name, link.target.name)
        return wrong

    def _judged(self, name: str, related: Rows, strengths: Sequence[Strength]) -> Judged:
        return judging_rows(
            self.annotations, name, self.folds[name], self.weight, related, strengths
        )

    def _watched(self, name: str, ends: Sequence[Pair]) -> Rows:
        """Return the rows without a task's label that carry a related one."""
        others = {a if b == name else b for a, b in ends if name in (a, b)}
        seen = np.zeros(len(self.rows), np.bool_)
        for other in others:
            seen |= self.annotations.labelled(other)
        rows = np.flatnonzero(seen & ~self.annotations.labelled(name))
        own = int(self.annotations.labelled(name).sum())
        if len(rows) < WORTH * own or not own:
            return rows[:0]
        most = min(TAUGHT, self.most_work)
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(self.seed).choice(rows, most, replace=False))
        return rows

    def _library(self, task: Task, watched: Rows) -> LibraryFit:
        codes = self.all.labels[task.name]
        size = size_of(task, codes, self.X.shape[1])
        chosen, left_out = applicable(self.learners, size, self.budget / len(self.tasks))
        fit = fit_library(
            chosen, task, self.X, codes, self.folds_all[task.name], self.rates[task.name],
            work=self.rows, watched=watched, sample_weight=self.sample_weight, seed=self.seed,
            tick=lambda name, learner: self.progress(f"{name}: {learner}"),
        )  # fmt: skip
        fit.left_out |= left_out
        self.history += [
            {"task": task.name, "learner": key, "left_out": reason}
            for key, reason in fit.left_out.items()
        ]
        return fit

    def _stacked(self, fit: LibraryFit, judged: Judged) -> tuple[TaskStack, Floats]:
        """Return a task's mixture, and what it gives for the rows."""
        if not fit.keys:
            # no label: the shares are all there is
            rate = self.rates[fit.task.name]
            return TaskStack(fit.task, ()), np.tile(rate, (len(self.rows), 1))
        given = [fit.predictions[key] for key in fit.keys]
        temperatures, weights = stack_weights(fit.task, given, judged)
        members = [
            Member(key, float(w), t, fit.models.get(key))
            for key, w, t in zip(fit.keys, weights, temperatures, strict=True)
        ]
        p = combine(fit.task, given, temperatures, weights)
        # rows that no model can do without: the shares
        seen = self.annotations.labelled(fit.task.name)
        p[seen & (self.folds[fit.task.name] == ALWAYS)] = self.rates[fit.task.name]
        return TaskStack(fit.task, tuple(members)), p

    def _posterior(
        self, p: Mapping[str, Floats], strengths: Sequence[Strength], folds: Mapping[str, Rows]
    ) -> dict[str, Floats]:
        """Return the coupled predictions, by tables that do not know the row's label."""
        result = {name: given.copy() for name, given in p.items()}
        versions = [s.version for s in strengths]
        if all(link is v.whole for v in versions for link in v.folds):
            return joint_posterior(p, [v.whole for v in versions])
        for fold in range(TABLE_FOLDS):
            rows = np.flatnonzero(np.any([folds[t.name] == fold for t in self.tasks], axis=0))
            part = {name: given[rows] for name, given in p.items()}
            found = joint_posterior(part, [v.folds[fold] for v in versions])
            for name in result:
                inside = folds[name][rows] == fold
                result[name][rows[inside]] = found[name][inside]
        return result

    def _self_train(
        self,
        task: Task,
        fit: LibraryFit,
        stack: TaskStack,
        p: Mapping[str, Floats],
        strengths: Sequence[Strength],
        watched: Rows,
        judged: Mapping[str, Judged],
    ) -> tuple[TaskStack, Floats] | None:
        """Return a task's self-trained mixture, and what it gives for the rows out-of-fold."""
        name = task.name
        links = [s.version.whole for s in strengths]
        held = [
            (s.to_source if s.version.whole.source.name == name else s.to_target)
            - (HELD if s.as_given > 0 else HELD_ESTIMATED)
            for s in strengths
            if name in s.version.whole.ends()
        ]
        taught = np.intersect1d(watched, related_rows(self.annotations, name, links))
        if not len(taught) or not held or max(held) < 0:
            return None
        by_key = {learner.key: learner for learner in self.learners}
        members = sorted(stack.members, key=lambda m: -m.weight)
        teachers = [
            m for m in members
            if m.weight >= TEACHER_WEIGHT and m.key in by_key and takes_weights(by_key[m.key])
        ][:TEACHERS]  # fmt: skip
        if not teachers:
            return None
        rows = np.flatnonzero(self.annotations.labelled(name))
        fold = self.folds[name]
        parts = sorted({int(f) for f in [*fold[rows], *fold[taught]] if f >= 0})
        evidence = self.annotations[taught]
        given = {other: q[taught] for other, q in p.items()}
        where = np.searchsorted(watched, taught)
        predictions = {m.key: np.tile(self.rates[name], (len(self.rows), 1)) for m in teachers}
        models: dict[str, Any] = {}
        for f in [*parts, None]:
            if f is None:
                r = pseudo_labels(given, links, evidence, name)
                own, pseudo = rows, np.arange(len(taught))
            else:
                held_out = [m for m in members if f in fit.by_fold.get(m.key, {})]
                blind = given[name]
                if held_out:
                    # the mixture that did not see this fold
                    blind = combine(
                        task,
                        [fit.by_fold[m.key][f][where] for m in held_out],
                        [m.temperature for m in held_out],
                        np.array([m.weight for m in held_out]) / sum(m.weight for m in held_out),
                    )
                tables = [s.version.folds[f] for s in strengths]
                r = pseudo_labels({**given, name: blind}, tables, evidence, name)
                own = rows[fold[rows] != f]
                pseudo = np.flatnonzero(fold[taught] != f)
            r, factor = self._of_source(task, r, taught)
            for m in teachers:
                self.progress(f"{name}: {m.key} (self-training)")
                model = fit_self_trained(
                    by_key[m.key], task, self.X[self.rows],
                    (own, self.annotations.labels[name][own], self.weight[own]),
                    (taught[pseudo], r[pseudo]), self.seed,
                    None if factor is None else factor[pseudo],
                )  # fmt: skip
                if f is None:
                    models[m.key] = model
                    other = np.setdiff1d(np.arange(len(self.rows)), np.union1d(rows, taught))
                else:
                    other = np.concatenate([rows[fold[rows] == f], taught[fold[taught] == f]])
                predictions[m.key][other] = model.predict(self.X[self.rows[other]])
        temperatures, weights = stack_weights(task, list(predictions.values()), judged[name])
        mixture = combine(task, list(predictions.values()), temperatures, weights)
        found = [
            Member(key, float(w), t, models[key])
            for key, w, t in zip(predictions, weights, temperatures, strict=True)
        ]
        return TaskStack(task, tuple(found)), mixture

    def _of_source(self, task: Task, r: Floats, rows: Rows) -> tuple[Floats, Floats | None]:
        """Return pseudo-labels under the prior of each row's source, and what moves it back.

        The second is (r, W, 2), off and on: the ratio of the learners' prior to the source's.
        """
        if task.name not in self.priors:
            return r, None
        rate, prior = self.rates[task.name], self.priors[task.name][rows]
        off = (1 - rate) / (1 - prior)
        factor = np.clip(np.stack([off, rate / prior], axis=2), 1 / MOST_SHIFT, MOST_SHIFT)
        return adjust(task, r, rate, prior), factor

    def _joint(
        self, strengths: Sequence[Strength], relations: Sequence[AnyRelation], p: _Given
    ) -> tuple[dict[str, JointModel], dict[str, dict[str, Floats]]]:
        """Return the joint learners' models, and what they give for the rows out-of-fold.

        One fit hides a third of the labels of every task, and of every table that is estimated.
        """
        models: dict[str, JointModel] = {}
        predictions: dict[str, dict[str, Floats]] = {}
        chosen = []
        for learner in self.joint_learners:
            reason = self._reason_against(learner)
            if reason is None:
                chosen.append(learner)
            else:
                self.history.append({"learner": learner.name, "left_out": reason})
        if not chosen:
            return models, predictions
        folds = table_folds(self.all, self.folds_all, JOINT_FOLDS)
        parts = {name: np.where(fold < 0, fold, fold % JOINT_FOLDS) for name, fold in folds.items()}
        tables = self._joint_tables(strengths, relations, p, parts)
        for learner in chosen:
            self.progress(f"all tasks: {learner.name}")
            models[learner.name] = learner.fit(self.joint_inputs, self.all, tables[-1], self.seed)
            given = models[learner.name].predict(self.joint_inputs[self.rows])
            found = {name: np.array(q, np.float64) for name, q in given.items()}
            for fold in range(JOINT_FOLDS):
                self.progress(f"all tasks: {learner.name} (part {fold + 1} of {JOINT_FOLDS})")
                part = learner.fit(
                    self.joint_inputs, hidden(self.all, parts, fold), tables[fold], self.seed
                )
                given = part.predict(self.joint_inputs[self.rows])
                for name, q in given.items():
                    inside = parts[name][self.rows] == fold
                    found[name][inside] = q[inside]
            predictions[learner.name] = found
        return models, predictions

    def _join(
        self, fits: Mapping[str, LibraryFit], joint: Mapping[str, Mapping[str, Floats]]
    ) -> None:
        """Make joint learners' predictions part of every task's."""
        for name, predictions in joint.items():
            for task in self.tasks:
                fits[task.name].keys.append(name)
                fits[task.name].predictions[name] = predictions[task.name]

    def _reason_against(self, learner: JointLearner) -> str | None:
        """Return why a joint learner takes no part; None = it does."""
        if self.sample_weight is not None:
            return "takes no weights of rows"
        reason = learner.reason_against(self.all)
        if reason is not None:
            return reason
        cost = (JOINT_FOLDS + 1) * learner.seconds(self.all, self.X.shape[1])
        if cost > JOINT_SHARE * self.budget:
            return f"about {cost:.0f} s, over {JOINT_SHARE:.0%} of the budget"
        return None

    def _joint_tables(
        self,
        strengths: Sequence[Strength],
        relations: Sequence[AnyRelation],
        p: _Given,
        parts: Mapping[str, Rows],
    ) -> list[list[AnyRelation]]:
        """Return the relations for every part, and last those from all labels."""
        used = [s for s in strengths if max(s.to_source, s.to_target) >= HELD]
        fixed: list[AnyRelation] = [
            relation
            for relation in relations
            if isinstance(relation, NoisyOr) and relation.name in {s.name for s in used}
        ]
        tables = [s for s in used if isinstance(s.version.whole.source, Multiclass)]
        whole = [as_relation(s.version.whole) for s in tables]
        if all(link is s.version.whole for s in tables for link in s.version.folds):
            return [[*fixed, *whole]] * (JOINT_FOLDS + 1)
        inside = {name: fold[self.rows] for name, fold in parts.items()}
        pairs = [(s.version.whole.source.name, s.version.whole.target.name) for s in tables]
        given = [r for r in relations if r.name in {s.name for s in tables}]
        sources = {
            source.name: source
            for source in build_sources(
                self.annotations, p, self.rates, given, pairs, inside, JOINT_FOLDS, self.seed
            )
        }
        result: list[list[AnyRelation]] = []
        for fold in range(JOINT_FOLDS):
            found = list(fixed)
            for s in tables:
                version = mixed_version(sources[s.name], s.shares)
                link = version.folds[fold].with_strengths(s.to_source, s.to_target)
                found.append(as_relation(link))
            result.append(found)
        return [*result, [*fixed, *whole]]

    def _result(
        self,
        stacks: Mapping[str, TaskStack],
        taught: Mapping[str, TaskStack],
        strengths: Sequence[Strength],
        self_strengths: Sequence[Strength],
        guards: Mapping[str, Any],
        joint: Mapping[str, JointModel],
    ) -> CoupledStack:
        return CoupledStack(
            self.tasks,
            self.centre,
            self.scale,
            stacks,
            taught,
            [s.version.whole for s in strengths],
            [s.version.whole for s in self_strengths],
            guards,
            joint,
            self.rates,
            [s.to_dict() for s in strengths],
            self.history,
        )


def _rate(annotations: Annotations, task: Task) -> Floats:
    """Return the shares of a task's classes or labels, each with half a pseudo-row."""
    counts = annotations.counts(task.name).astype(np.float64) + 0.5
    if isinstance(task, Multiclass):
        return np.asarray(counts / counts.sum())
    return np.asarray(counts[:, 1] / counts.sum(axis=1))


def _checked_weight(weight: Floats | None, n: int) -> Floats | None:
    if weight is None:
        return None
    found = np.asarray(weight, np.float64)
    if found.shape != (n,) or not (np.isfinite(found) & (found >= 0)).all() or not found.any():
        raise LabelweaveError(
            f"sample_weight: found shape {found.shape}, expected {n} numbers of 0 or more"
        )
    return found

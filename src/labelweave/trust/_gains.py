"""Which part of a coupled model brought the gain of each task: leave one out, without training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import ne

import pandas as pd
from numpy.typing import ArrayLike

from labelweave._targets import Table, Targets
from labelweave.coupling import Candidate, CoupledStack
from labelweave.data import Inputs
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.fitting._stack import StackModel
from labelweave.learners import TaskStack
from labelweave.tables._frames import input_frame
from labelweave.trust._importance import REPLICATES, row_scores
from labelweave.trust._predictions import AnyModel, Predictions, predict_rows, predictor_of
from labelweave.trust._resampling import Resampling

COLUMNS = ("task", "part", "log_loss", "low", "high", "accuracy", "n")
SELF_TRAINED = ("self_trained", "self_trained_coupled")


def gain_sources(
    model: AnyModel,
    X: Table,
    y: Targets,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what each task owes to each relation, to self-training, to learners and networks.

    Each part is left out of the fitted model, with the weights of the rest as they are, and the
    rise of the log-loss on held-out rows is what it brought. Parts that can replace each other all
    show little, so the lines do not add up to the first one, ``all``: everything but the task's
    learners.

    Args:
        model: a classifier of the method ``coupled``, or its saved model.
        X: the inputs of n rows, new to the model.
        y: their labels by task.
        groups: (n,) what ties rows together; None = every row by itself.
        level: coverage of the bootstrap intervals.
        seed: of the resamplings.

    Returns:
        Columns ``task``, ``part`` (``all``, ``relation A->B``, ``self-training``, ``learner NAME``
        or ``network NAME``), ``log_loss`` (its rise without the part, in nats), ``low``, ``high``,
        ``accuracy`` (its fall) and ``n`` labelled rows.

    Raises:
        LabelweaveError: a model of another kind.
    """
    found = predictor_of(model)
    if not isinstance(found, StackModel):
        raise LabelweaveError(
            "gain_sources: found a network, expected a model of the method 'coupled'"
        )
    frame = model._inputs(X) if isinstance(model, MultiTaskClassifier) else input_frame(X)
    rows = predict_rows(model, X, y, groups)
    encoded = found.encoder.transform(found.typed(frame))
    return gain_parts(found, encoded, rows, level=level, seed=seed)


def gain_parts(
    found: StackModel, encoded: Inputs, rows: Predictions, *, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return what `gain_sources` does, of encoded inputs and what the model gives for them."""
    drawn = Resampling(rows.group_codes, REPLICATES, seed)
    full = row_scores(_given(found, found.stack, encoded, rows))
    lines = []
    for part, only, stack in _variants(found.stack):
        less = row_scores(_given(found, stack, encoded, rows))
        for task in rows.tasks:
            if only is not None and task.name not in only:
                continue
            (loss, right, seen), (worse, fewer, _) = full[task.name], less[task.name]
            if not seen.any():
                continue
            low, high = drawn.interval(worse - loss, seen, level)
            lines.append(
                {"task": task.name, "part": part, "log_loss": (worse - loss)[seen].mean(),
                 "low": low, "high": high, "accuracy": (right - fewer)[seen].mean(),
                 "n": int(seen.sum())}
            )  # fmt: skip
    made = pd.DataFrame(lines, columns=list(COLUMNS))
    places = {task.name: i for i, task in enumerate(rows.tasks)}
    return made.sort_values("task", key=lambda s: s.map(places), kind="stable", ignore_index=True)


def _given(
    model: StackModel, stack: CoupledStack, encoded: Inputs, rows: Predictions
) -> Predictions:
    given = model.under_prior(replace(model, stack=stack).probabilities(encoded))
    return Predictions(rows.annotations, given, rows.group_codes, rows.thresholds)


def _variants(stack: CoupledStack) -> Iterator[tuple[str, Sequence[str] | None, CoupledStack]]:
    """Give every part, the tasks that it can matter to (None = all), and the stack without it."""
    yield "all", None, _kept(stack, lambda name: name == "alone")
    for link in dict.fromkeys(each.name for each in (*stack.links, *stack.self_links)):
        links = [each for each in stack.links if each.name != link]
        others = [each for each in stack.self_links if each.name != link]
        yield f"relation {link}", None, replace(stack, links=links, self_links=others)
    if stack.self_trained:
        yield "self-training", None, _kept(stack, lambda name: name not in SELF_TRAINED)
    for name in stack.joint:
        yield f"network {name}", None, _without_learner(_kept(stack, partial(ne, name)), name)
    keys = {m.key: None for s in stack.alone.values() for m in s.members if m.weight > 0}
    for key in keys:
        if key not in stack.joint:
            having = [n for n, s in stack.alone.items() if _others(s, key)]
            if having:
                yield f"learner {key}", having, _without_learner(stack, key)


def _kept(stack: CoupledStack, wanted: Callable[[str], bool]) -> CoupledStack:
    """Return a stack with some candidates only; where none has a weight, `alone` has it."""
    guards = {}
    for name, candidates in stack.guards.items():
        total = sum(c.weight for c in candidates if wanted(c.name))
        guards[name] = [replace(c, weight=_weight(c, total)) for c in candidates if wanted(c.name)]
    return replace(stack, guards=guards)


def _weight(candidate: Candidate, total: float) -> float:
    return candidate.weight / total if total > 0 else float(candidate.name == "alone")


def _others(stack: TaskStack, key: str) -> bool:
    """Return whether a task has this learner, and others of some weight."""
    weights = {m.key: m.weight for m in stack.members}
    return weights.get(key, 0) > 0 and sum(w for k, w in weights.items() if k != key) > 0


def _without_learner(stack: CoupledStack, key: str) -> CoupledStack:
    def left(each: TaskStack) -> TaskStack:
        if not _others(each, key):
            return each
        total = sum(m.weight for m in each.members if m.key != key)
        members = [replace(m, weight=m.weight / total) for m in each.members if m.key != key]
        return replace(each, members=tuple(members))

    alone = {name: left(each) for name, each in stack.alone.items()}
    taught = {name: left(each) for name, each in stack.self_trained.items()}
    return replace(stack, alone=alone, self_trained=taught)

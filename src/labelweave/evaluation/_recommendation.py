"""Which method to use: worked out once, from the results of a study."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Message
from labelweave.evaluation._selection import MethodChoice, choose
from labelweave.results import (
    NETWORKS_ALONE,
    BlindSpot,
    ControlAhead,
    Joining,
    KeyFigure,
    Outcome,
    Recommendation,
    Results,
    TaskFacts,
)

FEW_SEEDS = 5
# what a method needs: relations, teachers, a whole library of learners
SIMPLICITY = (
    "multi_task", "distillation", "co_annotation", "distribution_matching", "full", "student",
    "coupled",
)  # fmt: skip
DEFAULT = "coupled"  # guarded by held-out labels, so it stands where a study cannot tell
NORMAL = 1.96  # half an interval of 95 %, in standard errors
CONTROLS_TO_BEAT = ("post_hoc", "strong_single_task", NETWORKS_ALONE)


def recommend(
    results: Results, held_out: Mapping[str, NDArray[np.float64]] | None = None
) -> Recommendation:
    """Return the recommendation that follows from the results.

    The method is chosen on training rows that were held out (`choose`): the simplest of those that
    they show equal to the best and that harm no task. Where they cannot tell, `coupled` stands: it
    is guarded by held-out labels itself. Only the baseline (the tasks alone) and the coupled
    methods are candidates, no other control. Without held-out rows the test rows rule out what
    harms a task; then `coupled` stands, and without it the simplest within a standard error of the
    highest mean.

    Args:
        results: the study's results.
        held_out: by method the scores of held-out training rows, (n, T), see `choose`; None = there
            are none.
    """
    baseline, coupled = results.baseline, results.coupled_methods
    joint = sorted(coupled, key=_simplicity)
    default = next((method for method in joint if method.partition(".")[0] == DEFAULT), None)
    best = _highest(results.mean_scores(coupled))
    if held_out:
        choice = choose(held_out, [baseline, *joint], default)
    else:
        choice = _chosen_on_test(results, [baseline, *joint], default)
    chosen = choice.method
    separate = chosen == baseline
    ruled_out = {
        method: tuple(results.tasks[i].name for i in tasks)
        for method, tasks in choice.harmed.items()
    }
    shown = (best or chosen) if separate else chosen
    means = results.mean_scores([baseline, *coupled])
    pair = results.mean_scores([chosen, "shuffled_relations"])
    shuffled = pair.get("shuffled_relations") if not separate and chosen in pair else None
    return Recommendation(
        method=chosen,
        shown=shown,
        best=best,
        verdict=decision(results, shown, separate=separate),
        compared=bool(results.mean_scores([baseline])),
        means=means,
        of_best=None if best is None else outcome(results, best),
        of_method=None if separate else outcome(results, chosen),
        ruled_out={method: ruled_out[method] for method in means if method in ruled_out},
        networks=_fewer_networks(results, chosen),
        shuffled=shuffled if shuffled is not None and shuffled >= pair[chosen] else None,
        controls=_controls_ahead(results, chosen),
        blind_spot=None if best is None else _blind_spot(results, best),
        figures=(_accuracy(results, shown), _labels(results), _cost(results, shown)),
        held_out_rows=choice.rows,
        equal=choice.equal,
    )


def _simplicity(method: str) -> tuple[int, str]:
    name, _, origin = method.partition(".")
    return SIMPLICITY.index(name) if name in SIMPLICITY else len(SIMPLICITY), origin


def _chosen_on_test(results: Results, order: Sequence[str], default: str | None) -> MethodChoice:
    """Return the default where the test rows show no harm, else the choice by their means."""
    baseline, names = order[0], [task.name for task in results.tasks]
    harmed = {
        method: tuple(names.index(task) for task in tasks)
        for method in order[1:]
        if (tasks := results.tasks_with(method, "negative transfer"))
    }
    means = results.mean_scores([method for method in order if method not in harmed])
    if not means:
        return MethodChoice(baseline, baseline, (), harmed, 0)
    if default in means:
        return MethodChoice(default, default, (), harmed, 0)
    best = max(means, key=lambda method: (means[method], -order.index(method)))
    error = _error_of_mean(results, best)
    equal = [m for m in order if m in means and means[best] - means[m] <= error + 1e-9]
    return MethodChoice(equal[0], best, tuple(equal[1:]), harmed, 0)


def _error_of_mean(results: Results, method: str) -> float:
    """Return the standard error of a method's mean difference to the baseline; 0 = not known."""
    found = []
    for task in results.tasks:
        change = results.difference(method, task)
        if change.raw_low is not None and change.raw_high is not None:
            found.append((change.raw_high - change.raw_low) / 2 / NORMAL)
    return sum(error**2 for error in found) ** 0.5 / len(found) if found else 0.0


def _highest(means: dict[str, float]) -> str | None:
    return max(means, key=means.__getitem__, default=None)


def decision(results: Results, method: str, *, separate: bool) -> Joining:
    """Return whether to join the tasks: what follows from the recommended method.

    Where no change is shown, and on some task there is not enough data or no comparison at all, the
    answer is "cannot tell". Else, for a joint method: "join", a gain on some task and negative
    transfer on none; "join some", both; "contradictory", negative transfer only; "no gain shown",
    no task differs. For the tasks alone: "contradictory" where the joint method has gains only,
    else "do not join".

    Args:
        results: the study's results.
        method: the joint method: the recommended one, or the best.
        separate: whether the tasks alone are recommended.
    """
    words = {results.verdict(method, task) for task in results.tasks}
    gain, harm = "gain" in words, "negative transfer" in words
    if not gain and not harm and words & {None, "not enough data"}:
        return "cannot tell"
    if gain and not harm:
        return "contradictory" if separate else "join"
    if separate:
        return "do not join"
    return "join some" if gain else "contradictory" if harm else "no gain shown"


def outcome(results: Results, method: str) -> Outcome:
    """Return on which tasks a method gains, harms or has too little data."""
    gains = results.tasks_with(method, "gain")
    moved = []
    for i, task in enumerate(results.tasks):
        before, after = results.score(results.baseline, task), results.score(method, task)
        change = results.difference(method, task).mean
        if before.mean is not None and after.mean is not None and change is not None:
            moved.append((task.name in gains, abs(change), -i, task.name))
    return Outcome(
        method,
        gains,
        results.tasks_with(method, "negative transfer"),
        results.tasks_with(method, "not enough data"),
        max(moved)[-1] if moved else None,
    )


def _controls_ahead(results: Results, chosen: str) -> tuple[ControlAhead, ...]:
    found = []
    for control in CONTROLS_TO_BEAT:
        if control in (results.baseline, chosen):
            continue
        ahead, apart = 0, []
        for task in results.tasks:
            ours, theirs = results.score(chosen, task), results.score(control, task)
            if ours.mean is not None and theirs.mean is not None and theirs.mean > ours.mean:
                ahead += 1
                if ours.high is not None and theirs.low is not None and theirs.low > ours.high:
                    apart.append(task.name)
        if ahead:
            found.append(ControlAhead(control, ahead, tuple(apart)))
    return tuple(found)


def _blind_spot(results: Results, method: str) -> BlindSpot | None:
    silent = [
        task
        for task in results.tasks
        if results.verdict(method, task) in ("no difference", "not enough data")
        and results.difference(method, task).p is not None
    ]
    if not silent:
        return None

    def unseen(task: TaskFacts) -> float:
        found = results.difference(method, task).detectable
        return inf if found is None else found

    task = max(silent, key=unseen)
    change, before = results.difference(method, task), results.score(results.baseline, task).mean
    return BlindSpot(
        method,
        len(silent),
        task.name,
        change.detectable,
        None if before is None else 1 - before,
        change.n,
        change.seeds,
    )


def _fewer_networks(results: Results, chosen: str) -> tuple[int, int] | None:
    ours, before = results.costs.get(chosen), results.costs.get(NETWORKS_ALONE)
    if ours and before and ours.networks and before.networks and ours.networks < before.networks:
        return ours.networks, before.networks
    return None


def _accuracy(results: Results, method: str) -> KeyFigure:
    changes = [
        change
        for task in results.tasks
        if (change := results.difference(method, task).mean) is not None
    ]
    if not changes:
        return KeyFigure("accuracy")
    mean = 100 * sum(changes) / len(changes)
    return KeyFigure("accuracy", "points", mean, assumption=Message("assumption.mean_of_tasks"))


def _labels(results: Results) -> KeyFigure:
    saved = [curve.saved for curve in results.label_curves.values()]
    known = [each.mean for each in saved if each and each.mean is not None]
    if not known:
        return KeyFigure("labels")
    return KeyFigure("labels", "labels", sum(known), assumption=Message("assumption.label_curves"))


def _cost(results: Results, method: str) -> KeyFigure:
    ratio = results.running.ratio.get("latency_256") if results.running else None
    if ratio and ratio.mean is not None:
        return KeyFigure(
            "cost", "times", ratio.mean, ratio.low, ratio.high, Message("assumption.latency")
        )
    costs = (results.costs.get(name) for name in (method, results.baseline))
    ours, base = (each.seconds if each else None for each in costs)
    if method == results.baseline or not ours or not base:
        return KeyFigure("cost")
    return KeyFigure("cost", "times", ours / base, assumption=Message("assumption.training_time"))

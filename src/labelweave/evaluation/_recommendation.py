"""Which method to use: worked out once, from the results of a study."""

from labelweave._messages import Message
from labelweave.results import (
    BlindSpot,
    ControlAhead,
    Joining,
    KeyFigure,
    Outcome,
    Recommendation,
    Results,
)

FEW_SEEDS = 5
CONTROLS_TO_BEAT = ("post_hoc", "strong_single_task", "best_single_task")


def recommend(results: Results) -> Recommendation:
    """Return the recommendation that follows from the results.

    The method to use has no negative transfer on any task and the highest mean main metric. Only
    the baseline and the coupled methods are candidates, never a control. The baseline is the
    answer where every coupled method harms some task, or none has a higher mean.
    """
    baseline, coupled = results.baseline, results.coupled_methods
    best = _highest(results.mean_scores(coupled))
    ruled_out = {method: results.tasks_with(method, "negative transfer") for method in coupled}
    safe = [method for method in coupled if not ruled_out[method]]
    # the baseline comes first, so a tie goes to it
    chosen = _highest(results.mean_scores([baseline, *safe])) or baseline
    shown = (best or chosen) if chosen == baseline else chosen
    means = results.mean_scores([baseline, *coupled])
    pair = results.mean_scores([chosen, "shuffled_relations"])
    shuffled = pair.get("shuffled_relations") if chosen != baseline and chosen in pair else None
    return Recommendation(
        method=chosen,
        shown=shown,
        best=best,
        verdict=joining(results, shown),
        compared=bool(results.mean_scores([baseline])),
        means=means,
        of_best=None if best is None else outcome(results, best),
        of_method=None if chosen == baseline else outcome(results, chosen),
        ruled_out={method: tasks for method in means if (tasks := ruled_out.get(method))},
        networks=_fewer_networks(results, chosen),
        shuffled=shuffled if shuffled is not None and shuffled >= pair[chosen] else None,
        controls=_controls_ahead(results, chosen),
        blind_spot=None if best is None else _blind_spot(results, best),
        figures=(_accuracy(results, shown), _labels(results), _cost(results, shown)),
    )


def _highest(means: dict[str, float]) -> str | None:
    return max(means, key=means.__getitem__, default=None)


def joining(results: Results, method: str) -> Joining:
    """Return whether to join the tasks, by the verdicts on a joint method.

    join: a gain on some task and negative transfer on none; join some: both; cannot tell: no change
    is shown, and on some task there is not enough data, or no comparison at all; do not join: all
    else.
    """
    words = [results.verdict(method, task) for task in results.tasks]
    if "gain" in words:
        return "join some" if "negative transfer" in words else "join"
    unclear = {None, "not enough data"} & {*words}
    return "cannot tell" if unclear and "negative transfer" not in words else "do not join"


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
        (change.detectable, task.name, change)
        for task in results.tasks
        if results.verdict(method, task) in ("no difference", "not enough data")
        and (change := results.difference(method, task)).detectable is not None
    ]
    if not silent:
        return None
    detectable, name, change = max(silent, key=lambda entry: entry[0] or 0.0)
    return BlindSpot(method, len(silent), name, detectable or 0.0, change.n, change.seeds)


def _fewer_networks(results: Results, chosen: str) -> tuple[int, int] | None:
    ours, before = results.costs.get(chosen), results.costs.get(results.baseline)
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
    saved = [curve.get("saved") for curve in results.label_curves.values()]
    known = [each["mean"] for each in saved if each and each.get("mean") is not None]
    if not known:
        return KeyFigure("labels")
    return KeyFigure("labels", "labels", sum(known), assumption=Message("assumption.label_curves"))


def _cost(results: Results, method: str) -> KeyFigure:
    ratio = results.running.ratio.get("latency_256") if results.running else None
    if ratio:
        return KeyFigure("cost", "times", ratio, assumption=Message("assumption.latency"))
    costs = (results.costs.get(name) for name in (method, results.baseline))
    ours, base = (each.seconds if each else None for each in costs)
    if method == results.baseline or not ours or not base:
        return KeyFigure("cost")
    return KeyFigure("cost", "times", ours / base, assumption=Message("assumption.training_time"))

"""The verdict of a study in words: which arm to use, why, and what it gained."""

from collections.abc import Mapping, Sequence
from typing import Any

from labelweave.errors import listing
from labelweave.report.tables import (
    checked,
    coupled_arms,
    difference,
    fixed,
    interval_level,
    mean_scores,
    score,
    tasks_with,
    verdict,
)


def best_coupled_arm(results: Mapping[str, Any]) -> str | None:
    """Return the coupled arm with the highest mean main metric, None if none has data."""
    results = checked(results)
    means = mean_scores(results, coupled_arms(results))
    return max(means, key=means.__getitem__, default=None)


def recommended_arm(results: Mapping[str, Any]) -> str:
    """Return the arm to use: no negative transfer on any task and the highest mean main metric.

    Only the baseline and the coupled arms are candidates, never a control. The baseline is the
    answer where every coupled arm harms some task, or none has a higher mean.

    Args:
        results: the content of a study's results.json.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results = checked(results)
    coupled = coupled_arms(results)
    safe = [arm for arm in coupled if not tasks_with(results, arm, "negative transfer")]
    # the baseline comes first, so a tie goes to it
    means = mean_scores(results, [results["baseline"], *safe])
    return max(means, key=means.__getitem__, default=str(results["baseline"]))


def headline(results: Mapping[str, Any]) -> str:
    """Return the verdict in words, in one line.

    It holds the best coupled arm against the baseline, names the recommended arm where that is
    another one, and says where a control has a higher mean than the recommended arm.

    Args:
        results: the content of a study's results.json.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results = checked(results)
    best, chosen = best_coupled_arm(results), recommended_arm(results)
    baseline = str(results["baseline"])
    if best is None:
        parts = [f"no coupled arm has results to hold against {baseline}"]
    elif not mean_scores(results, [baseline]):
        parts = [
            f"{best} is the best coupled arm, but {baseline} has no results to compare it with"
        ]
    else:
        parts = [f"{best} against {baseline}: {_outcome(results, best)}"]
    if best is not None and chosen != best:
        parts.append(f"Recommended: {chosen}")
    return ". ".join(parts + _controls_ahead(results, chosen))


def reasons(results: Mapping[str, Any]) -> list[str]:
    """Return why `recommended_arm` is recommended, one sentence a reason.

    Args:
        results: the content of a study's results.json.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results = checked(results)
    chosen, baseline = recommended_arm(results), str(results["baseline"])
    found = []
    means = mean_scores(results, [baseline, *coupled_arms(results)])
    if chosen in means:
        others = ", ".join(f"{arm} {fixed(m)}" for arm, m in means.items() if arm != chosen)
        found.append(
            f"Mean of the main metrics: {chosen} {fixed(means[chosen])}"
            + (f"; {others}." if others else ".")
        )
    if chosen != baseline:
        found.append(f"{chosen} shows a {_outcome(results, chosen)}.")
    for arm in means:
        harmed = tasks_with(results, arm, "negative transfer")
        if harmed:
            found.append(f"{arm} is ruled out by negative transfer on {_counted(harmed)}.")
    pair = mean_scores(results, [chosen, "shuffled_relations"])
    if chosen != baseline and len(pair) == 2 and pair["shuffled_relations"] >= pair[chosen]:
        found.append(
            f"Caution: shuffled_relations does as well ({short(pair['shuffled_relations'])}), "
            "so the gain does not come from what the relations say."
        )
    if chosen in means and len(means) > 2:
        found.append(
            "It is chosen by the test rows' means: among arms that do alike, the best looks a "
            "little better than it is."
        )
    costs = [results["costs"].get(arm, {}).get("networks") for arm in (chosen, baseline)]
    if all(costs) and costs[0] < costs[1]:
        networks = "1 network" if costs[0] == 1 else f"{costs[0]} networks"
        found.append(f"It takes {networks} in place of {costs[1]}.")
    return found


def blind_spot(results: Mapping[str, Any]) -> str | None:
    """Return how large a change could have stayed unseen where the best coupled arm shows none.

    None where it shows a change on every task, or the results do not say what could be seen.

    Args:
        results: the content of a study's results.json.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results = checked(results)
    arm = best_coupled_arm(results)
    if arm is None:
        return None
    silent = [
        (change.detectable, task["name"], change)
        for task in results["tasks"]
        if verdict(results, arm, task) in ("no difference", "not enough data")
        and (change := difference(results, arm, task)).detectable is not None
    ]
    if not silent:
        return None
    detectable, name, change = max(silent, key=lambda entry: entry[0])
    seeds = f"{change.seeds} seed{'s' * (change.seeds != 1)}"
    return (
        f"{arm} shows no change on {_of(len(silent), results)}: with {change.n} test labels and "
        f"{seeds} only one over {100 * detectable:.1f} points could be seen on {name}"
        + (", over less on the others" if len(silent) > 1 else "")
    )


def _outcome(results: Mapping[str, Any], arm: str) -> str:
    gains, harmed = (tasks_with(results, arm, word) for word in ("gain", "negative transfer"))
    unclear = tasks_with(results, arm, "not enough data")
    text = f"gain on {_of(len(gains), results)}"
    text += f", negative transfer on {_counted(harmed)}"
    text += f", not enough data on {_counted(unclear)}" if unclear else ""
    # the example: the largest gain, or the largest change where nothing is a gain
    moved = []
    for task in results["tasks"]:
        before, after = score(results, results["baseline"], task), score(results, arm, task)
        change = difference(results, arm, task)
        if before.mean is None or after.mean is None or change.mean is None:
            continue
        told = f"{task['name']} {short(before.mean)} -> {short(after.mean)}"
        told += f" ({short(change.mean, '+')}"
        if change.low is not None and change.high is not None:
            told += (
                f", {interval_level(results)} interval {short(change.low)} to {short(change.high)}"
            )
        moved.append((task["name"] in gains, abs(change.mean), told + ")"))
    return text + (f"; {max(moved)[-1]}" if moved else "")


def _controls_ahead(results: Mapping[str, Any], chosen: str) -> list[str]:
    parts = []
    for control in ("post_hoc", "strong_single_task"):
        ahead = 0
        apart: list[str] = []
        for task in results["tasks"]:
            ours, theirs = score(results, chosen, task), score(results, control, task)
            if ours.mean is not None and theirs.mean is not None and theirs.mean > ours.mean:
                ahead += 1
                if ours.high is not None and theirs.low is not None and theirs.low > ours.high:
                    apart.append(task["name"])
        if ahead:
            parts.append(
                f"The control {control} has a higher mean than {chosen} on "
                f"{_of(ahead, results)}, with the intervals apart on {_counted(apart)}"
            )
    return parts


def _of(number: int, results: Mapping[str, Any]) -> str:
    count = len(results["tasks"])
    return f"{number or 'none'} of {count} task{'s' * (count != 1)}"


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} ({listing(names, 3)})" if names else "none"


def short(value: float, sign: str = "") -> str:
    """Return a fraction in two decimals without its leading zero: ".61", "-.05", "1.00"."""
    text = f"{value:{sign}z.2f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text

"""The verdict of a study in words: which arm to use, and what it gained."""

from collections.abc import Mapping, Sequence
from typing import Any

from labelweave.report.messages import Messages
from labelweave.report.tables import (
    checked,
    coupled_arms,
    difference,
    interval_level,
    mean_scores,
    score,
    tasks_with,
    verdict,
)

CONTROLS_TO_BEAT = ("post_hoc", "strong_single_task")


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


def shown_arm(results: Mapping[str, Any]) -> str:
    """Return the arm whose figures are told: the recommended one, or the best beside a baseline."""
    given = results["decision"].get("arm")
    if given in results["arms"]:
        return str(given)
    arm = recommended_arm(results)
    return (best_coupled_arm(results) or arm) if arm == results["baseline"] else arm


def joining(results: Mapping[str, Any], arm: str) -> str:
    """Return whether to join: "join", "join some", "do not join" or "cannot tell".

    By the verdicts on a joint arm. join: a gain on some task and negative transfer on none; join
    some: both; cannot tell: no change is shown, and on some task there is not enough data, or no
    comparison at all; do not join: all else.

    Args:
        results: the content of a study's results.json.
        arm: the joint arm.
    """
    words = [verdict(results, arm, task) for task in results["tasks"]]
    if "gain" in words:
        return "join some" if "negative transfer" in words else "join"
    unclear = {None, "not enough data"} & {*words}
    return "cannot tell" if unclear and "negative transfer" not in words else "do not join"


def headline(results: Mapping[str, Any], say: Messages | None = None) -> str:
    """Return the verdict in words, in one line.

    It holds the best coupled arm against the baseline, names the recommended arm where that is
    another one, and says where a control has a higher mean than the recommended arm.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    best, chosen = best_coupled_arm(results), recommended_arm(results)
    baseline = str(results["baseline"])
    if best is None:
        parts = [say("headline.no_arm", baseline=baseline)]
    elif not mean_scores(results, [baseline]):
        parts = [say("headline.no_baseline", arm=best, baseline=baseline)]
    else:
        told = outcome(results, best, say)
        parts = [say("headline.against", arm=best, baseline=baseline, outcome=told)]
    if best is not None and chosen != best:
        parts.append(say("headline.recommended", arm=chosen))
    parts += controls_ahead(results, chosen, say)
    return say("format.stop").join(parts)


def blind_spot(results: Mapping[str, Any], say: Messages | None = None) -> str | None:
    """Return how large a change could have stayed unseen where the best coupled arm shows none.

    None where it shows a change on every task, or the results do not say what could be seen.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
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
    told = say(
        "risk.blind_spot",
        arm=arm,
        of=of_tasks(len(silent), results, say),
        labels=change.n,
        seeds=say("count.seeds", n=change.seeds),
        points=say.fixed(100 * detectable, 1),
        task=name,
    )
    return told + (say("risk.blind_spot_others") if len(silent) > 1 else "")


def outcome(results: Mapping[str, Any], arm: str, say: Messages) -> str:
    """Return on how many tasks an arm gains and harms, with an example."""
    gains, harmed = (tasks_with(results, arm, word) for word in ("gain", "negative transfer"))
    unclear = tasks_with(results, arm, "not enough data")
    text = say(
        "outcome.counts",
        gains=of_tasks(len(gains), results, say),
        harmed=counted(harmed, say),
    )
    text += say("outcome.unclear", unclear=counted(unclear, say)) if unclear else ""
    # the example: the largest gain, or the largest change where nothing is a gain
    moved = []
    for task in results["tasks"]:
        before, after = score(results, results["baseline"], task), score(results, arm, task)
        change = difference(results, arm, task)
        if before.mean is None or after.mean is None or change.mean is None:
            continue
        told = say.short(change.mean, "+")
        if change.low is not None and change.high is not None:
            ends = {"low": say.short(change.low), "high": say.short(change.high)}
            told += say("outcome.interval", level=interval_level(results), **ends)
        values = {"before": say.short(before.mean), "after": say.short(after.mean)}
        example = say("outcome.example", task=task["name"], change=told, **values)
        moved.append((task["name"] in gains, abs(change.mean), example))
    return text + (max(moved)[-1] if moved else "")


def controls_ahead(results: Mapping[str, Any], chosen: str, say: Messages) -> list[str]:
    """Return a sentence for every control that has a higher mean than an arm on some task."""
    parts = []
    for control in CONTROLS_TO_BEAT:
        ahead = 0
        apart: list[str] = []
        for task in results["tasks"]:
            ours, theirs = score(results, chosen, task), score(results, control, task)
            if ours.mean is not None and theirs.mean is not None and theirs.mean > ours.mean:
                ahead += 1
                if ours.high is not None and theirs.low is not None and theirs.low > ours.high:
                    apart.append(task["name"])
        if ahead:
            of = of_tasks(ahead, results, say)
            names = {"control": control, "arm": chosen, "apart": counted(apart, say)}
            parts.append(say("headline.control", of=of, **names))
    return parts


def of_tasks(number: int, results: Mapping[str, Any], say: Messages) -> str:
    """Return "2 of 9 tasks"."""
    key = "count.of_tasks" if number else "count.of_tasks_none"
    return say(key, number=number, n=len(results["tasks"]))


def counted(names: Sequence[str], say: Messages) -> str:
    """Return how many names there are, and the first three of them."""
    if not names:
        return say("word.none")
    return say("count.named", n=len(names), names=say.names(names, 3))

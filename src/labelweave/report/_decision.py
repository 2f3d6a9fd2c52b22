"""What a manager decides on: the verdict, three figures, reasons for and risks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelweave._messages import Messages
from labelweave.evaluation._recommendation import (
    FEW_SEEDS,
    best_coupled_method,
    joining,
    recommended_method,
    shown_method,
)
from labelweave.results import (
    checked,
    coupled_methods,
    difference,
    interval_level,
    mean_scores,
    score,
    tasks_with,
    verdict,
)

CONTROLS_TO_BEAT = ("post_hoc", "strong_single_task", "best_single_task")


def headline(results: Mapping[str, Any], say: Messages | None = None) -> str:
    """Return the verdict in words, in one line.

    It holds the best coupled method against the baseline, names the recommended method where that
    is another one, and says where a control has a higher mean than the recommended method.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    best, chosen = best_coupled_method(results), recommended_method(results)
    baseline = str(results["baseline"])
    if best is None:
        parts = [say("headline.no_method", baseline=baseline)]
    elif not mean_scores(results, [baseline]):
        parts = [say("headline.no_baseline", method=best, baseline=baseline)]
    else:
        told = outcome(results, best, say)
        parts = [say("headline.against", method=best, baseline=baseline, outcome=told)]
    if best is not None and chosen != best:
        parts.append(say("headline.recommended", method=chosen))
    parts += controls_ahead(results, chosen, say)
    return say("format.stop").join(parts)


def blind_spot(results: Mapping[str, Any], say: Messages | None = None) -> str | None:
    """Return how large a change could have stayed unseen where the best coupled method shows none.

    None where it shows a change on every task, or the results do not say what could be seen.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    method = best_coupled_method(results)
    if method is None:
        return None
    silent = [
        (change.detectable, task["name"], change)
        for task in results["tasks"]
        if verdict(results, method, task) in ("no difference", "not enough data")
        and (change := difference(results, method, task)).detectable is not None
    ]
    if not silent:
        return None
    detectable, name, change = max(silent, key=lambda entry: entry[0])
    told = say(
        "risk.blind_spot",
        method=method,
        of=of_tasks(len(silent), results, say),
        labels=change.n,
        seeds=say("count.seeds", n=change.seeds),
        points=say.fixed(100 * detectable, 1),
        task=name,
    )
    return told + (say("risk.blind_spot_others") if len(silent) > 1 else "")


def outcome(results: Mapping[str, Any], method: str, say: Messages) -> str:
    """Return on how many tasks a method gains and harms, with an example."""
    gains, harmed = (tasks_with(results, method, word) for word in ("gain", "negative transfer"))
    unclear = tasks_with(results, method, "not enough data")
    text = say(
        "outcome.counts",
        gains=of_tasks(len(gains), results, say),
        harmed=counted(harmed, say),
    )
    text += say("outcome.unclear", unclear=counted(unclear, say)) if unclear else ""
    # the example: the largest gain, or the largest change where nothing is a gain
    moved = []
    for task in results["tasks"]:
        before, after = score(results, results["baseline"], task), score(results, method, task)
        change = difference(results, method, task)
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
    """Return a sentence for every control that has a higher mean than a method on some task."""
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
            names = {"control": control, "method": chosen, "apart": counted(apart, say)}
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


SPEED = ("times", "times the rows per second")


@dataclass(frozen=True)
class Figure:
    """One of the three figures.

    Attributes:
        title: what it is.
        value: the number with its unit, or that it was not measured.
        interval: the interval of the value, "" where there is none.
        assumption: what it stands on.
        measured: whether there is a number.
    """

    title: str
    value: str
    interval: str
    assumption: str
    measured: bool


def three_figures(results: Mapping[str, Any], say: Messages) -> tuple[Figure, ...]:
    """Return the figures that the results decide on; one that they leave out is made of theirs."""
    told = {entry["key"]: entry for entry in results["decision"].get("figures") or []}
    makers = {"accuracy": _accuracy, "labels": _labels, "cost": _cost}
    return tuple(
        _figure(name, told.get(name) or make(results), say) for name, make in makers.items()
    )


def _accuracy(results: Mapping[str, Any]) -> dict[str, Any] | None:
    method = shown_method(results)
    changes = [
        change
        for task in results["tasks"]
        if (change := difference(results, method, task).mean) is not None
    ]
    if not changes:
        return None
    mean = 100 * sum(changes) / len(changes)
    return {"value": {"mean": mean}, "unit": "points", "assumption": "mean_of_tasks"}


def _labels(results: Mapping[str, Any]) -> dict[str, Any] | None:
    saved = [curve.get("saved") for curve in results["label_curves"].values()]
    known = [each["mean"] for each in saved if each and each.get("mean") is not None]
    if not known:
        return None
    return {"value": {"mean": sum(known)}, "unit": "labels", "assumption": "label_curves"}


def _cost(results: Mapping[str, Any]) -> dict[str, Any] | None:
    ratio = (results["costs"].get("ratio") or {}).get("latency_256")
    if ratio:
        return {"value": {"mean": ratio}, "unit": "times", "assumption": "latency"}
    method, baseline = shown_method(results), results["baseline"]
    ours, base = (results["costs"].get(name, {}).get("seconds") for name in (method, baseline))
    if method == baseline or not ours or not base:
        return None
    return {"value": {"mean": ours / base}, "unit": "times", "assumption": "training_time"}


def _figure(name: str, entry: Mapping[str, Any] | None, say: Messages) -> Figure:
    title = say(f"figure.{name}")
    value = (entry or {}).get("value") or {}
    if entry is None or value.get("mean") is None:
        return Figure(title, say("word.not_measured"), "", say(f"figure.{name}_missing"), False)
    unit, scale = entry.get("unit") or "", 1.0
    if unit == "fraction":
        unit, scale = "points", 100.0
    mean, low, high = (
        None if value.get(end) is None else scale * value[end] for end in ("mean", "low", "high")
    )
    digits = 0 if unit == "labels" else _digits(mean)
    sign = "+" if unit == "points" else ""
    return Figure(
        title,
        say("format.unit", number=say.fixed(mean, digits, sign), unit=_unit(unit, say)),
        "" if low is high is None else say.span(low, high, digits, sign),
        _assumption(name, entry, say),
        True,
    )


def _unit(unit: str, say: Messages) -> str:
    """Return what a unit is called; "EUR a year", which is saved, a currency and a unit."""
    currency, _, per = unit.partition(" ")
    if not say.has(f"unit.{unit}") and say.has(f"unit.saved {per}"):
        return f"{currency} {say.named('unit', f'saved {per}')}"
    return say.named("unit", unit)


def _assumption(name: str, entry: Mapping[str, Any], say: Messages) -> str:
    """Return the assumption of a figure: as it is told, or in general words."""
    given = entry.get("assumption")
    if say.has(f"assumption.{given}"):
        return say(f"assumption.{given}")
    if given and (say.language == "en" or say.tells(given)):
        return say.told(given)
    kind = f"{name}_{'speed' if entry.get('unit') in SPEED else 'money'}"
    return say(f"assumption.{kind}" if name == "cost" else f"assumption.{name}")


def _digits(value: float | None) -> int:
    size = abs(value or 0.0)
    return 0 if size >= 100 else 1 if size >= 10 else 2


# what the results give a key for and the sentences below tell anyway
TOLD = {"gain", "negative_transfer", "no_gain", "fewer_networks", "few_seeds", "failed_runs"}


@dataclass(frozen=True)
class Decision:
    """The first screen of a report, in words.

    Attributes:
        key: "join", "join some", "do not join" or "cannot tell".
        verdict: the same, said in the report's language.
        figures: gain in accuracy, labels saved, running cost.
        reasons: sentences for the recommendation.
        risks: sentences that speak against trusting it too far.
    """

    key: str
    verdict: str
    figures: tuple[Figure, ...]
    reasons: tuple[str, ...]
    risks: tuple[str, ...]


def decide(results: Mapping[str, Any], say: Messages | None = None) -> Decision:
    """Return the decision that the results hold; what they leave out is made of their figures.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    given = results["decision"]
    key = given.get("verdict") or joining(results, shown_method(results))
    return Decision(
        key,
        say.named("decision", key),
        three_figures(results, say),
        tuple(reasons(results, say) + _said("reason", given.get("reasons"), say)),
        tuple(risks(results, say) + _said("risk", given.get("risks"), say)),
    )


def reasons(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return why `recommended_method` is recommended, one sentence a reason.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_method(results), str(results["baseline"])
    found = []
    means = mean_scores(results, [baseline, *coupled_methods(results)])
    if chosen in means:
        mean = say.fixed(means[chosen])
        others = [f"{method} {say.fixed(m)}" for method, m in means.items() if method != chosen]
        key = "reason.means" if others else "reason.mean"
        found.append(say(key, method=chosen, mean=mean, others=say.list(others)))
    if chosen != baseline:
        found.append(say("reason.outcome", method=chosen, outcome=outcome(results, chosen, say)))
    for method in means:
        harmed = tasks_with(results, method, "negative transfer")
        if harmed:
            found.append(say("reason.ruled_out", method=method, tasks=counted(harmed, say)))
    costs = [results["costs"].get(method, {}).get("networks") for method in (chosen, baseline)]
    if all(costs) and costs[0] < costs[1]:
        found.append(say("reason.networks", n=costs[0], before=costs[1]))
    return found


def risks(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return what speaks against trusting the recommendation too far, one sentence a risk.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_method(results), str(results["baseline"])
    found = []
    pair = mean_scores(results, [chosen, "shuffled_relations"])
    if chosen != baseline and len(pair) == 2 and pair["shuffled_relations"] >= pair[chosen]:
        found.append(say("risk.shuffled", mean=say.short(pair["shuffled_relations"])))
    if len(mean_scores(results, [baseline, *coupled_methods(results)])) > 2:
        found.append(say("risk.selection"))
    unseen = blind_spot(results, say)
    if unseen:
        found.append(unseen + say.stop)
    if 0 < len(results["seeds"]) < FEW_SEEDS:
        found.append(say("risk.seeds", n=len(results["seeds"])))
    if results["failures"]:
        found.append(say("risk.failures", n=len(results["failures"])))
    return found


def _said(kind: str, entries: Sequence[Mapping[str, Any]] | None, say: Messages) -> list[str]:
    """Return given reasons or risks as sentences; one without a text is told as it stands."""
    found = []
    for entry in entries or []:
        key, given = entry["key"], entry.get("values") or {}
        if key in TOLD:
            continue
        values = {name: _plain(value, say) for name, value in given.items()}
        text = f"{kind}.{key}" + ("_open" if None in given.values() else "")
        try:
            found.append(say(text, **values))
        except KeyError:
            told = say.list([f"{name} {value}" for name, value in values.items()])
            found.append(f"{key}: {told}" if told else str(key))
    return found


def _plain(value: Any, say: Messages) -> object:
    if isinstance(value, float):
        return say.fixed(value, 0 if abs(value) >= 1 else 3)
    if isinstance(value, list):
        return say.names(value, 3)
    return value

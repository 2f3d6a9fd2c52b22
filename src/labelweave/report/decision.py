"""What a manager decides on: the verdict, three figures, reasons for and risks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelweave.report.messages import Messages
from labelweave.report.tables import (
    checked,
    coupled_arms,
    difference,
    mean_scores,
    tasks_with,
    verdict,
)
from labelweave.report.verdict import (
    best_coupled_arm,
    blind_spot,
    counted,
    outcome,
    recommended_arm,
)

FIGURES = ("accuracy", "labels", "cost")
FEW_SEEDS = 5
SPEED = ("times", "times the rows per second")
# what the results give a key for and the sentences below tell anyway
TOLD = {"gain", "negative_transfer", "no_gain", "fewer_networks", "few_seeds", "failed_runs"}


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
    key = given.get("verdict") or verdict_key(results)
    told = {entry["key"]: entry for entry in given.get("figures") or []}
    makers = {"accuracy": _accuracy, "labels": _labels, "cost": _cost}
    figures = tuple(_figure(name, told.get(name) or makers[name](results), say) for name in FIGURES)
    return Decision(
        key,
        say.named("decision", key),
        figures,
        tuple(reasons(results, say) + _said("reason", given.get("reasons"), say)),
        tuple(risks(results, say) + _said("risk", given.get("risks"), say)),
    )


def verdict_key(results: Mapping[str, Any]) -> str:
    """Return "join", "join some", "do not join" or "cannot tell".

    join: the recommended arm is a joint one with a gain on some task. join some: none is safe on
    all tasks, but the best joint arm gains on some. cannot tell: no change anywhere, and on some
    task not enough data. do not join: all else.
    """
    results = checked(results)
    best, chosen = best_coupled_arm(results), recommended_arm(results)
    if best is None or not mean_scores(results, [results["baseline"]]):
        return "cannot tell"
    if chosen != results["baseline"] and tasks_with(results, chosen, "gain"):
        return "join"
    if tasks_with(results, best, "gain"):
        return "join some"
    harmed = tasks_with(results, best, "negative transfer")
    return "cannot tell" if not harmed and _unclear(results, best) else "do not join"


def reasons(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return why `recommended_arm` is recommended, one sentence a reason.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_arm(results), str(results["baseline"])
    found = []
    means = mean_scores(results, [baseline, *coupled_arms(results)])
    if chosen in means:
        mean = say.fixed(means[chosen])
        others = [f"{arm} {say.fixed(m)}" for arm, m in means.items() if arm != chosen]
        key = "reason.means" if others else "reason.mean"
        found.append(say(key, arm=chosen, mean=mean, others=say.list(others)))
    if chosen != baseline:
        found.append(say("reason.outcome", arm=chosen, outcome=outcome(results, chosen, say)))
    for arm in means:
        harmed = tasks_with(results, arm, "negative transfer")
        if harmed:
            found.append(say("reason.ruled_out", arm=arm, tasks=counted(harmed, say)))
    costs = [results["costs"].get(arm, {}).get("networks") for arm in (chosen, baseline)]
    if all(costs) and costs[0] < costs[1]:
        found.append(say("reason.networks", n=costs[0], before=costs[1]))
    return found


def risks(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return what speaks against trusting the recommendation too far, one sentence a risk.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_arm(results), str(results["baseline"])
    found = []
    pair = mean_scores(results, [chosen, "shuffled_relations"])
    if chosen != baseline and len(pair) == 2 and pair["shuffled_relations"] >= pair[chosen]:
        found.append(say("risk.shuffled", mean=say.short(pair["shuffled_relations"])))
    if len(mean_scores(results, [baseline, *coupled_arms(results)])) > 2:
        found.append(say("risk.selection"))
    unseen = blind_spot(results, say)
    if unseen:
        found.append(unseen + say.stop)
    if 0 < len(results["seeds"]) < FEW_SEEDS:
        found.append(say("risk.seeds", n=len(results["seeds"])))
    if results["failures"]:
        found.append(say("risk.failures", n=len(results["failures"])))
    return found


def shown_arm(results: Mapping[str, Any]) -> str:
    """Return the arm whose figures are told: the recommended one, or the best beside a baseline."""
    given = results["decision"].get("arm")
    if given in results["arms"]:
        return str(given)
    arm = recommended_arm(results)
    return (best_coupled_arm(results) or arm) if arm == results["baseline"] else arm


def _unclear(results: Mapping[str, Any], arm: str) -> bool:
    words = [verdict(results, arm, task) for task in results["tasks"]]
    return any(word in (None, "not enough data") for word in words)


def _accuracy(results: Mapping[str, Any]) -> dict[str, Any] | None:
    arm = shown_arm(results)
    changes = [
        change
        for task in results["tasks"]
        if (change := difference(results, arm, task).mean) is not None
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
    arm, baseline = shown_arm(results), results["baseline"]
    ours, base = (results["costs"].get(name, {}).get("seconds") for name in (arm, baseline))
    if arm == baseline or not ours or not base:
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
    digits, sign = _digits(mean), "+" if unit == "points" else ""
    return Figure(
        title,
        say("format.unit", number=say.fixed(mean, digits, sign), unit=_unit(unit, say)),
        "" if low is high is None else say.span(low, high, digits, sign),
        _assumption(name, entry, say),
        True,
    )


def _unit(unit: str, say: Messages) -> str:
    """Return what a unit is called; "EUR a year" is a currency and a unit."""
    currency, _, per = unit.partition(" ")
    if not say.has(f"unit.{unit}") and say.has(f"unit.{per}"):
        return f"{currency} {say.named('unit', per)}"
    return say.named("unit", unit)


def _assumption(name: str, entry: Mapping[str, Any], say: Messages) -> str:
    """Return the assumption of a figure: by its key, as given in English, or in general words."""
    given = entry.get("assumption")
    if say.has(f"assumption.{given}"):
        return say(f"assumption.{given}")
    if given and say.language == "en":
        return str(given)
    kind = f"{name}_{'speed' if entry.get('unit') in SPEED else 'money'}"
    return say(f"assumption.{kind}" if name == "cost" else f"assumption.{name}")


def _digits(value: float | None) -> int:
    size = abs(value or 0.0)
    return 0 if size >= 100 else 1 if size >= 10 else 2


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

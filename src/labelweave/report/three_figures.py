"""The three figures of a decision: gain in accuracy, labels saved, running cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labelweave.report.messages import Messages
from labelweave.report.tables import difference
from labelweave.report.verdict import shown_arm

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

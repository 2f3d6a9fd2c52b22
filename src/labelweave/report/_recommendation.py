"""The recommendation in words: the verdict, three figures, reasons and risks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labelweave._messages import Messages
from labelweave.evaluation._recommendation import DEFAULT, FEW_SEEDS
from labelweave.report._names import method_name, method_names
from labelweave.report._tables import interval_level, negligible
from labelweave.results import NETWORKS_ALONE, Finding, KeyFigure, Outcome, Results


@dataclass(frozen=True)
class ShownFigure:
    """One of the three figures.

    Attributes:
        title: what it is.
        value: the number with its unit, or that it was not measured.
        interval: the interval of the value, "" where there is none.
        assumption: what it depends on.
        measured: whether there is a number.
    """

    title: str
    value: str
    interval: str
    assumption: str
    measured: bool


@dataclass(frozen=True)
class FirstScreen:
    """The first screen of a report, in words.

    Attributes:
        verdict: whether to join the tasks.
        figures: gain in accuracy, labels saved, running cost.
        reasons: sentences for the recommendation.
        risks: sentences that limit how far to trust it.
    """

    verdict: str
    figures: tuple[ShownFigure, ...]
    reasons: tuple[str, ...]
    risks: tuple[str, ...]


def first_screen(results: Results, say: Messages | None = None) -> FirstScreen:
    """Return the recommendation of the results in words.

    Args:
        results: of a study.
        say: the language; default English.
    """
    say, found = say or Messages(), results.recommended
    return FirstScreen(
        say.named("decision", found.verdict),
        tuple(_figure(figure, say) for figure in found.figures),
        tuple(reasons(results, say)),
        tuple(risks(results, say)),
    )


def headline(results: Results, say: Messages | None = None) -> str:
    """Return the verdict in one line.

    It compares the best coupled method with the baseline, names the recommended method where that
    is another one, and says where a control has a higher mean than the recommended method.
    """
    say, found = say or Messages(), results.recommended
    base = method_name(results.baseline, say)
    if found.of_best is None:
        parts = [say("headline.no_method", baseline=base)]
    elif not found.compared:
        best = method_name(found.of_best.method, say, first=True)
        names = {"method": best, "baseline": base}
        parts = [say("headline.no_baseline", **names)]
    else:
        outcome = _outcome(results, found.of_best, say)
        best = method_name(found.of_best.method, say, first=True)
        names = {"method": best, "baseline": base}
        parts = [say("headline.against", outcome=outcome, **names)]
    if found.best is not None and found.method != found.best:
        parts.append(say("headline.recommended", method=method_name(found.method, say)))
    for control in found.controls:
        key = "headline.control_clear" if control.apart else "headline.control"
        parts.append(
            say(
                key,
                control=method_name(control.control, say),
                method=method_name(found.method, say),
                of=_of_tasks(control.tasks, results, say),
                apart=_counted(control.apart, say),
            )
        )
    return say("format.stop").join(parts)


def reasons(results: Results, say: Messages | None = None) -> list[str]:
    """Return why the method is recommended, one sentence a reason."""
    say, found = say or Messages(), results.recommended
    lines, chosen = [], method_name(found.method, say)
    start = method_name(found.method, say, first=True)
    if found.method in found.means:
        mean = say.fixed(found.means[found.method])
        others = [
            f"{method_name(m, say)} {say.fixed(value)}"
            for m, value in found.means.items()
            if m != found.method
        ]
        key = "reason.means" if others else "reason.mean"
        lines.append(say(key, method=chosen, mean=mean, others=say.list(others)))
    if found.of_method is not None:
        outcome = _outcome(results, found.of_method, say)
        lines.append(say("reason.outcome", method=start, outcome=outcome))
    if found.held_out_rows:
        lines.append(say("reason.held_out", n=found.held_out_rows))
    if found.equal:
        lines.append(say("reason.equal", methods=say.list(method_names(found.equal, say))))
    elif found.held_out_rows and found.method.partition(".")[0] == DEFAULT:
        lines.append(say("reason.none_simpler"))
    for method, tasks in found.ruled_out.items():
        lines.append(
            say(
                "reason.ruled_out",
                method=method_name(method, say, first=True),
                tasks=_counted(tasks, say),
            )
        )
    if found.networks:
        lines.append(say("reason.networks", n=found.networks[0], before=found.networks[1]))
    return lines + _said("reason", found.reasons, say)


def group_lines(results: Results, say: Messages) -> list[str]:
    """Return the groups for which joining is negative transfer, a sentence each."""
    if results.groups is None:
        return []
    lines = []
    for each in results.groups.hurt(results.recommended.shown):
        low, high = (None if end is None else 100 * end for end in (each.low, each.high))
        values = {
            "method": each.method, "column": results.groups.column, "group": each.group,
            "task": each.question, "interval": say.span(low, high, 1, "+"),
            "difference": say.fixed(100 * (each.difference or 0.0), 1, "+"),
        }  # fmt: skip
        lines.append(say("risk.group_hurt", **values))
    return lines


def risks(results: Results, say: Messages | None = None) -> list[str]:
    """Return what limits how far to trust the recommendation, one sentence a risk."""
    say, found = say or Messages(), results.recommended
    lines = []
    if found.shuffled is not None:
        lines.append(say("risk.shuffled", mean=say.short(found.shuffled)))
    if len(found.means) > 2 and not found.held_out_rows:
        lines.append(say("risk.selection"))
    unseen = blind_spot(results, say)
    if unseen:
        lines.append(unseen + say.stop)
    if 0 < len(results.seeds) < FEW_SEEDS:
        lines.append(say("risk.seeds", n=len(results.seeds)))
    if results.failures:
        lines.append(say("risk.failures", n=len(results.failures)))
    if found.compared and results.baseline == NETWORKS_ALONE:
        lines.append(say("risk.networks_alone"))
    lines += group_lines(results, say)
    return lines + _said("risk", found.risks, say)


def next_steps(results: Results, say: Messages | None = None) -> list[str]:
    """Return what to do next, one sentence a step."""
    say, found = say or Messages(), results.recommended
    lines = []
    if results.failures:
        lines.append(say("next.failures", n=len(results.failures)))
    if 0 < len(results.seeds) < FEW_SEEDS:
        lines.append(say("next.seeds", n=FEW_SEEDS))
    if found.blind_spot is not None and found.verdict == "cannot tell":
        lines.append(say("next.test_labels", task=found.blind_spot.task))
    if results.label_plan.tasks:
        best = results.label_plan.tasks[0]
        lines.append(say("next.label", task=best.task, reason=say.render(best.reason)))
    if found.verdict in ("join", "join some", "no gain shown"):
        lines.append(say("next.finish", method=method_name(found.method, say)))
    return lines


def blind_spot(results: Results, say: Messages | None = None) -> str | None:
    """Return which changes the study could not have detected; None where that is not known."""
    say, found = say or Messages(), results.recommended.blind_spot
    if found is None:
        return None
    values = {
        "method": method_name(found.method, say, first=True),
        "of": _of_tasks(found.tasks, results, say),
        "labels": found.labels,
        "seeds": say("count.seeds", n=found.seeds),
        "task": found.task,
    }
    if found.detectable is None:
        return say("risk.blind_spot_none", **values)
    text = say("risk.blind_spot", points=say.fixed(100 * found.detectable, 1), **values)
    text += say("risk.blind_spot_others") if found.tasks > 1 else ""
    if found.room is not None and found.room < found.detectable:
        text += say("risk.blind_spot_room", room=say.fixed(100 * found.room, 1), task=found.task)
    return text


def _outcome(results: Results, found: Outcome, say: Messages) -> str:
    """Return on how many tasks a method gains and harms, with an example."""
    text = say(
        "outcome.counts",
        gains=_of_tasks(len(found.gains), results, say),
        harmed=_counted(found.harmed, say),
    )
    if found.unclear:
        text += say("outcome.unclear", unclear=_counted(found.unclear, say))
    for task in results.tasks:
        if task.name != found.example:
            continue
        before, after = (
            results.score(name, task).mean for name in (results.baseline, found.method)
        )
        change = results.difference(found.method, task)
        shift = say.short(change.mean or 0.0, "+")
        if change.low is not None and change.high is not None:
            ends = {"low": say.short(change.low), "high": say.short(change.high)}
            shift += say("outcome.interval", level=interval_level(results), **ends)
        values = {"before": say.short(before or 0.0), "after": say.short(after or 0.0)}
        text += say("outcome.example", task=task.name, change=shift, **values)
    return text


def _of_tasks(number: int, results: Results, say: Messages) -> str:
    """Return "2 of 9 tasks"."""
    key = "count.of_tasks" if number else "count.of_tasks_none"
    return say(key, number=number, n=len(results.tasks))


def _counted(names: Sequence[str], say: Messages) -> str:
    """Return how many names there are, and the first three of them."""
    if not names:
        return say("word.none")
    return say("count.named", n=len(names), names=say.names(names, 3))


def _figure(figure: KeyFigure, say: Messages) -> ShownFigure:
    title_key = f"figure.{figure.key}"
    title = say(title_key)
    if figure.mean is None:
        missing = _assumption(figure, say) if figure.assumption else say(f"{title_key}_missing")
        word = "not_shown" if figure.key == "labels" and figure.assumption else "not_measured"
        return ShownFigure(title, say(f"word.{word}"), "", missing, False)
    if negligible(figure.mean, figure.unit.partition(" ")[0]):
        return ShownFigure(title, say("word.negligible"), "", _assumption(figure, say), True)
    unit, scale = figure.unit, 1.0
    if unit == "fraction":
        unit, scale = "points", 100.0
    mean, low, high = (
        None if end is None else scale * end for end in (figure.mean, figure.low, figure.high)
    )
    digits = 0 if unit == "labels" else 1 if unit == "points" else _digits(mean)
    sign = "+" if unit == "points" else ""
    return ShownFigure(
        title,
        say("format.unit", number=say.fixed(mean, digits, sign), unit=_unit(unit, say)),
        "" if low is high is None else say.span(low, high, digits, sign),
        _assumption(figure, say),
        True,
    )


def _unit(unit: str, say: Messages) -> str:
    """Return what a unit is called; "EUR a year", which is saved, a currency and a unit."""
    currency, _, per = unit.partition(" ")
    if not say.has(f"unit.{unit}") and say.has(f"unit.saved {per}"):
        return f"{currency} {say.named('unit', f'saved {per}')}"
    return say.named("unit", unit)


def _assumption(figure: KeyFigure, say: Messages) -> str:
    """Return the assumption of a figure, in general words where the language has no text."""
    given = figure.assumption
    if given and (say.language == "en" or say.knows(given)):
        return say.render(given)
    if figure.key == "cost":
        speed = figure.unit in ("times", "times the rows per second")
        return say(f"assumption.cost_{'speed' if speed else 'money'}")
    return say(f"assumption.{figure.key}")


def _digits(value: float | None) -> int:
    size = abs(value or 0.0)
    return 0 if size >= 100 else 1 if size >= 10 else 2


def _said(kind: str, findings: Sequence[Finding], say: Messages) -> list[str]:
    """Return reasons or risks as sentences; one without a text as its key and values."""
    found = []
    for finding in findings:
        values = {name: _plain(value, say) for name, value in finding.values.items()}
        key = f"{kind}.{finding.key}" + ("_open" if None in finding.values.values() else "")
        if say.has(key):
            found.append(say(key, **values))
        else:
            text = say.list([f"{name} {value}" for name, value in values.items()])
            found.append(f"{finding.key}: {text}" if text else finding.key)
    return found


def _plain(value: Any, say: Messages) -> object:
    if isinstance(value, float):
        return say.fixed(value, 0 if abs(value) >= 1 else 3)
    if isinstance(value, list | tuple):
        return say.names(value, 3)
    return value

"""Sentences to say in a meeting: what was decided, how far it holds, what would change it."""

from labelweave._messages import Messages
from labelweave.report._names import method_name
from labelweave.report._recommendation import first_screen
from labelweave.report._tables import interval_level
from labelweave.results import KeyFigure, Results


def would_change(results: Results, say: Messages | None = None) -> str:
    """Return what would change the decision, in one sentence; "" where that is not known."""
    say, found = say or Messages(), results.recommended
    values: dict[str, object] = {"baseline": method_name(results.baseline, say)}
    values["method"] = method_name(found.shown, say)
    if found.verdict == "join":
        lows = {
            task.name: low
            for task in results.tasks
            if (low := results.difference(found.shown, task).low) is not None
        }
        if not lows:
            return ""
        task = min(lows, key=lows.__getitem__)
        values |= {"task": task, "low": say.fixed(100 * lows[task], 1, "+")}
    if found.verdict == "join some":
        values["harmed"] = say.names(results.tasks_with(found.shown, "negative transfer"), 3)
    return say(f"change.{found.verdict}", **values)


def phrases(results: Results, say: Messages | None = None) -> list[str]:
    """Return what to say in a meeting, from the decision to its limits, a sentence each."""
    say, found = say or Messages(), results.recommended
    lines = [first_screen(results, say).verdict + say.stop]
    figures = {figure.key: figure for figure in found.figures}
    lines += _gain(results, figures.get("accuracy"), say)
    if found.compared:
        gains, harmed = (
            say.names(names, 3) if names else say("word.none")
            for names in (
                results.tasks_with(found.shown, word) for word in ("gain", "negative transfer")
            )
        )
        lines.append(say("phrase.tasks", gains=gains, harmed=harmed))
    labels = figures.get("labels")
    if labels is not None and labels.mean is not None and labels.mean > 0:
        lines.append(say("phrase.labels", labels=say.count(labels.mean)))
    rows = results.splits.get("test")
    if rows and results.seeds:
        seeds = say("count.seeds", n=len(results.seeds))
        lines.append(say("phrase.rests_on", rows=say.count(rows), seeds=seeds))
    unseen = found.blind_spot
    if unseen is not None and unseen.detectable is not None:
        points = say.fixed(100 * unseen.detectable, 1)
        lines.append(say("phrase.blind_spot", points=points, task=unseen.task))
    change = would_change(results, say)
    return [*lines, change] if change else lines


def _gain(results: Results, figure: KeyFigure | None, say: Messages) -> list[str]:
    if figure is None or figure.mean is None:
        return []
    scale = 100 if figure.unit == "fraction" else 1
    mean, low, high = (
        None if end is None else say.fixed(scale * end, 1, "+")
        for end in (figure.mean, figure.low, figure.high)
    )
    values = {
        "method": method_name(results.recommended.shown, say, first=True),
        "baseline": method_name(results.baseline, say),
        "mean": mean,
    }
    if low is None or high is None:
        return [say("phrase.gain_open", **values)]
    return [say("phrase.gain", level=interval_level(results), low=low, high=high, **values)]

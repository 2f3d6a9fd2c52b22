"""Which changes a study could detect, before it trains, and what would help."""

from collections.abc import Sequence

import numpy as np

from labelweave.errors import listing
from labelweave.evaluation._comparison import Spread
from labelweave.experiments._config import StudyConfig
from labelweave.fitting._split import Split
from labelweave.tables import DataFinding
from labelweave.tables._findings import Severity, yaml_line
from labelweave.tasks import Multiclass, Task

DIFFERING = 0.1  # share of test rows on which two methods are taken to differ
WANTED = 0.05  # a change that a study should be able to detect
LARGE = 0.1
HOPELESS = 0.3
MANY_SEEDS = 5
LARGEST_TEST = 0.4
MOST_LABELS = 10_000_000


def power_findings(config: StudyConfig, splits: Sequence[Split]) -> list[DataFinding]:
    """Return the tasks on which a study could not detect a change of 5 points.

    The smallest change that would be detected in 8 of 10 studies is computed as in the report: for
    all tasks together, for two methods that differ on one test row in ten, and for training that
    does not vary. It is a lower bound.
    """
    annotations = [split.test.annotations for split in splits]
    level = config.statistics.level
    sizes = {
        task: round(float(np.mean([each.labelled(task.name).sum() for each in annotations])))
        for task in annotations[0].tasks
    }
    tests = max(1, sum(labels > 0 for labels in sizes.values()))
    alike: dict[tuple[int, float, float], list[str]] = {}
    for task, labels in sizes.items():
        now = detectable(labels, len(splits), level, tests, config.split.folds)
        room = largest_gain(task)
        if now > WANTED:
            alike.setdefault((labels, now, room if now >= room else 1.0), []).append(task.name)
    found = []
    for (labels, now, room), names in sorted(alike.items()):
        place = f"{'task' if len(names) == 1 else 'tasks'} {listing(names, 4)}"
        helps, paste = _helps(config, len(splits), labels, tests, min(now, room))
        seeds = f"{len(splits)} seed{'s' * (len(splits) != 1)}"
        what = "no possible change" if now >= room else f"no change under {_points(now)}"
        text = f"with {seeds} and {labels:,} test labels, {what} can be detected"
        severity: Severity = (
            "serious" if now >= min(HOPELESS, room) else "warning" if now >= LARGE else "note"
        )
        found.append(DataFinding(severity, "few_tests", place, "; ".join([text, *helps]), paste))
    return found


def _helps(
    config: StudyConfig, seeds: int, labels: int, tests: int, now: float
) -> tuple[list[str], str]:
    """Return what would lower the smallest change below `now`, and the line to paste for it."""
    level, share, folds = config.statistics.level, config.split.test, config.split.folds
    helps, paste = [], ""
    many = max(seeds, MANY_SEEDS)
    if many > seeds and (then := detectable(labels, many, level, tests, folds)) < now:
        helps.append(f"with {many} seeds, {_points(then)}")
        paste, now = yaml_line("seeds", many), then
    if isinstance(share, float) and share < LARGEST_TEST:
        more = round(labels * LARGEST_TEST / share)
        if more > labels and (then := detectable(more, many, level, tests)) < now:
            helps.append(f"with {many} seeds and {more:,} test labels, {_points(then)}")
            paste, now = paste or yaml_line("split", {"test": LARGEST_TEST}), then
    if now > WANTED and (enough := labels_for(WANTED, many, level, tests, folds)):
        helps.append(f"{_points(WANTED)} need {many} seeds and about {enough:,} test labels")
    return helps, paste


def largest_gain(task: Task) -> float:
    """Return how far a task's accuracy can rise above that of its most frequent class, at most."""
    return 1 - 1 / len(task.names) if isinstance(task, Multiclass) else 0.5


def detectable(
    labels: int, seeds: int, level: float, tests: int = 1, folds: int | None = None
) -> float:
    """Return the smallest change of accuracy that a study could detect, at most 1.

    Args:
        labels: test labels of a seed.
        seeds: the number of seeds.
        level: that of the intervals.
        tests: the number of tasks whose intervals hold together.
        folds: of a repeated cross-validation; None = seeds draw their test rows by themselves.
    """
    if labels * seeds < 2:
        return 1.0
    variance = DIFFERING / (labels * seeds)
    runs = variance * (1 if folds is None else 1 + seeds / (folds - 1))
    spread = Spread(0.0, variance, runs, float(labels * seeds), seeds, folds is not None)
    return min(1.0, spread.detectable(level, tests, labels * seeds))


def labels_for(
    change: float, seeds: int, level: float, tests: int, folds: int | None = None
) -> int | None:
    """Return the test labels a seed that make a change detectable, to two digits; None = too many.

    Args:
        change: of accuracy, above 0.
        seeds: the number of seeds.
        level: that of the intervals.
        tests: the number of tasks whose intervals hold together.
        folds: as of `detectable`.
    """
    low, high = 1, 2
    while detectable(high, seeds, level, tests, folds) > change:
        low, high = high, 2 * high
        if high > MOST_LABELS:
            return None
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        if detectable(middle, seeds, level, tests, folds) > change:
            low = middle
        else:
            high = middle
    step: int = 10 ** max(0, len(str(high)) - 2)
    return -(-high // step) * step


def _points(share: float) -> str:
    return f"{100 * share:.0f} points" if share >= 0.02 else f"{100 * share:.1f} points"

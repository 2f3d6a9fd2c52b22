"""Hard cases: classes that one source lacks, and sources that look different from one another.

Run ``python -m benchmarks.hard_cases [--quick] [--case NAME] [--seeds N] [--json OUT]``. Leaves: 32
species labelled twice each, eight attributes on other leaves. Digits: 10 digits labelled twice
each, ten strokes on other images. No row carries both; 500 others are for testing.

- ``leaves``, ``digits``: as they are, to compare with.
- ``leaves, no species``: a quarter of the species have no species label. Their leaves carry
  attributes, and are tested on. ``digits, no digit``: 2 of the 10 digits.
- ``leaves, no attributes``: a quarter of the species is not among the leaves with attributes.
  ``digits, no strokes``: 2 of the 10 digits. ``leaves, both``: an eighth lacks the one, an eighth
  the other.
- ``leaves, shift D``: the second lab measures differently: every measurement is moved up or down by
  D standard deviations, stretched by .8 to 1.25 and blurred by half a deviation.
- ``digits, inverted``, ``digits, rotated``: the images with strokes are negatives, or lie.

Where sources look different, each task is tested on rows that look like those with its labels.
Methods: single_task, multi_task, ``full`` (the expert's true table, checked by the data), ``given``
(the same table, unchecked) and ``predictions`` (no expert). Every seed draws its own rows. Main
metric of the first task and its mean over the others, with the 95 % interval (of a mean: the mean
of theirs); the verdicts against single_task, by intervals that hold for all tasks together; and
the accuracy on the classes that lack labels of the first task, and on the others.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.hard_case_tables import BASELINE, CASES, HardCase
from labelweave._files import write_text
from labelweave.evaluation import TestResult, main_metric, verdict
from labelweave.evaluation._comparison import Replicates
from labelweave.experiments._runs import Run
from labelweave.tasks import Multiclass, Task

QUICK = ("leaves, no species", "digits, rotated")
Row = dict[str, Any]
Results = dict[str, dict[str, list[TestResult]]]


def run(case: str, seed: int, folder: Path, found: Results) -> tuple[list[Task], HardCase]:
    """Run a case on one seed and add what every method predicts for the test rows."""
    hard = HardCase(case, folder, seed)
    study = hard.write()
    results = study.compare(progress=False)
    split = study.first_split()
    for summary in results.runs:
        place = study.output / "runs" / summary.folder
        given = Run(summary.method, seed, summary.key, place).predictions()
        for task in split.test.annotations.tasks:
            labels = split.test.annotations.labels[task.name]
            result = TestResult(given[task.name], labels)
            found.setdefault(summary.method, {}).setdefault(task.name, []).append(result)
    return list(split.test.annotations.tasks), hard


def measure(case: str, seeds: int, folder: Path) -> Iterator[Row]:
    """Run a case on all seeds and return its rows."""
    found: Results = {}
    for seed in range(seeds):
        place = folder / f"{case}-{seed}".replace(", ", "-").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        tasks, hard = run(case, seed, place, found)
    replicates = {
        method: {task.name: Replicates(task, of_method[task.name]) for task in tasks}
        for method, of_method in found.items()
    }
    for method, by_task in replicates.items():
        verdicts = _verdicts(tasks, by_task, replicates[BASELINE])
        means = {task.name: by_task[task.name].summary()[main_metric(task)] for task in tasks}
        first, *others = tasks
        for name, of_group in ((first.name, [first]), ("others", others)):
            estimates = [means[task.name] for task in of_group]
            low, mean, high = (
                float(np.mean([getattr(each, end) for each in estimates]))
                for end in ("low", "mean", "high")
            )
            worse = [t.name for t in of_group if verdicts.get(t.name) == "negative transfer"]
            yield _row(case, method, name, mean, low, high, seeds) | {"negative_transfer": worse}
        if hard.unlabelled and isinstance(first, Multiclass):
            lacking = [first.names.index(str(name)) for name in hard.unlabelled]
            yield from _apart(case, method, lacking, found[method][first.name], seeds)


def _verdicts(
    tasks: Sequence[Task], method: Mapping[str, Replicates], baseline: Mapping[str, Replicates]
) -> dict[str, str]:
    if method is baseline:
        return {}
    return {
        task.name: verdict(
            method[task.name].difference(baseline[task.name], tests=len(tasks))[main_metric(task)]
        )
        for task in tasks
    }


def _apart(
    case: str, method: str, lacking: list[int], results: Sequence[TestResult], seeds: int
) -> Iterator[Row]:
    """Give the accuracy on the classes that lack labels, and on the others."""
    for name, inside in (("classes without labels", True), ("classes with labels", False)):
        values = []
        for result in results:
            labels: NDArray[Any] = np.asarray(result.labels)
            use = (labels >= 0) & (np.isin(labels, lacking) == inside)
            values.append((np.asarray(result.probabilities).argmax(axis=1) == labels)[use].mean())
        yield _row(case, method, name, float(np.mean(values)), min(values), max(values), seeds)


def _row(
    case: str, method: str, metric: str, mean: float, low: float, high: float, seeds: int
) -> Row:
    ends = {"mean": mean, "low": float(low), "high": float(high)}
    return {"case": case, "method": method, "metric": metric, **ends, "seeds": seeds}


def main() -> None:
    parser = argparse.ArgumentParser(description="What joining gains where sources do not match.")
    parser.add_argument("--quick", action="store_true", help="two cases, one seed")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder to keep tables and runs in, to go on")
    parser.add_argument("--json", type=Path, help="file for the list of result rows")
    options = parser.parse_args()
    seeds = 1 if options.quick else options.seeds
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for case in options.case or (QUICK if options.quick else CASES):
            for row in measure(case, seeds, options.keep or Path(scratch)):
                rows.append(row)
                worse = ", ".join(row.get("negative_transfer", []))
                print(
                    f"{row['case']:22} {row['method']:12} {row['metric']:22} {row['mean']:.3f} "
                    f"({row['low']:.3f} to {row['high']:.3f}) {worse and 'WORSE: ' + worse}",
                    flush=True,
                )
    if options.json:
        write_text(options.json, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

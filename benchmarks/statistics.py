"""Whether the statistics of a comparison keep what they promise, on simulated studies.

Run ``python -m benchmarks.statistics [--quick] [--json OUT] [--case NAME]``. A simulated study has
rows (in groups of 8 or alone) of which every seed tests a share of a fifth, two methods that are
right on a row by its difficulty, their own bent for row and group, and how their training came out.
The truth is known: what the methods would get on new rows and new trainings. Cases:

- ``coverage``: share of 95 % intervals of the difference that hold the truth; the two methods are
  equally good, so what is missing to 1 is the rate of false alarms of one test.
- ``without``: the same where rows that hang together are taken as independent.
- ``family``: share of studies of nine equally good tasks with any verdict of gain or harm.
- ``folds``: coverage and false alarms of repeated cross-validation in five folds, with the
  corrected variance and, as ``plain``, without. Training varies by chance, and by which rows are
  trained on: runs share most of these.
- ``power``: share of studies that find a change as large as the smallest detectable difference
  says, the median of studies without a change.
- ``speed``: seconds of one processor for nine tasks, ten methods and five seeds of 381 test rows.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from labelweave.evaluation import TestResult
from labelweave.evaluation._comparison import Replicates, Spread, bootstrap_weights, spread
from labelweave.tasks import Multiclass

Row = dict[str, object]
TASK = Multiclass("task", ("wrong", "right"))
SHARE = 0.2
REPLICATES = 200
SEEDS = (1, 3, 5, 10)
# test rows of a run, and rows of a group
CELLS = ((40, 1), (200, 1), (2000, 1), (80, 8), (400, 8))
# sd of training on the scale of a row's difficulty (about 1); .3 moves accuracy by 7-10 points
TRAINING = (0.0, 0.1, 0.3)
BASELINE = 0.75


def simulate(
    generator: np.random.Generator,
    seeds: int,
    rows: int,
    group: int = 1,
    training: float = 0.0,
    gain: float = 0.0,
    folds: int | None = None,
) -> tuple[list[TestResult], list[TestResult]]:
    """Return the results of a method and its baseline, whose accuracies are BASELINE + gain and it.

    Args:
        generator: of all that is left to chance.
        seeds: runs of the study.
        rows: test rows of a run.
        group: rows of a group.
        training: sd of what training adds to a method's skill, new in every run.
        gain: true difference in accuracy.
        folds: repeated cross-validation: run s tests part s % folds of cut s // folds. Then half of
            the variance of training is a mean of what each training row adds, so that runs with
            the same training rows come out alike.
    """
    groups = max(2, round(rows / SHARE / group))
    of_row = np.repeat(np.arange(groups), group)
    together = 0.8 * (group > 1)
    # what both methods find hard, and what one finds harder than the other does
    hard = together * generator.normal(size=groups)[of_row] + 0.6 * generator.normal(
        size=len(of_row)
    )
    bent = 0.6 * together * generator.normal(size=(2, groups))[:, of_row]
    bent += 0.4 * generator.normal(size=(2, len(of_row)))
    variance = 1.36 * together**2 + 0.6**2 + 0.4**2 + 0.5**2 + training**2
    skill = ndtri(np.array([[BASELINE + gain], [BASELINE]])) * np.sqrt(variance)
    methods: tuple[list[TestResult], list[TestResult]] = ([], [])
    adds = generator.normal(size=(2, groups)) if folds else np.zeros((2, groups))
    chance = training * (0.5**0.5 if folds else 1.0)
    order = generator.permutation(groups)
    for run in range(seeds):
        if folds is None or run % folds == 0:
            order = generator.permutation(groups)
        part = (
            np.arange(groups) % folds == run % folds
            if folds
            else np.arange(groups) < max(1, round(groups * SHARE))
        )
        tested = order[part]
        chosen = np.flatnonzero(np.isin(of_row, tested))
        noise = 0.5 * generator.normal(size=(2, len(chosen)))
        noise += chance * generator.normal(size=(2, 1))
        trained = adds[:, np.isin(np.arange(groups), tested, invert=True)]
        noise += chance * trained.sum(axis=1, keepdims=True) / trained.shape[1] ** 0.5
        right = skill + hard[chosen] + bent[:, chosen] + noise > 0
        for method, hits in zip(methods, right, strict=True):
            method.append(_result(hits, of_row[chosen]))
    return methods


def _result(right: NDArray[np.bool_], groups: NDArray[np.int64]) -> TestResult:
    scores = np.stack([~right, right], axis=1) * 0.8 + 0.1
    return TestResult(scores, np.ones(len(right), dtype=np.int64), groups=groups)


def accuracy_spread(
    method: Sequence[TestResult],
    baseline: Sequence[TestResult],
    seed: int = 0,
    folds: int | None = None,
) -> tuple[float, Spread | None]:
    """Return what `compare` makes of the accuracy's difference, without the other metrics."""
    groups = [np.asarray(each.groups) for each in method]
    numbers = np.unique(np.concatenate(groups), return_inverse=True)[1]
    sizes = np.bincount(numbers).astype(np.float64)
    weights = bootstrap_weights(len(sizes), REPLICATES, seed)
    values, replicates = [], []
    parts = np.split(numbers, np.cumsum([len(each) for each in groups])[:-1])
    for one, other, of_row in zip(method, baseline, parts, strict=True):
        gap = _right(one) - _right(other)
        drawn = weights[:, of_row].astype(np.float64)
        totals = drawn.sum(axis=1)
        values.append(gap.mean())
        replicates.append(np.where(totals > 0, drawn @ gap, np.nan) / np.maximum(totals, 1))
    return float(np.mean(values)), spread(np.array(values), np.array(replicates), sizes, folds)


def _right(result: TestResult) -> NDArray[np.float64]:
    return np.asarray(np.asarray(result.probabilities)[:, 1] > 0.5, dtype=np.float64)


def _alone(results: Sequence[TestResult]) -> list[TestResult]:
    lengths = [len(np.asarray(each.groups)) for each in results]
    rows = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    return [replace(each, groups=own) for each, own in zip(results, rows, strict=True)]


def coverage(trials: int) -> Iterator[Row]:
    for rows, group in CELLS:
        for training in TRAINING:
            for seeds in SEEDS:
                yield from _covered("coverage", trials, seeds, rows, group, training)


def without(trials: int) -> Iterator[Row]:
    for rows, group in CELLS:
        for seeds in SEEDS if group > 1 else ():
            yield from _covered("without", trials, seeds, rows, group, 0.0, grouped=False)


def _covered(
    case: str, trials: int, seeds: int, rows: int, group: int, training: float, grouped: bool = True
) -> Iterator[Row]:
    held, widths = [], []
    for trial in range(trials):
        generator = np.random.default_rng([trial, seeds, rows, group])
        pair = simulate(generator, seeds, rows, group, training)
        method, baseline = pair if grouped else map(_alone, pair)
        mean, found = accuracy_spread(method, baseline, trial)
        reach = found.reach(0.025) if found else np.inf
        held.append(abs(mean) <= reach)
        widths.append(reach)
    case = f"{case}, {rows} rows in groups of {group}"
    method_name = f"{seeds} seeds, training {training}"
    yield _share(case, method_name, "covered", held)
    yield _row(case, method_name, "half width, median", float(np.median(widths)), trials)


def family(trials: int) -> Iterator[Row]:
    for training in (TRAINING[0], TRAINING[-1]):
        for seeds in SEEDS[1:]:
            alarms = []
            for trial in range(trials):
                generator = np.random.default_rng([trial, seeds, 9])
                pairs = [simulate(generator, seeds, 200, 1, training) for _ in range(9)]
                found = [accuracy_spread(*pair, trial) for pair in pairs]
                # simultaneous intervals of 95 %, as a study of nine tasks decides by
                alarms.append(any(s and abs(m) > s.reach(0.025 / 9) for m, s in found))
            yield _share("family", f"{seeds} seeds, training {training}", "false alarms", alarms)


FOLDS = 5


def folds(trials: int) -> Iterator[Row]:
    for rows, group in ((40, 1), (200, 1), (400, 8)):
        for training in TRAINING:
            for seeds in (5, 10):
                held: dict[str, list[bool]] = {"corrected": [], "plain": []}
                for trial in range(trials):
                    generator = np.random.default_rng([trial, seeds, rows, 3])
                    pair = simulate(generator, seeds, rows, group, training, folds=FOLDS)
                    for name, k in (("corrected", FOLDS), ("plain", None)):
                        mean, found = accuracy_spread(*pair, trial, k)
                        held[name].append(found is None or abs(mean) <= found.reach(0.025))
                case = f"folds, {rows} rows in groups of {group}"
                for name, kept in held.items():
                    method = f"{seeds} runs, training {training}"
                    yield _share(case, method, f"covered, {name}", kept)
                    alarms = [not each for each in kept]
                    yield _share(case, method, f"false alarms, {name}", alarms)


def power(trials: int) -> Iterator[Row]:
    for training in TRAINING:
        for seeds in SEEDS[1:]:
            visible = []
            for trial in range(trials):
                generator = np.random.default_rng([trial, seeds, 1])
                found = accuracy_spread(*simulate(generator, seeds, 200, 1, training), trial)[1]
                visible += [found.detectable(0.95, 1, 200 * seeds)] if found else []
            gain = min(float(np.median(visible)), 1 - BASELINE - 0.001)
            hits = []
            for trial in range(trials):
                generator = np.random.default_rng([trial, seeds, 2])
                pair = simulate(generator, seeds, 200, 1, training, gain)
                mean, found = accuracy_spread(*pair, trial)
                hits.append(found is not None and found.p_value(mean) < 0.05)
            method = f"{seeds} seeds, training {training}"
            yield _row("power", method, "smallest detectable difference", gain, trials)
            yield _share("power", method, "found", hits)


def speed(trials: int) -> Iterator[Row]:
    generator = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(9):
        methods = [simulate(generator, 5, 381)[0]] * 10
        measured = [Replicates(TASK, method, 1000) for method in methods]
        for each in measured[1:]:
            each.difference(measured[0], tests=9)
    yield _row("speed", "9 tasks, 10 methods, 5 seeds", "seconds", time.process_time() - start, 1)


def _share(case: str, method: str, metric: str, hits: Sequence[bool]) -> Row:
    """Return a row with the share and its 95 % interval (Agresti & Coull, 1998)."""
    n, p = len(hits) + 4, (sum(hits) + 2) / (len(hits) + 4)
    half = 1.96 * (p * (1 - p) / n) ** 0.5
    share = sum(hits) / len(hits)
    return _row(case, method, metric, share, len(hits), max(0, p - half), min(1, p + half))


def _row(
    case: str, method: str, metric: str, mean: float, studies: int,
    low: float | None = None, high: float | None = None,
) -> Row:  # fmt: skip
    between = "" if low is None else f" ({low:.3f} to {high:.3f})"
    print(f"{case:42s} {method:26s} {metric:31s} {mean:.3f}{between}", flush=True)
    return {
        "case": case, "method": method, "metric": metric,
        "mean": mean, "low": low, "high": high, "seeds": studies,
    }  # fmt: skip


CASES: Mapping[str, tuple[Callable[[int], Iterator[Row]], int]] = {
    "coverage": (coverage, 200),
    "without": (without, 200),
    "family": (family, 200),
    "folds": (folds, 200),
    "power": (power, 200),
    "speed": (speed, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the studies, at least one")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--case", choices=CASES, help="only this case")
    given = parser.parse_args()
    rows = [
        row
        for name, (case, trials) in CASES.items()
        if given.case in (None, name)
        for row in case(max(1, trials // 10) if given.quick else trials)
    ]
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

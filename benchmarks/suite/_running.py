"""Running the grid: every set, scattering, method and seed once, kept by what decides it."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import labelweave
from benchmarks.suite._data_sets import DataSet, Scattering
from benchmarks.suite._methods import METHODS, Method
from benchmarks.suite._scatterings import make_case
from benchmarks.suite._scoring import Scores, score_case
from benchmarks.suite._sets import SETS

FORMAT = 1
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Run:
    """One method on one case."""

    data_set: str
    scattering: Scattering
    method: str
    seed: int


@dataclass(frozen=True)
class Result:
    """What a run gave: scores per task, or the error that it ended with."""

    run: Run
    scores: dict[str, Scores]
    seconds: float
    error: str = ""


def plan(
    sets: Iterable[DataSet], methods: Sequence[str], seeds: int, *, quick: bool = False
) -> list[Run]:
    """Return the runs of the grid, those of one case next to each other.

    A method that is not defined without a table is left out there.
    """
    return [
        Run(data_set.name, scattering, name, seed)
        for data_set in sets
        for seed in range(seeds)
        for scattering in data_set.scatterings[: 2 if quick else None]
        for name in methods
        if scattering.table != "none" or not METHODS[name].needs_tables
    ]


def code_states() -> dict[bool, str]:
    """Return the hash of the sources that decide a result, for methods of the package and others.

    Read it before anything runs: sources may change while a long run goes on.
    """
    names = ("_data_sets", "_methods", "_reading", "_scatterings", "_scoring", "_sets", "_written")
    own = [HERE / f"{name}.py" for name in names]
    package = sorted(Path(labelweave.__file__).parent.rglob("*.py"))
    return {True: _hash(own + package), False: _hash(own)}


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def key(run: Run, method: Method, code: str) -> str:
    """Return the hash of all that decides a run; scatterings that it cannot tell apart share it."""
    what = run.scattering.name if method.uses_tables else run.scattering.layout
    parts = [FORMAT, run.data_set, what, run.method, run.seed, code]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def execute(run: Run) -> Result:
    """Run one method on one case, on one thread; an error becomes the result's."""
    start = time.perf_counter()
    try:
        with threadpool_limits(1):
            case = make_case(SETS[run.data_set], run.scattering, run.seed)
            start = time.perf_counter()
            scores = score_case(case, METHODS[run.method].predict(case, run.seed))
    except Exception as error:  # one case must not end a run of hours; the report names it
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Result(run, {}, time.perf_counter() - start, reason)
    return Result(run, scores, time.perf_counter() - start)


def run_all(
    runs: Sequence[Run],
    folder: Path,
    *,
    code: str | None = None,
    again: Sequence[str] = (),
    jobs: int = 1,
    progress: bool = True,
) -> list[Result]:
    """Return the results of runs, each executed only where `folder` has none yet.

    Args:
        runs: the grid.
        folder: keeps a file a result; errors are not kept.
        code: a name for the state of the code; None = the hash of its sources.
        again: methods whose kept results are not used.
        jobs: processes.
        progress: show a bar.
    """
    states = code_states() if code is None else dict.fromkeys((True, False), code)
    places: dict[Path, list[Run]] = {}
    for run in runs:
        method = METHODS[run.method]
        place = folder / "results" / f"{key(run, method, states[method.package])}.json"
        places.setdefault(place, []).append(run)
    found: dict[Path, Result] = {}
    for place, same in places.items():
        if same[0].method not in again and place.is_file():
            found[place] = _read(place, same[0])
    todo = {same[0]: place for place, same in places.items() if place not in found}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), disable=not progress) as bar:
        shown = bar.add_task("suite", total=len(places), completed=len(found))
        for result in _executed(list(todo), jobs):
            place = todo[result.run]
            if not result.error:
                _write(place, result)
            found[place] = result
            last = f"{result.run.data_set}, {result.run.scattering.name}, {result.run.method}"
            bar.update(shown, advance=1, description=last)
    by_run = {run: place for place, same in places.items() for run in same}
    return [replace(found[by_run[run]], run=run) for run in runs]


def _executed(runs: list[Run], jobs: int) -> Iterator[Result]:
    if jobs == 1:
        yield from map(execute, runs)
        return
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(execute)(run) for run in runs
    )


def _read(place: Path, run: Run) -> Result:
    saved: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return Result(run, saved["scores"], saved["seconds"])


def _write(place: Path, result: Result) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    run = result.run
    record = {
        "format": FORMAT, "set": run.data_set, "scattering": run.scattering.name,
        "method": run.method, "seed": run.seed, "seconds": round(result.seconds, 2),
        "scores": result.scores,
    }  # fmt: skip
    draft = place.with_suffix(".part")
    draft.write_text(json.dumps(record, indent=1), encoding="utf-8")
    draft.replace(place)

"""The command line: ``python -m benchmarks.suite``."""

import argparse
import sys
from pathlib import Path

from benchmarks.suite._data_sets import load
from benchmarks.suite._methods import METHODS
from benchmarks.suite._running import plan, run_all
from benchmarks.suite._sets import REPORT, SETS, TUNE
from benchmarks.suite._table import report, summary, write
from labelweave import LabelweaveError, Multiclass

HALVES = {"tune": TUNE, "report": REPORT, "all": TUNE | REPORT}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.suite",
        description="Compare methods on real data sets whose labels are scattered on purpose.",
    )
    parser.add_argument(
        "--quick", action="store_true",
        help="2 seeds and the first two scatterings of every set; a full run goes on from it",
    )  # fmt: skip
    parser.add_argument("--sets", nargs="+", choices=SETS, metavar="SET")
    parser.add_argument("--half", choices=HALVES, default="all")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, help="default 5, quick 2")
    parser.add_argument("--candidate", choices=METHODS, default="coupled")
    parser.add_argument("--baseline", choices=METHODS, default="best_single_task")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("runs/suite"))
    parser.add_argument(
        "--code", help="a name for the state of the code; default: the hash of its sources"
    )
    parser.add_argument(
        "--again", nargs="+", choices=METHODS, default=[], help="run these methods anew"
    )
    parser.add_argument("--list", action="store_true", help="describe the sets and end")
    options = parser.parse_args()
    if (options.seeds is not None and options.seeds < 1) or options.jobs < 1:
        parser.error("--seeds and --jobs: expected 1 or more")
    return options


def main() -> int:
    """Run the suite; return 1 if a run failed."""
    options = _options()
    sets = [
        each
        for name, each in SETS.items()
        if name in HALVES[options.half] and (options.sets is None or name in options.sets)
    ]
    usable = []
    for each in sets:
        try:
            table = load(each)
        except (LabelweaveError, ImportError) as error:
            print(f"left out: {each.name}: {error}", file=sys.stderr)
            continue
        usable.append(each)
        if options.list:
            sizes = ", ".join(
                f"{task.name} {task.width}{'' if isinstance(task, Multiclass) else ' labels'}"
                for task in table.labels.tasks
            )
            rows, columns = table.inputs.shape
            print(
                f"{each.name} ({each.kind}, {'tune' if each.name in TUNE else 'report'}): "
                f"{rows} rows, {columns} inputs; {sizes}; {each.package}, {each.licence}; "
                f"{each.origin}"
            )
    if options.list or not usable:
        return int(not usable)
    seeds = options.seeds or (2 if options.quick else 5)
    results = run_all(
        plan(usable, options.methods, seeds, quick=options.quick), options.out,
        code=options.code, again=options.again, jobs=options.jobs,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    text, data = report(results, options.candidate, options.baseline)
    write(options.out, text, data)
    print(summary(text))
    return int(any(result.error for result in results))


if __name__ == "__main__":
    sys.exit(main())

"""Try hostile inputs and count what failed, by class.

Run it with ``make fuzz``, or ``python -m benchmarks.fuzz.run --seconds 600``.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.fuzz.inputs import KINDS, METHOD, MODEL, RESULTS, RUN, Input, inputs, write_example

HANG = 10  # seconds of the processor; a right answer takes about one
PATIENCE = 120  # seconds that a child may wait, where the machine is busy
MEMORY = 12 << 30  # bytes of addresses; torch alone takes some
LONGEST = 3000
PYTHON = "python"
ALL = (*KINDS, PYTHON)


def example(folder: Path) -> None:
    """Write the example, train it, and put its model and results where inputs expect them."""
    write_example(folder)
    with contextlib.chdir(folder):
        code, out, error = command(("run", "study.yaml", "--jobs", "1"))
    if code:
        raise RuntimeError(f"the example cannot be run: {error or out}")
    found = folder / RESULTS
    run = next(
        path.parent
        for path in (found / "runs").glob("*/run.json")
        if json.loads(path.read_text("utf-8"))["method"] == METHOD
    )
    shutil.copytree(run / "model", folder / MODEL)
    run.rename(run.with_name(RUN))
    results = folder / RESULTS / "results.json"
    results.write_text(results.read_text("utf-8").replace(run.name, RUN), "utf-8")
    pd.read_csv(folder / "a.csv").to_parquet(folder / "p.parquet")


def command(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors of a command in this process."""
    from labelweave.cli import main

    out, error = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["labelweave", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            main()
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), error.getvalue()
    finally:
        sys.argv = before
    return 0, out.getvalue(), error.getvalue()


def failure(given: Input, folder: Path) -> str | None:
    """Return the kind of failure of one input, and its detail; None = it was well answered.

    Each runs in a separate process, which is killed after a time.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.chdir(folder)
        with os.fdopen(writing, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(answer(given, folder), file)
            file.flush()
            os._exit(0)
    os.close(writing)
    ready = _answers(reading, child)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, encoding="utf-8") as file:
        text = file.read() if ready else ""
    os.waitpid(child, 0)
    if not ready:
        return "hang"
    found: str | None = json.loads(text) if text else "process killed"
    return found


def _answers(reading: int, child: int) -> bool:
    """Wait for a child's answer; return False where it works or waits too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if select.select([reading], [], [], 0.5)[0]:
            return True
        with contextlib.suppress(OSError):  # Linux only: elsewhere patience alone decides
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > HANG:
                return False
    return False


def answer(given: Input, folder: Path) -> str | None:
    """Return how this process fails at an input."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        code, out, error = command(given.command)
    except MemoryError:
        return "memory"
    except Exception as raised:
        at = traceback.extract_tb(raised.__traceback__)[-1]
        return f"traceback: {type(raised).__name__} in {Path(at.filename).name} line {at.lineno}"
    if any(odd(c) for c in out + error):
        return "control characters"
    if code == 2:
        lines = [line for line in error.splitlines() if line.startswith("labelweave: ")]
        usage = "Usage" in error
        if not usage and (not lines or len(error.splitlines()) - len(lines) > 2):
            return "not one line"
        if len(error) > LONGEST:
            return "uncut"
    elif code not in (0, 1):
        return f"exit code {code}"
    elif given.refused and code == 0:
        return "accepted"
    elif given.command[0] == "predict" and code == 0:
        return nonsense(folder / "out.csv", out)
    return None


def odd(character: str) -> bool:
    """Return whether a character must not reach a terminal; our colours are off."""
    return character not in "\n\t\r" and unicodedata.category(character) in ("Cc", "Cs")


def nonsense(path: Path, out: str) -> str | None:
    """Return a failure where predictions are no probabilities."""
    table = pd.read_csv(path if path.exists() else io.StringIO(out))
    names = [str(name) for name in table]
    shares = table[[name for name in names if "=" in name and not name.endswith("predicted")]]
    values = shares.to_numpy(dtype=np.float64)
    return None if np.isfinite(values).all() and (values >= 0).all() else "nonsense predicted"


def tried(given: Sequence[Input], base: Path, until: float) -> Iterator[tuple[Input, str | None]]:
    """Give each input with its failure, each in a copy of the example; ends at a time."""
    for each in given:
        if time.monotonic() > until:
            return
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "example"
            shutil.copytree(base, folder)
            each.prepare(folder)
            yield each, failure(each, folder)


def commands(
    kind: str, seed: int, scale: float, base: Path, until: float
) -> Iterator[tuple[str, str | None]]:
    """Give each command's name with its failure."""
    for each, what in tried(inputs(kind, seed, scale, base), base, until):
        yield each.name, what


def python_calls(
    kind: str, seed: int, scale: float, base: Path, until: float
) -> Iterator[tuple[str, str | None]]:
    """Give each wrong call's name with its failure; a call that hangs is interrupted."""
    from benchmarks.fuzz.misuses import failure as failed
    from benchmarks.fuzz.misuses import misuses

    def stop(*_: object) -> None:
        raise TimeoutError("hang")

    signal.signal(signal.SIGALRM, stop)
    with contextlib.chdir(base):
        for each in misuses(seed, min(1.0, scale)):
            if time.monotonic() > until:
                return
            signal.alarm(3 * HANG)
            try:
                yield each.name, failed(each)
            finally:
                signal.alarm(0)


def main() -> None:
    """Print a table of inputs tried and failed, by class, and exit with 1 where some failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="factor on random inputs")
    parser.add_argument("--classes", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--out", type=Path, help="JSON file of the failures")
    chosen = parser.parse_args()
    os.environ |= {"NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}
    until = time.monotonic() + chosen.seconds
    failures, lines = [], ["class        tried  failed  kinds of failure"]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        example(base)
        for i, kind in enumerate(chosen.classes):
            share = time.monotonic() + (until - time.monotonic()) / (len(chosen.classes) - i)
            found: Counter[str] = Counter()
            number = 0
            outcomes = python_calls if kind == PYTHON else commands
            for name, what in outcomes(kind, chosen.seed, chosen.scale, base, share):
                number += 1
                if what is not None:
                    found[what.split(":")[0]] += 1
                    failures.append({"class": kind, "input": name, "failure": what})
            kinds = ", ".join(f"{count} {what}" for what, count in found.most_common())
            lines.append(f"{kind:10s} {number:7d} {found.total():7d}  {kinds}")
            print(lines[-1], file=sys.stderr, flush=True)
    print("\n".join(lines))
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(failures, indent=1), encoding="utf-8")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

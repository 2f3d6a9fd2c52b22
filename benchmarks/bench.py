"""All benchmarks of speed, one after the other: what `make bench` runs.

Run: python -m benchmarks.bench [--only PART ...]

Each part runs in a process. What the parts print goes to ``benchmarks/RESULTS-bench.md``, with the
command, the time it took, the commit and the releases; their figures to ``build/bench.json``. Both
are written when all parts have ended well.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD, PAGE = ROOT / "build", ROOT / "benchmarks" / "RESULTS-bench.md"
PARTS = {
    "couplings": (
        "Couplings over a bare PyTorch loop",
        ["benchmarks.coupling_overhead", "--quick"],
    ),
    "classes": ("Steps with many classes over a bare loop", ["benchmarks.many_classes", "--step"]),
    "ways": ("Other ways to train", ["benchmarks.ways", "--quick"]),
    "growth": ("Growth with tasks, relations, classes and rows", ["benchmarks.growth", "--quick"]),
    "paper": ("On paper", ["benchmarks.on_paper", "build/bench-growth.json"]),
}
HEAD = """# All benchmarks of speed in one run

Written by `make bench` (`python -m benchmarks.bench`) on {date}, commit {commit}: {cores} cores
({machine}), Python {python}, PyTorch {torch}, scikit-learn {sklearn}, numpy {numpy}. Figures are
processor seconds and ratios within one run, never wall time. What they mean, with
longer runs: [RESULTS-speed.md](RESULTS-speed.md).
"""


def ran(name: str, command: list[str]) -> tuple[str, float]:
    """Return what a part printed and the wall seconds it took; its output is shown as it comes."""
    if name != "paper":  # which measures nothing
        command = [*command, "--json", f"build/bench-{name}.json"]
    start, lines = time.perf_counter(), []
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"bench: part '{name}' ended with {process.returncode}; nothing written")
    return "\n".join(lines).strip(), time.perf_counter() - start


def head() -> str:
    """Return the title and what the figures were measured on."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=8"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return HEAD.format(
        date=datetime.now(UTC).date(), commit=described.stdout.strip(), cores=os.cpu_count(),
        machine=platform.machine(), python=platform.python_version(),
        torch=version("torch"), sklearn=version("scikit-learn"), numpy=version("numpy"),
    )  # fmt: skip


def main() -> None:
    """Run the parts, write the page and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="run these; write nothing")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    page = [head()]
    for name, (title, command) in PARTS.items():
        if options.only and name not in options.only:
            continue
        print(f"\n== {title}: python -m {' '.join(command)}", flush=True)
        printed, seconds = ran(name, command)
        page.append(
            f"## {title}\n\nCommand: `python -m {' '.join(command)}` ({seconds:.0f} s by the "
            f"clock).\n\n```text\n{printed}\n```\n"
        )
    if options.only:
        return
    figures = {
        name: json.loads((BUILD / f"bench-{name}.json").read_text(encoding="utf-8"))
        for name in PARTS
        if name != "paper"
    }
    (BUILD / "bench.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text("\n".join(page), encoding="utf-8")
    print(f"\nWrote {PAGE.relative_to(ROOT)} and build/bench.json")


if __name__ == "__main__":
    main()

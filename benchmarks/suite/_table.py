"""The result as text: tables in Markdown for people, JSON for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.suite._comparing import (
    CELL,
    Aim,
    aims,
    differences,
    means,
    methods_in,
    scores_table,
)
from benchmarks.suite._methods import METHODS
from benchmarks.suite._running import Result
from benchmarks.suite._scoring import METRICS

NAMED = 12  # cells named for an aim that is not met


def report(
    results: Sequence[Result], candidate: str = "coupled", baseline: str = "best_single_task"
) -> tuple[str, dict[str, Any]]:
    """Return the suite's report as Markdown and as data.

    The halves stand apart: what was tuned on, and what was not.
    """
    scores = scores_table(results)
    failed = Counter((r.run.method, r.error) for r in results if r.error)
    lines = ["# Development suite", ""]
    data: dict[str, Any] = {"candidate": candidate, "baseline": baseline, "halves": {}}
    for half in ("tune", "report"):
        part = scores[scores["half"] == half] if len(scores) else scores
        if part.empty:
            continue
        found = aims(part, candidate, baseline)
        lines += [f"## Half: {half}", "", *_summary(part), "", *_aims(found), ""]
        lines += [*_cells(part, baseline), ""]
        data["halves"][half] = {
            "aims": [_aim(aim) for aim in found],
            "cells": json.loads(means(part).to_json(orient="records")),
            "differences": {
                f"{name} - {other}": json.loads(
                    differences(part, name, other).to_json(orient="records")
                )
                for other in dict.fromkeys((baseline, "single_task"))
                for name in methods_in(part, list(METHODS))
                if name != other and other in set(part["method"])
            },
        }
    lines += [*_seconds(results), ""]
    if failed:
        lines += ["## Failed", ""]
        lines += [f"- {name}: {count} runs: {error}" for (name, error), count in failed.items()]
        lines.append("")
    data["seconds"] = _mean_seconds(results)
    data["failed"] = [
        {"method": name, "error": error, "runs": count} for (name, error), count in failed.items()
    ]
    return "\n".join(lines), data


def write(folder: Path, text: str, data: dict[str, Any]) -> None:
    """Write ``suite.md`` and ``suite.json`` to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.md").write_text(text, encoding="utf-8")
    (folder / "suite.json").write_text(json.dumps(data, indent=1), encoding="utf-8")


def summary(text: str) -> str:
    """Return the report without its longest part, the tables of all cells."""
    kept, skip = [], False
    for line in text.splitlines():
        if line.startswith("#"):
            skip = line.startswith("### Every task")
        if not skip:
            kept.append(line)
    return "\n".join(kept)


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _head(*cells: object) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def _figure(value: float | None, form: str = ".3f") -> str:
    return "" if value is None or pd.isna(value) else f"{value:{form}}"


def _summary(part: pd.DataFrame) -> list[str]:
    """Return the mean of every metric over the rare tasks and over the others, for each method."""
    mean = means(part)
    names = methods_in(part, list(METHODS))
    lines = ["Means over the cells that every method has, rare tasks / other tasks.", ""]
    lines += _head("method", *METRICS, "cells")
    common = mean.groupby(CELL)["method"].transform("nunique") == len(names)
    shared = mean[common]
    for name in names:
        own = shared[shared["method"] == name]
        sides = [own[own["is_rare"]], own[~own["is_rare"]]]
        figures = [" / ".join(_figure(side[m].mean()) for side in sides) for m in METRICS]
        lines.append(_row(name, *figures, " / ".join(str(len(side)) for side in sides)))
    return lines


def _aims(found: Sequence[Aim]) -> list[str]:
    lines = ["### Aims", "", *_head("aim", "met", "holds on", "worst, mean or median")]
    for aim in found:
        word = {True: "yes", False: "NO", None: "no data"}[aim.met]
        holds = f"{aim.held} of {aim.total}" if aim.total else ""
        lines.append(_row(aim.text, word, holds, _figure(aim.value, "+.3f")))
    for aim in found:
        if aim.met is False and aim.short:
            more = len(aim.short) - NAMED
            rest = f"; and {more} more" if more > 0 else ""
            lines += ["", f"Short of '{aim.text}': " + "; ".join(aim.short[:NAMED]) + rest + "."]
    return lines


def _cells(part: pd.DataFrame, baseline: str) -> list[str]:
    """Return every cell and method with its metrics and its differences to both baselines."""
    names = methods_in(part, list(METHODS))
    others = [name for name in dict.fromkeys((baseline, "single_task")) if name in names]
    found = {
        (name, other): differences(part, name, other).set_index(CELL)
        for name in names
        for other in others
        if name != other
    }
    lines = ["### Every task", ""]
    lines += _head(*CELL, "method", *METRICS, *(f"to {other} (Holm p)" for other in others))
    for _, row in means(part).iterrows():
        place = tuple(row[name] for name in CELL)
        gaps = []
        for other in others:
            table = found.get((row["method"], other))
            if table is None or place not in table.index:
                gaps.append("")
                continue
            gap = table.loc[place]
            p = _figure(gap["holm"], ".2g")
            gaps.append(_figure(gap["difference"], "+.3f") + (f" ({p})" if p else ""))
        task = f"**{row['task']}**" if row["is_rare"] else row["task"]
        figures = [_figure(row[metric]) for metric in METRICS]
        lines.append(_row(*place[:2], task, row["method"], *figures, *gaps))
    return lines


def _mean_seconds(results: Sequence[Result]) -> dict[str, float]:
    frame = pd.DataFrame(
        [{"method": r.run.method, "seconds": r.seconds} for r in results if not r.error],
        columns=["method", "seconds"],
    )
    return {
        str(k): round(float(v), 2) for k, v in frame.groupby("method")["seconds"].mean().items()
    }


def _seconds(results: Sequence[Result]) -> list[str]:
    lines = ["## Seconds a run, one thread", "", *_head("method", "mean")]
    return lines + [_row(name, f"{value:.1f}") for name, value in _mean_seconds(results).items()]


def _aim(aim: Aim) -> dict[str, Any]:
    return {
        "aim": aim.text, "met": aim.met, "held": aim.held, "of": aim.total, "value": aim.value,
        "short": list(aim.short),
    }  # fmt: skip

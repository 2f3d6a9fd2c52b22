"""The files of a study's results: figures, table and report."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from labelweave.files import make_folder, write_text
from labelweave.report import write_csv, write_report
from labelweave.report.pictures import Picture, in_turn
from labelweave.study.workers import side_by_side

MANY = 20  # fewer pictures are drawn before other processes are ready to


def write_results(
    results: Mapping[str, Any], folder: Path, language: str | None = None, jobs: int | None = 1
) -> None:
    """Write ``results.json``, ``results.csv`` and the report, each file whole or not at all.

    Args:
        results: of `collect`.
        folder: where to write.
        language: the report's language; None = as the study says.
        jobs: processes that draw the report's pictures; None = one a core.
    """
    make_folder(folder)
    write_text(folder / "results.json", json.dumps(results, indent=1))
    write_csv(results, folder / "results.csv")
    write_report(results, folder, language, partial(_drawn, jobs, results["study"]))


def _drawn(jobs: int | None, study: str, wanted: Sequence[Picture]) -> list[str]:
    if len(wanted) < MANY:
        return in_turn(wanted)
    given = [(picture,) for picture in wanted]
    told = f"study '{study}': {{}}; {{}} pictures"
    found = dict(side_by_side(Picture.drawn, given, jobs, told))
    return [found[number] for number in range(len(wanted))]

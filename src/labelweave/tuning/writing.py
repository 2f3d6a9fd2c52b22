"""The files of a search: the tuned study file, and all trials as CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labelweave.files import write_text
from labelweave.study.study_file import parse_study
from labelweave.tuning.search import with_settings


def write_tuning(results: Mapping[str, Any], study_file: Path, folder: Path) -> list[Path]:
    """Write ``study.tuned.yaml`` beside the study file, ``tuning.csv`` and ``tuning.json``.

    The tuned study has the best settings and, so that both can be compared, a name of its own.

    Args:
        results: of `tune`.
        study_file: the study file.
        folder: where to write the trials.

    Returns:
        The files.
    """
    tuned = study_file.with_name(f"{study_file.stem}.tuned{study_file.suffix}")
    content = yaml.safe_load(study_file.read_text(encoding="utf-8-sig"))
    content = with_settings(content, results["settings"]) | {"name": f"{results['study']}-tuned"}
    parse_study(content, str(tuned))
    head = (
        f"# {study_file.name} with the settings of trial {results['best']}, the best of "
        f"{len(results['trials'])} on validation rows; written by labelweave tune\n"
    )
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
    write_text(tuned, head + text)
    table, whole = folder / "tuning.csv", folder / "tuning.json"
    write_text(table, _csv(results))
    write_text(whole, json.dumps(results, indent=1))
    return [tuned, table, whole]


def _csv(results: Mapping[str, Any]) -> str:
    tasks, keys = list(results["baseline"]), list(results["space"])
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["trial", "state", "objective", "front", *(f"gain {name}" for name in tasks), *keys]
    )
    for trial in results["trials"]:
        gains, settings = trial["gains"], trial["settings"]
        writer.writerow(
            [
                trial["trial"],
                trial["state"],
                trial["objective"],
                int(trial["trial"] in results["front"]),
                *(gains.get(name, "") for name in tasks),
                *(settings.get(key, "") for key in keys),
            ]
        )
    return file.getvalue()

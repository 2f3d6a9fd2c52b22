"""All files of a report: the page, the short form and the slide."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError
from labelweave.report.html import write_html
from labelweave.report.markdown import write_markdown
from labelweave.report.messages import known_language
from labelweave.report.pictures import Draw, in_turn
from labelweave.report.summary import write_summary

FILES = ("report.html", "report.md", "summary.png")


def write_report(
    results: Mapping[str, Any],
    folder: str | Path,
    language: str | None = None,
    draw: Draw = in_turn,
) -> list[Path]:
    """Write ``report.html``, ``report.md`` and ``summary.png``, each whole or not at all.

    Args:
        results: the content of a study's results.json.
        folder: where to write; made if it is not there.
        language: one of `languages()`; None = what the study's settings say, else English.
        draw: what draws the page's pictures.

    Returns:
        The paths of the files.

    Raises:
        LabelweaveError: the results are not those of a study, no such language, or a file cannot
            be written.
    """
    if language is None:
        language = str((results.get("settings") or {}).get("language") or "en")
    known_language(language)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    page, short, slide = paths
    write_html(results, page, language, draw)
    write_markdown(results, short, language)
    write_summary(results, slide, language)
    return paths


def read_results(folder: str | Path) -> dict[str, Any]:
    """Return the content of a study folder's ``results.json``.

    Raises:
        LabelweaveError: there is none, or it is no JSON; one line.
    """
    path = Path(folder) / "results.json"
    try:
        results: Any = json.loads(path.read_text(encoding="utf-8"))
    except NotADirectoryError:
        raise LabelweaveError(f"{folder}: a file, expected a study's results folder") from None
    except FileNotFoundError:
        raise LabelweaveError(
            f"{path}: no such file, expected the results of a study ('labelweave run')"
        ) from None
    except OSError as error:
        raise LabelweaveError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise LabelweaveError(f"{path}: cannot be read as JSON") from None
    if not isinstance(results, dict):
        raise LabelweaveError(f"{path}: found no keys, expected the results of a study")
    return results

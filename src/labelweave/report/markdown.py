"""The report in short, as Markdown for a pull request."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelweave.files import write_text
from labelweave.report.html import common, templates
from labelweave.report.messages import Messages
from labelweave.report.tables import MARKS, checked, score, verdict

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def write_markdown(results: Mapping[str, Any], path: str | Path, language: str = "en") -> None:
    """Write the decision, the results and the label curves as Markdown, names escaped.

    Args:
        results: the content of a study's results.json.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.

    Raises:
        LabelweaveError: the results are not those of a study, no such language, or the file
            cannot be written.
    """
    results, say = checked(results), Messages(language)
    environment = templates(escaped=False)
    environment.filters["md"] = _escaped

    def cell(arm: str, task: Mapping[str, Any]) -> str:
        found, word = score(results, arm, task), verdict(results, arm, task)
        half = ""
        if found.low is not None and found.high is not None:
            half = f" ± {say.fixed((found.high - found.low) / 2)}"
        return say.fixed(found.mean) + half + (f" {MARKS[word]}" if word else "")

    page = environment.get_template("report.md.j2").render(common(results, say), cell=cell)
    write_text(Path(path), page)


def _escaped(text: object) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))

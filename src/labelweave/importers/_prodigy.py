"""Prodigy: its JSON lines, of the recipes for choices and for one label at a time.

https://prodi.gy/docs/api-interfaces. A line is a task: inputs, ``answer`` (accept, reject or
ignore), and either ``options`` with the ids under ``accept``, or one ``label``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.importers._answers import Answers, Sample
from labelweave.importers._json_files import expect, member, read_json_lines, shown

ANSWERS = ("accept", "reject", "ignore")
OWN = {
    "answer", "label", "options", "accept", "meta", "config", "spans", "tokens", "relations",
    "score", "priority", "cats", "timestamp",
}  # fmt: skip


def read_prodigy(path: Path) -> tuple[list[Sample], list[str], dict[str, list[str]], list[str]]:
    """Return samples, questions that take several options, offered options, and notes.

    Lines of the same inputs are one sample. A rejected label is a negative label, and so is what
    was ticked in a rejected choice. The question is called as ``meta.task`` says, else ``label``
    or ``choice``. An unanswered or ignored line gives no label.

    Raises:
        LabelweaveError: no file of Prodigy; names the line.
    """
    inputs: dict[str, dict[str, Any]] = {}
    answers: dict[str, list[Answers]] = {}
    options: dict[str, dict[str, None]] = {}
    multiple: dict[str, None] = {}
    left_out: dict[str, int] = {}
    for number, line in read_json_lines(path):
        place = f"{path}: line {number}"
        cells = _inputs(line, left_out)
        if not cells:
            raise LabelweaveError(f"{place}: no input such as 'text' or 'image'")
        key = json.dumps(cells, sort_keys=True)
        inputs.setdefault(key, cells)
        given = answers.setdefault(key, [])
        answer = line.get("answer")
        if answer is not None and answer not in ANSWERS:
            raise LabelweaveError(
                f"{place}: found the answer {shown(answer)}, expected {listing(ANSWERS)}"
                f"{nearest(answer, ANSWERS)}"
            )
        name, offered, ticked, several = _asked(line, place)
        if name is None:
            continue
        options.setdefault(name, {}).update(dict.fromkeys(offered))
        if several:
            multiple[name] = None
        annotator = str(line.get("_annotator_id") or line.get("_session_id") or "")
        if answer == "accept" and "options" in line:
            given.append(Answers(annotator, {name: ticked}))
        elif answer in ("accept", "reject") and several:
            judged = dict.fromkeys(ticked, answer == "accept")
            given.append(Answers(annotator, judged={name: judged}))
        elif answer == "reject":
            what = "rejected choices of one option, which leave the class open"
            left_out[what] = left_out.get(what, 0) + 1
    samples = [Sample(inputs[key], answers[key]) for key in inputs]
    notes = [f"left out: {count:,} {what}" for what, count in left_out.items()]
    return samples, list(multiple), {name: list(found) for name, found in options.items()}, notes


def _asked(
    line: Mapping[str, Any], place: str
) -> tuple[str | None, list[str], tuple[str, ...], bool]:
    """Return the question, its options, those that are ticked, and whether several may be."""
    meta = line.get("meta")
    called = meta.get("task") if isinstance(meta, dict) else None
    if "options" in line:
        offered = [
            str(expect(option, dict, f"{place}, key 'options'").get("id", ""))
            for option in expect(line["options"], list, f"{place}, key 'options'")
        ]
        config = line.get("config")
        style = config.get("choice_style", "single") if isinstance(config, dict) else "single"
        # Prodigy writes a single choice as a text
        given = line.get("accept") or []
        listed = [given] if isinstance(given, str | int) else given
        chosen = expect(listed, list, f"{place}, key 'accept'")
        ticked = tuple(str(option) for option in chosen)
        for option in ticked:
            if option not in offered:
                raise LabelweaveError(
                    f"{place}, key 'accept': found {shown(option)}, expected {listing(offered)}"
                    f"{nearest(option, offered)}"
                )
        several = style == "multiple" or len(ticked) > 1
        return str(called or "choice"), offered, ticked, several
    if "label" in line:
        label = member(dict(line), "label", str, place)
        return str(called or "label"), [label], (label,), True
    return None, [], (), False


def _inputs(line: Mapping[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    row = line.get("row")  # of `choice_line`, whose text only shows it
    cells: dict[str, Any] = {}
    for name, value in (row if isinstance(row, dict) else line).items():
        if row is None and (name.startswith("_") or name in OWN):
            continue
        if isinstance(value, dict | list):
            what = f"inputs '{name}' that hold several values"
            left_out[what] = left_out.get(what, 0) + 1
        else:
            cells[name] = value
    return cells


def choice_line(
    data: Mapping[str, Any],
    task: str,
    options: Sequence[str],
    predicted: Sequence[str],
    multiple: bool,
    score: float,
) -> str:
    """Return a line for Prodigy's interface ``choice``, with the predicted options ticked.

    Args:
        data: the inputs: text, numbers, None.
        task: the question.
        options: its options.
        predicted: the options that are predicted to hold.
        multiple: whether several may hold together.
        score: 0 to 1, how much the row's label would help.
    """
    shown_as = {"image", "text"} & set(data)
    cells = dict(data) if shown_as else {"text": _as_text(data), "row": dict(data)}
    return json.dumps(
        {
            **cells,
            "options": [{"id": option, "text": option} for option in options],
            "accept": list(predicted),
            "config": {"choice_style": "multiple" if multiple else "single"},
            "meta": {"task": task, "score": round(float(score), 4)},
        },
        ensure_ascii=False,
    )


def _as_text(data: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {'' if value is None else value}" for name, value in data.items())

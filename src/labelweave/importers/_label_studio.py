"""Label Studio: its JSON export, and tasks with predictions to import there.

The export is a list of tasks, each with ``data`` (inputs) and ``annotations``, one for each
annotator, whose ``result`` holds the answers (https://labelstud.io/guide/export).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

from labelweave.errors import LabelweaveError
from labelweave.importers._answers import Answers, Sample
from labelweave.importers._json_files import expect, member, read_json_file, shown

LOCAL = "/data/local-files/"  # how Label Studio serves files of its disk
ANSWERS = ("choices", "taxonomy", "rating")
REGION = {"x", "start", "points", "ranges"}  # of a part of the sample


def read_label_studio(path: Path) -> tuple[list[Sample], list[str]]:
    """Return the samples of an export, and notes on what was left out.

    Cancelled annotations are dropped. Answers are choices, taxonomies (the path, joined by " / ")
    and ratings; all else, and answers on a part of a sample, is left out with a note.

    Raises:
        LabelweaveError: no export of Label Studio in its format JSON; names task and key.
    """
    content = expect(read_json_file(path), list, str(path))
    left_out: dict[str, int] = {}
    samples = []
    for number, entry in enumerate(content, start=1):
        place = f"{path}: task {number}"
        expect(entry, dict, place)
        if "data" not in entry and "annotations" not in entry:
            raise LabelweaveError(
                f"{place}: no keys 'data' and 'annotations', expected the export format 'JSON'"
            )
        given = entry.get("annotations", entry.get("completions", []))
        answers = []
        for index, annotation in enumerate(expect(given, list, f"{place}, key 'annotations'"), 1):
            where = f"{place}, annotation {index}"
            expect(annotation, dict, where)
            if annotation.get("was_cancelled"):
                left_out["cancelled annotations"] = left_out.get("cancelled annotations", 0) + 1
                continue
            chosen = _answers(member(annotation, "result", list, where), where, left_out)
            answers.append(Answers(_annotator(annotation.get("completed_by")), chosen))
        samples.append(Sample(_inputs(member(entry, "data", dict, place), left_out), answers))
    return samples, [f"left out: {count:,} {what}" for what, count in left_out.items()]


def _answers(
    results: Sequence[Any], place: str, left_out: dict[str, int]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for number, result in enumerate(results, start=1):
        where = f"{place}, result {number}"
        expect(result, dict, where)
        kind = member(result, "type", str, where)
        if kind == "relation":  # between two parts of a sample; it has no value
            left_out["results 'relation'"] = left_out.get("results 'relation'", 0) + 1
            continue
        value = member(result, "value", dict, where)
        if kind not in ANSWERS or REGION & set(value) or result.get("parentID"):
            what = f"results '{kind}'" + (" of a part of a sample" if kind in ANSWERS else "")
            left_out[what] = left_out.get(what, 0) + 1
            continue
        name = member(result, "from_name", str, where)
        found[name] = (*found.get(name, ()), *_options(kind, value, where))
    return found


def _options(kind: str, value: dict[str, Any], place: str) -> list[str]:
    if kind == "rating":
        rating = value.get("rating")
        if isinstance(rating, bool) or not isinstance(rating, int):
            raise LabelweaveError(
                f"{place}, key 'rating': found {shown(rating)}, expected a whole number"
            )
        return [str(rating)]
    given = member(value, kind, list, place)
    where = f"{place}, key '{kind}'"
    if kind == "choices":
        return [expect(option, str, where) for option in given]
    return [" / ".join(expect(step, str, where) for step in expect(p, list, where)) for p in given]


def _annotator(found: Any) -> str:
    if isinstance(found, dict):
        found = found.get("email") or found.get("id")
    return "" if found is None else str(found)


def _inputs(data: dict[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    """Return the cells of a task's data; an object of cells, such as of a table, gives its own."""
    cells: dict[str, Any] = {}
    for name, value in data.items():
        inner = value if isinstance(value, dict) else {name: value}
        for key, cell in inner.items():
            if isinstance(cell, dict | list):
                what = f"inputs '{key}' that hold several values"
                left_out[what] = left_out.get(what, 0) + 1
            elif isinstance(cell, str) and cell.startswith(LOCAL):
                cells[key] = parse_qs(urlsplit(cell).query).get("d", [cell])[0]
            else:
                cells[key] = cell
    return cells


def prelabelled(
    data: Mapping[str, Any], labels: Mapping[str, Sequence[str]], score: float, model: str
) -> dict[str, Any]:
    """Return a task to import, with a prediction that annotators see and correct.

    Args:
        data: the inputs: text, numbers, None.
        labels: by question the options that are predicted to hold.
        score: 0 to 1, how sure the model is.
        model: what the prediction is called.
    """
    media = _shown_by(data)
    result = [
        {
            "from_name": name, "to_name": media, "type": "choices",
            "value": {"choices": list(options)},
        }
        for name, options in labels.items()
    ]  # fmt: skip
    kept = dict(data) if media != "row" else {"row": dict(data)}
    prediction = {"model_version": model, "score": round(float(score), 4), "result": result}
    return {"data": kept, "predictions": [prediction]}


def labelling_page(
    data: Mapping[str, Any], questions: Mapping[str, Sequence[str]], multiple: Sequence[str]
) -> str:
    """Return the labelling interface (XML) that `prelabelled` tasks need.

    Args:
        data: the inputs of a task.
        questions: by name the options.
        multiple: the questions that take several options.
    """
    media = _shown_by(data)
    tag = {"image": "Image", "text": "Text", "row": "Table"}[media]
    lines = ["<View>", f'  <{tag} name="{media}" value="${media}"/>']
    for name, options in questions.items():
        kind = "multiple" if name in multiple else "single"
        lines.append(
            f"  <Choices name={quoteattr(name)} toName={quoteattr(media)} "
            f'choice="{kind}" showInline="true">'
        )
        lines += [f"    <Choice value={quoteattr(option)}/>" for option in options]
        lines.append("  </Choices>")
    return "\n".join([*lines, "</View>", ""])


def _shown_by(data: Mapping[str, Any]) -> str:
    return next((name for name in ("image", "text") if name in data), "row")

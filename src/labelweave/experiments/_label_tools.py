"""The rows to label next as files of annotation tools, with the model's predictions to correct."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labelweave._files import write_text
from labelweave.data._collection import label_columns
from labelweave.experiments._sections import LabelTool
from labelweave.experiments._source_files import ReadSource
from labelweave.importers._label_studio import LOCAL, labelling_page, prelabelled
from labelweave.importers._prodigy import choice_line
from labelweave.tasks import Binary, Multiclass, Task

STEM = "label_next"
Inputs = Callable[[str, int], dict[str, Any]]  # of a source's row, from 1


def inputs_of(
    sources: Sequence[ReadSource],
    tasks: Sequence[Task],
    media: Mapping[str, str],
    excluded: Collection[str] = (),
) -> Inputs:
    """Return what gives the inputs and identifiers of a row, as its file has them.

    Args:
        sources: the sources of the study.
        tasks: its tasks, whose labels are left out.
        media: by column of paths or texts ``image`` or ``text``, which the tools show it as.
        excluded: columns that the model leaves out, such as personal data.
    """
    labels = {name for task in tasks for name in label_columns(task)}
    by_name = {each.section.called: each for each in sources}
    kept: dict[str, dict[str, pd.Series[Any]]] = {}

    def columns(source: str) -> "dict[str, pd.Series[Any]]":
        section, table = by_name[source].section, by_name[source].table
        apart = {*section.exclude, section.group, *excluded} - {*section.identifier}
        wanted = [*section.identifier, *table.columns]
        if section.inputs != "rest":
            wanted = [*section.identifier, *section.inputs]
        names = [n for n in dict.fromkeys(wanted) if n in table.columns and n not in labels | apart]
        return {media.get(name, name): table.texts(name) for name in names}

    def row(source: str, number: int) -> dict[str, Any]:
        if source not in kept:
            kept[source] = columns(source)
        cells = {name: texts.iloc[number - 1] for name, texts in kept[source].items()}
        return {name: None if pd.isna(cell) else cell for name, cell in cells.items()}

    return row


def write_label_tools(
    tools: Sequence[LabelTool],
    table: pd.DataFrame,
    predicted: Mapping[str, NDArray[Any]],
    rows: Sequence[int],
    tasks: Sequence[Task],
    inputs: Inputs,
    model: str,
    folder: Path,
) -> list[Path]:
    """Write ``label_next`` for annotation tools and return the files.

    Label Studio gets tasks (``.label_studio.json``) and a labelling interface
    (``.label_studio.xml``), Prodigy JSON lines (``.prodigy.jsonl``). They hold the rows' inputs and
    identifiers, and what the model predicts for the tasks that the row is wanted for.

    Args:
        tools: which of them.
        table: of `rows_to_label`.
        predicted: by task what the model decided, (n,) classes or (n, L) of 0 and 1.
        rows: for each row of `table` its place in `predicted`.
        tasks: the tasks.
        inputs: of a row.
        model: what predictions are called.
        folder: where to.
    """
    asked = {task.name: question(task) for task in tasks}
    several = [t.name for t in tasks if not isinstance(t, Multiclass | Binary)]
    wanted = list(zip(table.to_dict("records"), rows, strict=True))
    files = []
    if "label_studio" in tools:
        joined: dict[tuple[str, int], tuple[float, dict[str, list[str]]]] = {}
        for entry, place in wanted:
            name, at = entry["task"], (entry["source"], entry["row"])
            score, options = joined.get(at, (0.0, {}))
            options[name] = chosen(asked[name], predicted[name][place])
            joined[at] = (max(score, entry["score"]), options)
        shown = [
            prelabelled(_served(inputs(*at)), options, score, model)
            for at, (score, options) in joined.items()
        ]
        first = inputs(*next(iter(joined))) if joined else {}
        files += [folder / f"{STEM}.label_studio.json", folder / f"{STEM}.label_studio.xml"]
        write_text(files[-2], json.dumps(shown, ensure_ascii=False, indent=1))
        write_text(files[-1], labelling_page(first, asked, several))
    if "prodigy" in tools:
        lines = [
            choice_line(
                inputs(entry["source"], entry["row"]), entry["task"], asked[entry["task"]],
                chosen(asked[entry["task"]], predicted[entry["task"]][place]),
                entry["task"] in several, entry["score"],
            )
            for entry, place in wanted
        ]  # fmt: skip
        files.append(folder / f"{STEM}.prodigy.jsonl")
        write_text(files[-1], "".join(f"{line}\n" for line in lines))
    return files


def question(task: Task) -> list[str]:
    """Return the options of a task as a question."""
    if isinstance(task, Binary):
        return [str(word) for word in task.decode(np.arange(2))]
    prefix = f"{task.name}."  # the reader of the answers puts it in front again
    if isinstance(task, Multiclass):
        return list(task.names)
    return [name.removeprefix(prefix) for name in task.names]


def chosen(options: Sequence[str], decided: Any) -> list[str]:
    """Return the options that are predicted: of one class, or of labels as 0 and 1."""
    if np.ndim(decided):
        return [option for option, on in zip(options, decided, strict=True) if on]
    return [str(decided)]


def _served(cells: dict[str, Any]) -> dict[str, Any]:
    """Return inputs with the path of an image as Label Studio serves files of its disk."""
    image = cells.get("image")
    if image is None or "://" in str(image):
        return cells
    return {**cells, "image": f"{LOCAL}?d={image}"}

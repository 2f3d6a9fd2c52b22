"""The file of an exchange: typed, versioned and bounded JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from labelweave._files import write_text
from labelweave._saved import (
    MOST_TASKS,
    SUM_TOLERANCE,
    Name,
    Saved,
    Share,
    check_tasks,
    read_description,
    tasks_of,
)
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.relations._relatedness import relation_of, relation_table
from labelweave.results import RelationTable, typed
from labelweave.results._json import plain
from labelweave.tasks import Multiclass, Task, task_to_dict
from labelweave.trust._exchange import KEY, Exchange
from labelweave.trust._protected_counts import HIDDEN, Counts

FORMAT = 1
MOST_ROWS, MOST_TABLES = 10_000_000, 10_000

Count = Annotated[int, Field(ge=HIDDEN, le=2**53)]
Pairs = list[list[Count]]
Key = Annotated[str, Field(pattern=f"^[0-9a-f]{{{KEY}}}$")]


class _SavedCounts(Saved):
    source: Name
    target: Name
    counts: Pairs | list[Pairs]


class _SavedExchange(Saved):
    format: Annotated[int, Field(ge=1, le=1_000_000)]
    name: Name
    tasks: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_TASKS)]
    protection: str
    noise: Annotated[float, Field(ge=0, le=1e9)]
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)]
    keys: list[Key] | None
    counts: Mapping[str, list[Count] | Pairs]
    tables: Annotated[list[_SavedCounts], Field(max_length=MOST_TABLES)]
    relations: Annotated[list[dict[str, Any]], Field(max_length=MOST_TABLES)]
    predictions: Mapping[str, list[list[Share]]]


def write_exchange(exchange: Exchange, path: str | Path) -> None:
    """Write an exchange as a JSON file, for `read_exchange`.

    Args:
        exchange: what `make_exchange` made.
        path: the file.

    Raises:
        WriteError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "name": exchange.name,
        "tasks": [task_to_dict(task) for task in exchange.tasks],
        "protection": exchange.protection,
        "noise": exchange.noise,
        "rows": len(exchange),
        "keys": None if exchange.keys is None else list(exchange.keys),
        "counts": {name: each.tolist() for name, each in exchange.counts.items()},
        "tables": [
            {"source": source, "target": target, "counts": counts.tolist()}
            for (source, target), counts in exchange.tables.items()
        ],
        "relations": [plain(relation_table(relation)) for relation in exchange.relations],
        "predictions": {name: p.tolist() for name, p in exchange.probabilities.items()},
    }
    write_text(Path(path), json.dumps(content, allow_nan=False))


def read_exchange(path: str | Path) -> Exchange:
    """Return the exchange that `write_exchange` wrote.

    Args:
        path: the file.

    Raises:
        LabelweaveError: another file, or values that do not fit each other.
        FileNotFoundError: there is no such file.
    """
    saved = read_description(Path(path), _SavedExchange, FORMAT)
    with in_place(path):
        tasks = tasks_of(saved.tasks)
        check_tasks(tasks)
        by_name = {task.name: task for task in tasks}
        if saved.keys is not None and len(set(saved.keys)) != saved.rows:
            raise LabelweaveError(f"keys: expected {saved.rows:,}, each once")
        return Exchange(
            saved.name,
            tuple(tasks),
            {t.name: _predictions(t, saved.predictions.get(t.name), saved.rows) for t in tasks},
            tuple(_relation(each, by_name) for each in saved.relations),
            {
                name: _counts(f"counts of '{name}'", each, _shape(_task(by_name, name)))
                for name, each in saved.counts.items()
            },
            dict(_table(each, by_name) for each in saved.tables),
            None if saved.keys is None else tuple(saved.keys),
            saved.protection,
            saved.noise,
        )


def _task(tasks: Mapping[str, Task], name: str) -> Task:
    if name not in tasks:
        raise LabelweaveError(f"no task '{name}', expected {listing(tasks)}{nearest(name, tasks)}")
    return tasks[name]


def _shape(task: Task) -> tuple[int, ...]:
    return (task.width,) if isinstance(task, Multiclass) else (task.width, 2)


def _array(place: str, given: Any, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.array(given, kind)
    except ValueError:  # lists of different lengths
        raise LabelweaveError(f"{place}: no table, expected the shape {shape}") from None
    if found.shape != shape:
        raise LabelweaveError(f"{place}: found the shape {found.shape}, expected {shape}")
    return found


def _counts(place: str, given: Any, shape: tuple[int, ...]) -> Counts:
    return _array(place, given, shape, np.int64)


def _table(saved: _SavedCounts, tasks: Mapping[str, Task]) -> tuple[tuple[str, str], Counts]:
    source, target = _task(tasks, saved.source), _task(tasks, saved.target)
    place = f"table {source.name}->{target.name}"
    if not isinstance(source, Multiclass) or source is target:
        raise LabelweaveError(f"{place}: expected a multiclass task and another task")
    return (
        (source.name, target.name),
        _counts(place, saved.counts, (source.width, *_shape(target))),
    )


def _relation(saved: Mapping[str, Any], tasks: Mapping[str, Task]) -> Any:
    described = {name: value for name, value in saved.items() if name != "text"}
    return relation_of(typed(RelationTable, described, "relations"), tasks)


def _predictions(task: Task, given: list[list[float]] | None, rows: int) -> NDArray[np.float64]:
    place = f"predictions of '{task.name}'"
    found: NDArray[np.float64] = _array(place, given or [], (rows, task.width), np.float64)
    if isinstance(task, Multiclass):
        sums = found.sum(axis=1)
        # three decimals a class: their sum may miss one by this much
        if (np.abs(sums - 1) > SUM_TOLERANCE + task.width * 5e-4).any() or (sums <= 0).any():
            raise LabelweaveError(f"{place}: probabilities that do not sum to 1")
    return found

"""The tasks of several data sets as one: classes and labels aligned by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labelweave.errors import LabelweaveError

NAMES = ("classes", "labels")
USUAL = "multiclass"  # what a task is that says nothing


def joined_tasks(
    brought: Iterable[tuple[str, Sequence[Mapping[str, Any]]]],
) -> dict[str, dict[str, Any]]:
    """Return the tasks of all data sets by name, with the classes or labels of all of them.

    Args:
        brought: for each data set what errors call it, and its tasks as a study file says them.

    Raises:
        LabelweaveError: a task that is of another kind in another data set.
    """
    joined: dict[str, dict[str, Any]] = {}
    for place, tasks in brought:
        for task in tasks:
            known = joined.setdefault(task["name"], dict(task))
            for key in {**known, **task}:
                mine, other = task.get(key), known.get(key)
                if key in NAMES and mine and other:
                    known[key] = list(dict.fromkeys([*other, *mine]))
                elif key in NAMES:  # one of them takes its classes from the data: so do all
                    known.pop(key, None)
                elif mine != other:
                    raise LabelweaveError(
                        f"{place}: task '{task['name']}': found {key} '{mine or USUAL}', "
                        f"expected '{other or USUAL}' as in the other data sets"
                    )
    return joined

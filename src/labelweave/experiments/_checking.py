"""What is found before any training: what would stop a run, and what its batches are mixed of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from labelweave._messages import Message, Text
from labelweave._shapes import describe_inputs
from labelweave.balancing._sampling import sampling
from labelweave.class_priors import assumed_prior
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.experiments._config import StudyConfig
from labelweave.fitting._checking import batch_shares
from labelweave.fitting._split import Split
from labelweave.tasks import Binary, Task
from labelweave.tracking._stores import missing_packages

FEW_GROUPS = 10


def notes(splits: Sequence[Split]) -> list[Text]:
    """Return every split's notes once, with the seeds where not all splits have it.

    Besides, whether there are too few seeds or groups of test rows for intervals to say much.
    """
    seeds: dict[Text, list[int]] = {}
    for split in splits:
        for note in split.notes:
            seeds.setdefault(note, []).append(split.seed)
    found: list[Text] = []
    if len(splits) == 1:
        found.append(Message("note.one_seed"))
    groups = len(np.unique(np.concatenate([split.test.groups for split in splits])))
    if 0 < groups < FEW_GROUPS:
        found.append(Message("note.few_groups", {"groups": groups}))
    return found + [
        note
        if len(where) == len(splits)
        else Message("note.of_seeds", {"note": note, "seeds": ", ".join(map(str, where))})
        for note, where in seeds.items()
    ]


def description(
    config: StudyConfig, tasks: Sequence[Task], methods: Sequence[str], splits: Sequence[Split]
) -> list[Any]:
    """Return lines and tables to print: tasks, coverage, rows, relations, methods, seeds, notes."""
    split = splits[0]
    coverage = split.coverage()
    lines: list[Any] = [f"study {config.name}", ""]
    for task in tasks:
        kind = "binary" if isinstance(task, Binary) else task.kind
        names = "" if kind == "binary" else f", {listing(task.names, 12)}"
        lines.append(f"task {task.name}: {kind}{names}")
    lines += ["", "Training rows and their labels (first seed):", coverage]
    lines += [
        f"rows: {len(split.train.index)} training, {len(split.validation.index)} validation, "
        f"{len(split.test.index)} test; inputs: {_inputs(split)}"
    ]
    lines += [*coverage.partial_lines(), *coverage.shared_lines()]
    (how, _), shares = sampling(config.training.sampling), batch_shares(split, config.training)
    lines += ["", f"A batch of {shares.batch_size} rows, sampling {how}:", shares]
    for relation in split.relations:
        known = int(relation.mask.sum())
        lines.append(
            f"relation {relation.name}: {relation.origin}, {known} of {relation.mask.size} "
            "entries known"
        )
    assumed = assumed_prior(config.label_shift.prediction, tasks)
    lines += [f"prior that predictions assume: {assumed}"]
    lines += ["methods: " + ", ".join(methods)]
    lines += [f"seeds: {', '.join(str(f.seed) for f in splits)}"]
    lines += [f"note: {note}" for note in notes(splits)]
    return lines


def _inputs(split: Split) -> str:
    shape = split.encoder.shape_
    return str(shape) if isinstance(shape, int) else describe_inputs(shape)


def check_tracking(config: StudyConfig) -> None:
    """Raise `LabelweaveError` for a tracker whose packages are not installed."""
    for name, _ in config.trackers():
        if missing := missing_packages(name):
            raise LabelweaveError(
                f"key 'tracking': {name} needs the package {missing[0]}, which is not installed: "
                "pip install 'labelweave[track]'"
            )


def check_value(config: StudyConfig, methods: Sequence[str], tasks: Sequence[str]) -> None:
    """Raise `LabelweaveError` for a method or a task that value sections name and a study lacks."""
    section, prices = config.label_curves, config.prices
    asked = section.method if section else None
    if asked is not None and asked not in methods:
        raise LabelweaveError(
            f"key 'label_curves.method': method '{asked}' is not compared, expected "
            f"{listing(methods, 9)}{nearest(asked, methods)}"
        )
    for name in prices.label if prices else ():
        if name not in tasks:
            raise LabelweaveError(
                f"key 'prices.label': no task '{name}', expected {listing(tasks)}"
                f"{nearest(name, tasks)}"
            )

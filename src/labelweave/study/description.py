"""What a study will do, told before any training."""

from collections.abc import Sequence
from typing import Any

from labelweave.balancing import sampling
from labelweave.errors import listing
from labelweave.networks import described
from labelweave.priors import assumed_prior
from labelweave.study.checking import batch_shares
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.notes import notes
from labelweave.tasks import Binary, Task


def description(
    config: StudyConfig, tasks: Sequence[Task], arms: Sequence[str], folds: Sequence[Fold]
) -> list[Any]:
    """Return lines and tables to print: tasks, coverage, rows, relations, arms, seeds, notes."""
    fold = folds[0]
    coverage = fold.coverage()
    lines: list[Any] = [f"study {config.name}", ""]
    for task in tasks:
        kind = "binary" if isinstance(task, Binary) else task.kind
        names = "" if kind == "binary" else f", {listing(task.names, 12)}"
        lines.append(f"task {task.name}: {kind}{names}")
    lines += ["", "Training rows and their labels (first seed):", coverage]
    lines += [
        f"rows: {len(fold.train.index)} training, {len(fold.validation.index)} validation, "
        f"{len(fold.test.index)} test; inputs: {_inputs(fold)}"
    ]
    lines += [*coverage.partial_lines(), *coverage.shared_lines()]
    (how, _), shares = sampling(config.training.sampling), batch_shares(fold, config.training)
    lines += ["", f"A batch of {shares.batch_size} rows, sampling {how}:", shares]
    for relation in fold.relations:
        known = int(relation.mask.sum())
        lines.append(
            f"relation {relation.name}: {relation.origin}, {known} of {relation.mask.size} "
            "entries known"
        )
    assumed = assumed_prior(config.label_shift.prediction, tasks)
    lines += [f"prior that predictions assume: {assumed}"]
    lines += ["arms: " + ", ".join(arms)]
    lines += [f"seeds: {', '.join(str(f.seed) for f in folds)}"]
    lines += [f"note: {note}" for note in notes(folds)]
    return lines


def _inputs(fold: Fold) -> str:
    shape = fold.encoder.shape_
    return str(shape) if isinstance(shape, int) else described(shape)

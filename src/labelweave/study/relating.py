"""The relatedness of a fold's tasks, from its uncoupled multi-task run."""

from dataclasses import replace

from labelweave.model import Model
from labelweave.relations import Origin, Relatedness, confusion_counts, relate
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.loading import StudyData
from labelweave.study.runs import Run

UNCOUPLED = "multi_task"  # the arm whose predictions relations are estimated from


def relate_fold(
    fold: Fold, base: Run, data: StudyData, config: StudyConfig, origin: Origin
) -> Relatedness:
    """Return the relatedness of the tasks, estimated on a fold's training rows.

    Args:
        fold: the data of one seed.
        base: its finished run of the arm ``multi_task``.
        data: the study's data.
        config: the study's settings.
        origin: which evidence enters the tables.
    """
    model = Model.load(base.folder / "model")
    held_out = fold.validation
    confusion = None
    if len(held_out.index):
        confusion = confusion_counts(held_out.annotations, model.probabilities(held_out.inputs))
    return relate(
        fold.train.annotations,
        model.probabilities(fold.train.inputs),
        data.pairs,
        knowledge=data.known,
        origin=origin,
        strength=config.relatedness.strength,
        sources=fold.source,
        groups=data.collection.groups[fold.train.index],
        confusion=confusion,
        seed=fold.seed,
    )


def with_relations(fold: Fold, related: Relatedness) -> Fold:
    """Return the fold with the relations that have evidence, in place of those given."""
    return replace(fold, relations=related.relations)

"""How a classifier learns: its relations checked, labels that are likely wrong, and its model."""

from collections.abc import Sequence

import pandas as pd

from labelweave.data import Collection
from labelweave.model import Model
from labelweave.relations import AnyRelation, Relatedness
from labelweave.study.arms import ARMS, BASELINE, UNCOUPLED, Arm
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold
from labelweave.study.mislabelled import mislabelled_table
from labelweave.study.relating import relate_by
from labelweave.study.teachers import teacher_scores


def found_relatedness(
    arm: Arm,
    fold: Fold,
    known: Sequence[AnyRelation],
    config: StudyConfig,
    *,
    noise: bool,
    progress: bool,
) -> Relatedness | None:
    """Return how the tasks relate, by an uncoupled network; None = relations as they are.

    Args:
        arm: what is to be trained.
        fold: the data.
        known: the relations given.
        config: the settings.
        noise: find out how labels err as well.
        progress: show a bar over the steps.
    """
    origin = config.relatedness.origin
    if origin == "given" or not arm.coupled:
        return None
    pairs = [(relation.source.name, relation.target.name) for relation in known] or None
    uncoupled = trained_model(ARMS[UNCOUPLED], fold, config, progress=progress)
    return relate_by(fold, uncoupled, pairs, known, config, [origin], noise=noise)[origin]


def likely_mislabelled(
    collection: Collection, fold: Fold, relatedness: Relatedness | None
) -> pd.DataFrame:
    """Return the labels that are likely wrong, the surest first; rows count from 0.

    Args:
        collection: all rows.
        fold: those trained on.
        relatedness: what was found about them; None = nothing.
    """
    found = [] if relatedness is None else [[relatedness]]
    table = mislabelled_table(collection, [fold], found).drop(columns="seeds")
    return table.assign(row=table["row"] - 1)


def trained_model(arm: Arm, fold: Fold, config: StudyConfig, *, progress: bool) -> Model:
    """Return the model of an arm, taught by single-task networks where it distils.

    Args:
        arm: what to train.
        fold: the data.
        config: the settings.
        progress: show a bar over the steps.
    """
    teachers = None
    if arm.distils:
        baseline = trained_model(ARMS[BASELINE], fold, config, progress=progress)
        teachers = teacher_scores(baseline, fold, config)
    fitted = fit_arm(arm, fold, config, None, teachers=teachers, progress=progress)
    if fitted.model is None:
        raise AssertionError(f"arm {arm.name} keeps no model")
    return fitted.model

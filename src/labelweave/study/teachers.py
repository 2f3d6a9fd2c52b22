"""Single-task networks as teachers: their scores on the training rows, calibrated."""

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.evaluation import best_temperature, scores_of
from labelweave.model import Model
from labelweave.study.arms import ARMS, BASELINE
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import Probabilities, fit_arm
from labelweave.study.fold import Fold
from labelweave.study.kept_out import kept_out


def teacher_scores(
    teacher: Model, fold: Fold, config: StudyConfig
) -> dict[str, NDArray[np.float32]]:
    """Return what teachers say about a fold's training rows, by task: scores (n, width).

    Each task's scores are divided by its temperature (see `best_temperature`) on rows that were
    kept out of the training: validation rows, or without any, training rows kept out in turn where
    the study says so (``teachers: {folds: ...}``). Without either they are taken as they are.

    Args:
        teacher: the networks of the arm ``single_task``, trained on the same fold.
        fold: the data.
        config: the study's settings.
    """
    given = teacher.probabilities(fold.train.inputs)
    held, predicted = _held_out(teacher, fold, config)
    return {
        task.name: (
            scores_of(task, given[task.name].astype(np.float64))
            / best_temperature(task, predicted[task.name], held.labels[task.name])
        ).astype(np.float32)
        for task in teacher.tasks
    }


def _held_out(teacher: Model, fold: Fold, config: StudyConfig) -> tuple[Annotations, Probabilities]:
    """Return labels and predictions of rows that the predicting network was not trained on."""
    if len(fold.validation.index) or not config.teachers.folds:
        return fold.validation.annotations, teacher.probabilities(fold.validation.inputs)
    rows = len(fold.train.index)
    predicted = {t.name: np.zeros((rows, t.width), np.float32) for t in teacher.tasks}
    for inner, out in kept_out(fold, config.teachers.folds):
        networks = fit_arm(ARMS[BASELINE], inner, config, None).model
        assert networks is not None  # not trees
        # as the teachers' own: under the training prior, whatever the study's predictions assume
        for name, part in networks.probabilities(inner.test.inputs).items():
            predicted[name][out] = part
    return fold.train.annotations, predicted

"""What a student learns from: the stack's predictions, of few rows on mixtures of them as well.

With few rows a student that fits its targets says little about what lies between them. Mixtures of
rows let it learn the stack's function there (Beyer et al., Knowledge distillation: A good teacher
is patient and consistent, CVPR 2022; the mixtures are those of Zhang et al., mixup, ICLR 2018).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.evaluation._calibration import scores_of
from labelweave.fitting._split import Split
from labelweave.fitting._stack import StackModel

MOST = 4  # mixtures a row
ENOUGH = 5_000  # mixtures; more rows than that have none


def with_mixtures(split: Split) -> Split:
    """Return a split whose training rows are followed by mixtures of them, without labels.

    Row i is mixed with a row drawn at random, by a share drawn from [0, 1]: `MOST` times, or as
    often as `ENOUGH` rows allow. The seed of the split decides the draws. Images and tokens cannot
    be mixed; their split stays as it is.
    """
    train, n = split.train, len(split.train.index)
    times = min(MOST, ENOUGH // max(n, 1))
    if not times or not isinstance(split.encoder.shape_, int):
        return split
    rng = np.random.default_rng(split.seed)
    first = np.tile(np.arange(n), times)
    second, share = rng.integers(0, n, n * times), rng.random((n * times, 1), np.float32)
    X = np.asarray(train.inputs, np.float32)
    inputs = np.concatenate([X, share * X[first] + (1 - share) * X[second]])
    rows = np.concatenate([np.arange(n), first])
    missing = Annotations(train.annotations.tasks, {}, n * times)
    labels = {
        task.name: np.concatenate([train.annotations.labels[task.name], missing.labels[task.name]])
        for task in train.annotations.tasks
    }
    return replace(
        split,
        train=replace(
            train, inputs=inputs, annotations=Annotations(train.annotations.tasks, labels),
            index=train.index[rows], groups=train.groups[rows],
        ),
        source=split.source[rows],
        everything=None,
        sample_weight=None if split.sample_weight is None else split.sample_weight[rows],
    )  # fmt: skip


def student_targets(model: StackModel, split: Split) -> dict[str, NDArray[np.float32]]:
    """Return the scores that a student learns from, by task (rows, width).

    They are the stack's predictions alone, which have seen the rows' labels: labels on top of them
    make the student fit their noise.

    Args:
        model: the teacher.
        split: the data; the rows are those of `with_mixtures`.
    """
    targets = model.uncalibrated(with_mixtures(split).train.inputs)
    return {
        task.name: np.asarray(scores_of(task, targets[task.name].astype(np.float64)), np.float32)
        for task in model.tasks
    }

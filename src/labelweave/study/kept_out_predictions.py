"""What the uncoupled network says of rows that it was not trained on; trained once, and kept."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from labelweave.files import make_folder, replacing
from labelweave.model import Model
from labelweave.relations import KeptOut
from labelweave.study.arms import UNCOUPLED, find_arm
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import fit_arm
from labelweave.study.fold import Fold
from labelweave.study.kept_out import kept_out
from labelweave.study.runs import Run

TASK = "task/"
Predictions = dict[str, NDArray[np.float32]]


def kept_out_predictions(
    fold: Fold, base: Run | None, model: Model, config: StudyConfig
) -> KeptOut | None:
    """Return rows that the uncoupled network was not trained on, if there are any.

    Validation rows, or training rows that networks of their own have not seen.

    Args:
        fold: the data of one seed.
        base: its finished run of the arm ``multi_task``, which keeps them; None = not kept.
        model: that run's model.
        config: the study's settings.
    """
    if len(fold.validation.index):
        annotations = fold.validation.annotations
        return KeptOut(annotations, model.drawn_probabilities(fold.validation.inputs))
    parts = config.relatedness.folds
    if not parts:
        return None
    # all that they depend on is in the run's key
    path = None
    if base is not None:
        path = base.folder.parent.parent / "kept_out" / f"{base.key}-{parts}.safetensors"
    return KeptOut(fold.train.annotations, _read(path) or _trained(fold, config, parts, path))


def _read(path: Path | None) -> Predictions | None:
    if path is None or not path.exists():
        return None
    try:
        return {name.removeprefix(TASK): p for name, p in load_file(path).items()}
    except SafetensorError:  # damaged from outside: made anew
        return None


def _trained(fold: Fold, config: StudyConfig, parts: int, path: Path | None) -> Predictions:
    """Return what networks say of the training rows that they have not seen; kept in a file."""
    annotations, n = fold.train.annotations, len(fold.train.index)
    predictions = {task.name: np.zeros((n, task.width), np.float32) for task in annotations.tasks}
    # as many passes over the rows as over all of them
    steps = max(1, round(config.training.total_steps(n) * (parts - 1) / parts))
    training = config.training.model_copy(update={"steps": steps, "epochs": None})
    shorter = config.model_copy(update={"training": training})
    for inner, out in kept_out(fold, parts):
        inner_model = fit_arm(find_arm(UNCOUPLED), inner, shorter, None).model
        assert inner_model is not None  # a joint network
        for name, given in inner_model.drawn_probabilities(inner.test.inputs).items():
            predictions[name][out] = given
    if path is None:
        return predictions
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors' own writing has errors of its own for a full disk
        temporary.write_bytes(save({f"{TASK}{name}": p for name, p in predictions.items()}))
    return predictions

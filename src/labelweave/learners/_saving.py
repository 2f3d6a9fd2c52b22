"""Fitted learners in one file, by skops, with a fixed list of types that may be read.

skops writes no pickle. A file is read only if every type in it is one of scikit-learn's that are
listed here, or comes from a package that the user trusts.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelweave._files import read_regular, replacing
from labelweave._trust import VARIABLE
from labelweave.errors import LabelweaveError, listing
from labelweave.learners._fitting import FittedPart, TaskModel
from labelweave.learners._forests import packed, unpacked

LARGEST_MODELS = 1 << 32  # bytes

TRUSTED = (
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


def write_models(models: Mapping[str, TaskModel], path: Path) -> dict[str, Any]:
    """Write the classifiers of fitted learners; return all else of them, JSON-able.

    Raises:
        LabelweaveError: a classifier that skops cannot write, or a file that cannot be written.
    """
    # loading it takes seconds: it looks at every class of scikit-learn
    from skops import io as skops

    classifiers: list[Any] = []
    described: dict[str, Any] = {}
    for name, model in models.items():
        parts = []
        for part in model.parts:
            number = None
            if part.classifier is not None:
                number = len(classifiers)
                classifiers.append(packed(part.classifier))
            parts.append(
                {
                    "classes": part.classes.tolist(),
                    "floor": part.floor.tolist(),
                    "share": part.share,
                    "classifier": number,
                }
            )
        described[name] = {"key": model.key, "multiclass": model.multiclass, "parts": parts}
    try:
        content = skops.dumps(classifiers)
    except Exception as error:
        raise LabelweaveError(f"{path}: a learner cannot be written by skops ({error})") from None
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return described


def read_models(described: Mapping[str, Any], path: Path) -> dict[str, TaskModel]:
    """Return what `write_models` wrote.

    Raises:
        LabelweaveError: no such file, a damaged one, or one with types that are not trusted.
    """
    from skops import io as skops

    try:
        content = read_regular(path, LARGEST_MODELS)
        unknown = skops.get_untrusted_types(data=content)
        refused = [name for name in unknown if name not in TRUSTED and not _package_trusted(name)]
        if refused:
            raise LabelweaveError(
                f"{path}: found types that are not trusted: {listing(refused)}; "
                "trust their package if you know where the file comes from"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Sequence[Any] = skops.loads(content, trusted=unknown)
        classifiers = [unpacked(each) for each in loaded]
        wanted = [part["classifier"] for found in described.values() for part in found["parts"]]
        if max((n for n in wanted if n is not None), default=-1) >= len(classifiers):
            raise LabelweaveError(f"{path}: found {len(classifiers)} learners, expected more")
    except LabelweaveError:
        raise
    except Exception as error:
        raise LabelweaveError(f"{path}: cannot be read ({error})") from None
    return {
        name: TaskModel(
            found["key"],
            found["multiclass"],
            tuple(
                FittedPart(
                    np.array(part["classes"], np.int64),
                    np.array(part["floor"], np.float64),
                    part["share"],
                    None if part["classifier"] is None else classifiers[part["classifier"]],
                )
                for part in found["parts"]
            ),
        )
        for name, found in described.items()
    }


def _package_trusted(name: str) -> bool:
    return name.partition(".")[0] in os.environ.get(VARIABLE, "").split(",")

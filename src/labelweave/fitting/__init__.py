"""Fit a method on a split: the one trainer, under the estimator and the experiments.

``fit(method, split, config)`` returns a `Predictor`; it knows no test set, no study and no files
but its checkpoints.
"""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.fitting._config import FitConfig
    from labelweave.fitting._fit import fit
    from labelweave.fitting._methods import METHODS, Method, find_method
    from labelweave.fitting._relating import find_relatedness, with_relations
    from labelweave.fitting._split import Rows, Split, make_training_split
    from labelweave.fitting._stack import load_model
    from labelweave.fitting._streamed import fit_parquet
    from labelweave.model import Predictor
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_config": ["FitConfig"],
            "_fit": ["fit"],
            "_methods": ["METHODS", "Method", "find_method"],
            "_relating": ["find_relatedness", "with_relations"],
            "_split": ["Rows", "Split", "make_training_split"],
            "_stack": ["load_model"],
            "_streamed": ["fit_parquet"],
            "labelweave.model": ["Predictor"],
        },
    )

__all__ = [
    "METHODS",
    "FitConfig",
    "Method",
    "Predictor",
    "Rows",
    "Split",
    "find_method",
    "find_relatedness",
    "fit",
    "fit_parquet",
    "load_model",
    "make_training_split",
    "with_relations",
]

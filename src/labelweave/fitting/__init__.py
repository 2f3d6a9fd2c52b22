"""Fit a method on a split: the one trainer, under the estimator and the experiments.

``fit(method, split, config)`` returns a `Predictor`; it knows no test set, no study and no files
but its checkpoints.
"""

from labelweave.fitting._config import FitConfig
from labelweave.fitting._fit import fit
from labelweave.fitting._methods import METHODS, Method, find_method
from labelweave.fitting._relating import find_relatedness, with_relations
from labelweave.fitting._split import Rows, Split, make_training_split
from labelweave.fitting._stack import load_model
from labelweave.fitting._streamed import fit_parquet
from labelweave.model import Predictor

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

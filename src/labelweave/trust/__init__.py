"""Trust: sets that cover, calibration, coherence, fairness, explanation, and what a model is."""

from labelweave.trust._forest import model_relations
from labelweave.trust._joint_sets import (
    JointFigures,
    JointRule,
    JointSets,
    evaluate_joint_sets,
    fit_joint_sets,
)
from labelweave.trust._predictions import Predictions, predict_rows
from labelweave.trust._sets import Promise, SetFigures, SetRule, evaluate_sets, fit_sets

__all__ = [
    "JointFigures",
    "JointRule",
    "JointSets",
    "Predictions",
    "Promise",
    "SetFigures",
    "SetRule",
    "evaluate_joint_sets",
    "evaluate_sets",
    "fit_joint_sets",
    "fit_sets",
    "model_relations",
    "predict_rows",
]

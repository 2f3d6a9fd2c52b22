"""Learners: anything that gives probabilities of one task, or of all; by name or brought along."""

from labelweave.learners._fitting import TaskModel, fit_task, size_of, takes_weights
from labelweave.learners._folds import ALWAYS, assign_folds
from labelweave.learners._joint import JointLearner, JointModel
from labelweave.learners._learner import Learner, Size
from labelweave.learners._library import (
    Boosting,
    ExtraTrees,
    KernelLogistic,
    Logistic,
    RandomForest,
    Svm,
)
from labelweave.learners._registry import (
    LEARNERS,
    NETWORKS,
    Choice,
    LearnerChoice,
    UserLearner,
    choose_learners,
    resolve_learners,
)
from labelweave.learners._saving import TRUSTED, read_models, write_models
from labelweave.learners._stacking import (
    Judged,
    fit_temperature,
    mixture_weights,
    own_labels,
    tempered,
)
from labelweave.learners._task_stack import (
    LibraryFit,
    Member,
    TaskStack,
    applicable,
    combine,
    fit_library,
    fold_count,
    stack_weights,
)

__all__ = [
    "ALWAYS",
    "LEARNERS",
    "NETWORKS",
    "TRUSTED",
    "Boosting",
    "Choice",
    "ExtraTrees",
    "JointLearner",
    "JointModel",
    "Judged",
    "KernelLogistic",
    "Learner",
    "LearnerChoice",
    "LibraryFit",
    "Logistic",
    "Member",
    "RandomForest",
    "Size",
    "Svm",
    "TaskModel",
    "TaskStack",
    "UserLearner",
    "applicable",
    "assign_folds",
    "choose_learners",
    "combine",
    "fit_library",
    "fit_task",
    "fit_temperature",
    "fold_count",
    "mixture_weights",
    "own_labels",
    "read_models",
    "resolve_learners",
    "size_of",
    "stack_weights",
    "takes_weights",
    "tempered",
    "write_models",
]

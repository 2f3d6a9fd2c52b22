"""Learners: anything that gives probabilities of one task, or of all; by name or brought along."""

from labelweave.learners._fitting import TaskModel, fit_task
from labelweave.learners._joint import JointLearner, JointModel
from labelweave.learners._learner import Learner, Size
from labelweave.learners._library import (
    Boosting,
    Discriminant,
    ExtraTrees,
    KernelLogistic,
    Logistic,
    RandomForest,
    Svm,
)
from labelweave.learners._registry import (
    LEARNERS,
    LearnerChoice,
    UserLearner,
    resolve_learners,
)
from labelweave.learners._task_stack import Member, TaskStack

__all__ = [
    "LEARNERS",
    "Boosting",
    "Discriminant",
    "ExtraTrees",
    "JointLearner",
    "JointModel",
    "KernelLogistic",
    "Learner",
    "LearnerChoice",
    "Logistic",
    "Member",
    "RandomForest",
    "Size",
    "Svm",
    "TaskModel",
    "TaskStack",
    "UserLearner",
    "fit_task",
    "resolve_learners",
]

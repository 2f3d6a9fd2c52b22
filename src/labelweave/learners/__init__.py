"""Learners: anything that gives probabilities of one task, or of all; by name or brought along."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
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
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_fitting": ["TaskModel", "fit_task"],
            "_joint": ["JointLearner", "JointModel"],
            "_learner": ["Learner", "Size"],
            "_library": [
                "Boosting",
                "Discriminant",
                "ExtraTrees",
                "KernelLogistic",
                "Logistic",
                "RandomForest",
                "Svm",
            ],
            "_registry": ["LEARNERS", "LearnerChoice", "UserLearner", "resolve_learners"],
            "_task_stack": ["Member", "TaskStack"],
        },
    )

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

"""Studies: methods x seeds on the same data, compared in pairs."""

from labelweave.experiments._ablation import run_ablation
from labelweave.experiments._config import StudyConfig, parse_study, read_study_file
from labelweave.experiments._loading import StudyData
from labelweave.experiments._relating import write_mislabelled
from labelweave.experiments._study import Study
from labelweave.experiments._tuning import (
    dominates,
    pareto_front,
    tune,
    write_tuning,
)
from labelweave.experiments._tuning_space import searched, with_settings
from labelweave.experiments._tuning_trials import gains, objective

__all__ = [
    "Study",
    "StudyConfig",
    "StudyData",
    "dominates",
    "gains",
    "objective",
    "pareto_front",
    "parse_study",
    "read_study_file",
    "run_ablation",
    "searched",
    "tune",
    "with_settings",
    "write_mislabelled",
    "write_tuning",
]

"""Studies: arms x seeds on the same data, compared in pairs."""

from labelweave.study.ablation import run_ablation
from labelweave.study.arms import ARMS, BASELINE, Arm
from labelweave.study.config import StudyConfig
from labelweave.study.loading import StudyData
from labelweave.study.mislabelled import write_mislabelled
from labelweave.study.study import Study
from labelweave.study.study_file import parse_study, read_study_file
from labelweave.study.writing import write_results

__all__ = [
    "ARMS",
    "BASELINE",
    "Arm",
    "Study",
    "StudyConfig",
    "StudyData",
    "parse_study",
    "read_study_file",
    "run_ablation",
    "write_mislabelled",
    "write_results",
]

"""Studies: methods x seeds on the same data, compared in pairs."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.experiments._ablation import run_ablation
    from labelweave.experiments._config import StudyConfig, parse_study, read_study_file
    from labelweave.experiments._dask import DaskCluster
    from labelweave.experiments._engines import Engine, LocalProcesses
    from labelweave.experiments._inspecting import Inspection
    from labelweave.experiments._study import Study
    from labelweave.experiments._tuning import tune, write_tuning
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_ablation": ["run_ablation"],
            "_config": ["StudyConfig", "parse_study", "read_study_file"],
            "_dask": ["DaskCluster"],
            "_engines": ["Engine", "LocalProcesses"],
            "_inspecting": ["Inspection"],
            "_study": ["Study"],
            "_tuning": ["tune", "write_tuning"],
        },
    )

__all__ = [
    "DaskCluster",
    "Engine",
    "Inspection",
    "LocalProcesses",
    "Study",
    "StudyConfig",
    "parse_study",
    "read_study_file",
    "run_ablation",
    "tune",
    "write_tuning",
]

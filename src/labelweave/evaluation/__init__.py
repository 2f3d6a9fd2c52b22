"""Evaluation: metrics that know missing labels, thresholds, and paired comparison."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.evaluation._calibration import (
        Reliability,
        best_temperature,
        best_thresholds,
        reliability,
    )
    from labelweave.evaluation._comparison import (
        Difference,
        Estimate,
        TestResult,
        Verdict,
        cohens_h,
        compare,
        holm,
        summarise,
        verdict,
    )
    from labelweave.evaluation._metrics import evaluate, main_metric, metric_names
    from labelweave.evaluation._recommendation import recommend
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "_calibration": ["Reliability", "best_temperature", "best_thresholds", "reliability"],
            "_comparison": [
                "Difference",
                "Estimate",
                "TestResult",
                "Verdict",
                "cohens_h",
                "compare",
                "holm",
                "summarise",
                "verdict",
            ],
            "_metrics": ["evaluate", "main_metric", "metric_names"],
            "_recommendation": ["recommend"],
        },
    )

__all__ = [
    "Difference",
    "Estimate",
    "Reliability",
    "TestResult",
    "Verdict",
    "best_temperature",
    "best_thresholds",
    "cohens_h",
    "compare",
    "evaluate",
    "holm",
    "main_metric",
    "metric_names",
    "recommend",
    "reliability",
    "summarise",
    "verdict",
]

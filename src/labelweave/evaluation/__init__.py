"""Evaluation: metrics that know missing labels, thresholds, and paired comparison."""

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

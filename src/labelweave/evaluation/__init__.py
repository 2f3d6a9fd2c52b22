"""Evaluation: metrics that know missing labels, thresholds, and paired comparison."""

from labelweave.evaluation._calibration import (
    Reliability,
    best_temperature,
    best_thresholds,
    confidences,
    reliability,
    scores_of,
)
from labelweave.evaluation._comparison import (
    Difference,
    Estimate,
    Replicates,
    TestResult,
    Verdict,
    cohens_h,
    compare,
    group_weights,
    holm,
    replicate_metrics,
    summarise,
    verdict,
)
from labelweave.evaluation._metrics import HIGHER_IS_BETTER, evaluate, main_metric, metric_names
from labelweave.evaluation._recommendation import best_coupled_method, joining, recommended_method

__all__ = [
    "HIGHER_IS_BETTER",
    "Difference",
    "Estimate",
    "Reliability",
    "Replicates",
    "TestResult",
    "Verdict",
    "best_coupled_method",
    "best_temperature",
    "best_thresholds",
    "cohens_h",
    "compare",
    "confidences",
    "evaluate",
    "group_weights",
    "holm",
    "joining",
    "main_metric",
    "metric_names",
    "recommended_method",
    "reliability",
    "replicate_metrics",
    "scores_of",
    "summarise",
    "verdict",
]

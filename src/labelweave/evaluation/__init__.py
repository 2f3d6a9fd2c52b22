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
from labelweave.evaluation._recommendation import FEW_SEEDS, joining, recommend

__all__ = [
    "FEW_SEEDS",
    "HIGHER_IS_BETTER",
    "Difference",
    "Estimate",
    "Reliability",
    "Replicates",
    "TestResult",
    "Verdict",
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
    "recommend",
    "reliability",
    "replicate_metrics",
    "scores_of",
    "summarise",
    "verdict",
]

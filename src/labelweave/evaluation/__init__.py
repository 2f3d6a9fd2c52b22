"""Evaluation: metrics that know missing labels, thresholds, and paired comparison."""

from labelweave.evaluation.bootstrap import replicate_metrics, row_weights
from labelweave.evaluation.comparison import (
    Difference,
    Estimate,
    Replicates,
    TestResult,
    compare,
    summarise,
)
from labelweave.evaluation.metrics import HIGHER_IS_BETTER, evaluate, main_metric, metric_names
from labelweave.evaluation.thresholds import best_thresholds
from labelweave.evaluation.verdicts import Verdict, holm, verdict

__all__ = [
    "HIGHER_IS_BETTER",
    "Difference",
    "Estimate",
    "Replicates",
    "TestResult",
    "Verdict",
    "best_thresholds",
    "compare",
    "evaluate",
    "holm",
    "main_metric",
    "metric_names",
    "replicate_metrics",
    "row_weights",
    "summarise",
    "verdict",
]

"""Evaluation: metrics that know missing labels, thresholds, and paired comparison."""

from labelweave.evaluation.bootstrap import group_weights, replicate_metrics
from labelweave.evaluation.calibration import Reliability, confidences, reliability
from labelweave.evaluation.comparison import (
    Difference,
    Estimate,
    Replicates,
    compare,
    summarise,
)
from labelweave.evaluation.effects import cohens_h
from labelweave.evaluation.metrics import HIGHER_IS_BETTER, evaluate, main_metric, metric_names
from labelweave.evaluation.runs import TestResult
from labelweave.evaluation.temperature import best_temperature, scores_of
from labelweave.evaluation.thresholds import best_thresholds
from labelweave.evaluation.verdicts import Verdict, holm, verdict

__all__ = [
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
    "main_metric",
    "metric_names",
    "reliability",
    "replicate_metrics",
    "scores_of",
    "summarise",
    "verdict",
]

"""Tuning: a study's settings searched on its validation rows."""

from labelweave.tuning.front import dominates, pareto_front
from labelweave.tuning.search import searched, with_settings
from labelweave.tuning.target import gains, objective
from labelweave.tuning.tune import tune
from labelweave.tuning.writing import write_tuning

__all__ = [
    "dominates",
    "gains",
    "objective",
    "pareto_front",
    "searched",
    "tune",
    "with_settings",
    "write_tuning",
]

"""From runs to results, where the runs of a method differ."""

import numpy as np
import pytest

from labelweave.evaluation import TestResult
from labelweave.evaluation._comparison import Replicates
from labelweave.experiments._results import _curve, against
from labelweave.results import LossTerms, decision_baseline
from labelweave.tasks import Multiclass


class Run:
    def __init__(self, curve):
        self.curve = curve

    def record(self):
        return {"curve": self.curve}


def test_loss_curves_are_means_over_the_seeds_that_have_the_term():
    """The relations that hold, and so the terms, may differ between the seeds."""
    first = {"step": [1, 2, 3], "terms": {"supervised/a": [1.0, 0.5, 0.2]}}
    second = {
        "step": [1, 2],
        "terms": {"supervised/a": [3.0, 1.5], "matching/a->b": [0.3, 0.1]},
    }
    for runs in ([first, second, None], [second, first, None]):
        found = _curve([Run(curve) for curve in runs])
        assert found == LossTerms((1, 2), {"supervised/a": (2.0, 1.0), "matching/a->b": (0.3, 0.1)})
    assert _curve([Run(None)]) is None


@pytest.mark.parametrize(
    ("methods", "baseline"),
    [
        (["single_task", "best_single_task", "full"], "best_single_task"),
        (["best_single_task", "full"], "best_single_task"),
        (["single_task", "full"], "single_task"),
        (["full"], "single_task"),
    ],
)
def test_the_decision_compares_with_the_best_learners_alone_where_they_were_trained(
    methods, baseline
):
    assert decision_baseline(methods) == baseline


def test_differences_and_verdicts_are_those_against_the_baseline():
    task = Multiclass("t", ("no", "yes"))
    labels = np.arange(400) % 2
    share = {"single_task": 0.5, "best_single_task": 0.9, "full": 0.7}
    found = {}
    for method, right in share.items():
        on = np.where(np.arange(400) < 400 * right, labels, 1 - labels)
        p = np.where(on == 1, 0.8, 0.2)
        results = [TestResult(np.stack([1 - p, p], axis=1), labels)]
        found[method] = {"t": Replicates(task, results, 200)}
    differences, verdicts = against("best_single_task", [task], found, 0.95)
    assert set(differences) == set(verdicts) == {"single_task", "full"}
    assert differences["full"]["t"]["accuracy"].mean == pytest.approx(-0.2)
    assert verdicts["full"] == {"t": "negative transfer"}
    assert against("single_task", [task], found, 0.95)[1]["full"] == {"t": "gain"}
    assert against("absent", [task], found, 0.95) == ({}, {})

"""From runs to results, where the runs of a method differ."""

from labelweave.experiments._results import _curve
from labelweave.results import LossTerms


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

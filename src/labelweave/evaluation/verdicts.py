"""From differences to words: correction for the number of tasks, and the verdict on each."""

from collections.abc import Mapping
from typing import Literal

from labelweave.errors import LabelweaveError
from labelweave.evaluation.comparison import Difference

Verdict = Literal["gain", "no difference", "negative transfer", "not enough data"]

MIN_ELEMENTS = 20
# a study that would miss a change of ten points has not shown that there is none
MAX_DETECTABLE = 0.1


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the p-values adjusted for their number by Holm's step-down method, at most 1.

    The i-th smallest of m p-values becomes the largest of (m - j + 1) p_(j) over j <= i (Holm, "A
    simple sequentially rejective multiple test procedure", 1979). A p-value of None is no test: it
    does not count and is left out of the result.

    Raises:
        LabelweaveError: a p-value outside [0, 1].
    """
    tests = {name: p for name, p in p_values.items() if p is not None}
    for name, p in tests.items():
        if not 0 <= p <= 1:
            raise LabelweaveError(
                f"'{name}': found a p-value of {p}, expected a number from 0 to 1"
            )
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(tests, key=lambda name: tests[name])):
        largest = max(largest, min(1.0, (len(tests) - rank) * tests[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in tests}


def verdict(
    difference: Difference,
    adjusted_p: float | None,
    lower_is_better: bool = False,
    level: float = 0.95,
) -> Verdict:
    """Return in words what a difference to the baseline shows.

    In this order: "not enough data" when there is no p-value or all runs together have fewer than
    20 labelled test elements; "gain" or "negative transfer" when the adjusted p-value is below 1 -
    level and the interval lies wholly on that side of 0; "not enough data" when only a change over
    0.1 (ten points) could have been seen; else "no difference" (none was shown).

    Args:
        difference: arm minus baseline.
        adjusted_p: its p-value after `holm`, None where there was no test.
        lower_is_better: whether a fall of the metric is the gain (log loss, ECE).
        level: that of the interval.
    """
    low, high = difference.low, difference.high
    if low is None or high is None or adjusted_p is None or sum(difference.counts) < MIN_ELEMENTS:
        return "not enough data"
    if adjusted_p >= 1 - level or low <= 0 <= high:
        blind = difference.detectable is None or difference.detectable > MAX_DETECTABLE
        return "not enough data" if blind else "no difference"
    return "gain" if (high < 0) == lower_is_better else "negative transfer"

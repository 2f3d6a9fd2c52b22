"""The size of a difference between two shares, apart from how surely it was measured."""

from math import asin, sqrt


def cohens_h(share: float, baseline: float) -> float:
    """Return Cohen's h = 2 asin(sqrt(share)) - 2 asin(sqrt(baseline)), from -pi to pi.

    A point near 0 or 1 counts for more than one in the middle: .98 -> .99 removes half of the
    errors, .50 -> .51 hardly any, and h is .08 against .02. Cohen ("Statistical Power Analysis for
    the Behavioral Sciences", 1988, chapter 6) calls .2 small, .5 medium and .8 large.

    Args:
        share: from 0 to 1.
        baseline: from 0 to 1.
    """
    # a mean of shares can round to just above 1
    return 2 * asin(sqrt(min(1.0, share))) - 2 * asin(sqrt(min(1.0, baseline)))

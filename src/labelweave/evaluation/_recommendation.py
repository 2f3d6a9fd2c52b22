"""Which method to use, and whether to join: decided once, from a study's results."""

from collections.abc import Mapping
from typing import Any

from labelweave.results import checked, coupled_methods, mean_scores, tasks_with, verdict

FEW_SEEDS = 5  # below this an interval knows little of how training varies


def best_coupled_method(results: Mapping[str, Any]) -> str | None:
    """Return the coupled method with the highest mean main metric, None if none has data."""
    results = checked(results)
    means = mean_scores(results, coupled_methods(results))
    return max(means, key=means.__getitem__, default=None)


def recommended_method(results: Mapping[str, Any]) -> str:
    """Return the method to use: no negative transfer on any task and the highest mean main metric.

    Only the baseline and the coupled methods are candidates, never a control. The baseline is the
    answer where every coupled method harms some task, or none has a higher mean.

    Args:
        results: the content of a study's results.json.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results = checked(results)
    coupled = coupled_methods(results)
    safe = [method for method in coupled if not tasks_with(results, method, "negative transfer")]
    # the baseline comes first, so a tie goes to it
    means = mean_scores(results, [results["baseline"], *safe])
    return max(means, key=means.__getitem__, default=str(results["baseline"]))


def shown_method(results: Mapping[str, Any]) -> str:
    """Return the method to report: the recommended one, or the best beside a baseline."""
    given = results["decision"].get("method")
    if given in results["methods"]:
        return str(given)
    method = recommended_method(results)
    return (best_coupled_method(results) or method) if method == results["baseline"] else method


def joining(results: Mapping[str, Any], method: str) -> str:
    """Return whether to join: "join", "join some", "do not join" or "cannot tell".

    By the verdicts on a joint method. join: a gain on some task and negative transfer on none; join
    some: both; cannot tell: no change is shown, and on some task there is not enough data, or no
    comparison at all; do not join: all else.

    Args:
        results: the content of a study's results.json.
        method: the joint method.
    """
    words = [verdict(results, method, task) for task in results["tasks"]]
    if "gain" in words:
        return "join some" if "negative transfer" in words else "join"
    unclear = {None, "not enough data"} & {*words}
    return "cannot tell" if unclear and "negative transfer" not in words else "do not join"

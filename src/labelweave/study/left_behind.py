"""Is a task left behind? What the runs of an arm tell of each task, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labelweave.study.runs import Run

STARVED = 0.2  # of an even share of the gradient
SLOW = 1.3  # times the mean inverse training rate
LEARNT = 0.9  # share of a constant predictor's loss that is gone: nothing is left to be learnt
UNDERFIT = 0.1  # share that is gone at the end, or less
OVERFIT = 0.1  # of score, lost from training to validation rows
LATE = 0.6  # share of the training before half of the way is done
CONFLICT = -0.2  # mean cosine of two tasks' gradients


def left_behind(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Return what the runs of every joint arm tell of its tasks, means over the seeds.

    Args:
        runs: per arm its finished runs.

    Returns:
        Per arm ``tasks``: task name to ``labels``, ``rarest``, ``rarest_labels``, ``share`` (of the
        gradient), ``rate`` and ``half`` (`labelweave.training.speeds`), ``train`` and
        ``validation`` (share of a constant predictor's loss that is gone), ``train_score`` and
        ``validation_score``, ``state``, and of a conflict ``other`` and ``cosine``; and
        ``cosine``, rows of mean cosines in the order of the tasks. None where nothing was measured.
    """
    found = {}
    for arm, of_arm in runs.items():
        records = [run.record().get("diagnostics") for run in of_arm]
        # runs of an earlier version hold none
        known = [record for record in records if record]
        if known:
            found[arm] = _summary(known)
    return found


def _summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = list(records[0]["fits"])
    cosine = _mean([(record["gradients"] or {}).get("cosine") for record in records])
    tasks = {name: _task(name, records) for name in names}
    for i, facts in enumerate(tasks.values()):
        others = [] if cosine is None else [(c, j) for j, c in enumerate(cosine[i]) if j != i]
        worst = min(((c, j) for c, j in others if c is not None), default=None)
        facts["state"] = state(facts, len(names), None if worst is None else worst[0])
        if worst is not None and facts["state"] == "conflict":
            facts["cosine"], facts["other"] = worst[0], names[worst[1]]
    return {"tasks": tasks, "cosine": cosine}


def _task(name: str, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fits = [record["fits"][name] for record in records]
    speeds = [record["speeds"].get(name) or {} for record in records]
    shares = [((record["gradients"] or {}).get("share") or {}).get(name) for record in records]
    rarest = min(fits, key=lambda fit: fit["rarest_labels"])
    facts = {
        "labels": round(float(np.mean([fit["labels"] for fit in fits]))),
        "rarest": rarest["rarest"],
        "rarest_labels": rarest["rarest_labels"],
        "share": _mean(shares),
        "rate": _mean([speed.get("rate") for speed in speeds]),
        "half": _mean([speed.get("half") for speed in speeds]),
    }
    for side in ("train", "validation"):
        facts[side] = _mean([_gone(fit[side]) for fit in fits])
        facts[f"{side}_score"] = _mean([(fit[side] or {}).get("score") for fit in fits])
    return facts


def state(facts: Mapping[str, Any], tasks: int, cosine: float | None = None) -> str:
    """Return what is wrong with how a task was learnt, in one word; the first that fits.

    - ``overfit``: validation rows score .1 below training rows, or are told worse than by the
      constant predictor.
    - ``starved``: less than a fifth of an even share of the gradient, though not all is learnt.
    - ``underfit``: at the end less than a tenth of a constant predictor's loss is gone.
    - ``slow``: half of the way is done only after .6 of the training, or the loss falls 1.3 times
      less than the mean, though not all is learnt.
    - ``conflict``: its gradient points away from another task's, though not all is learnt.
    - ``fine``: none of these.

    Args:
        facts: of the task, see `left_behind`.
        tasks: number of tasks.
        cosine: the smallest cosine with another task.
    """
    train, validation = facts["train"], facts["validation"]
    scores = facts["train_score"], facts["validation_score"]
    unlearnt = train is not None and train < LEARNT
    if validation is not None and validation < 0 < (train or 0):
        return "overfit"
    if None not in scores and scores[0] - scores[1] > OVERFIT:
        return "overfit"
    if unlearnt and facts["share"] is not None and facts["share"] < STARVED / tasks:
        return "starved"
    if train is not None and train < UNDERFIT:
        return "underfit"
    late = facts["half"] is not None and facts["half"] > LATE
    if unlearnt and (late or (facts["rate"] is not None and facts["rate"] > SLOW)):
        return "slow"
    if unlearnt and cosine is not None and cosine < CONFLICT:
        return "conflict"
    return "fine"


def _gone(side: Mapping[str, float] | None) -> float | None:
    """Return the share of a constant predictor's loss that is gone; below 0 = worse than that."""
    if side is None or side["constant"] <= 0:
        return None
    return 1 - side["loss"] / side["constant"]


def _mean(values: Sequence[Any]) -> Any:
    """Return the mean of those that are there, entry by entry; None where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if isinstance(known[0], list):
        return [_mean(entries) for entries in zip(*known, strict=True)]
    return float(np.mean(known))

"""Membership inference: how well a model's outputs reveal whether a row trained it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from labelweave.errors import LabelweaveError, listing
from labelweave.evaluation._questions import Floats
from labelweave.tasks import Multiclass
from labelweave.trust._importance import REPLICATES, row_scores
from labelweave.trust._predictions import Predictions
from labelweave.trust._resampling import Resampling, ends

LEAST = 10  # labelled rows on either side
COLUMNS = ("task", "part", "advantage", "low", "high", "auc", "members", "others")


@dataclass(frozen=True, eq=False)
class _Sides:
    """Losses and groups of the members (rows that trained the model), and of other rows."""

    members: Floats
    others: Floats
    member_groups: NDArray[np.int64]
    other_groups: NDArray[np.int64]


def membership_advantage(
    members: Predictions, others: Predictions, *, level: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Return how much better than chance an attacker guesses whether a row trained the model.

    The attack of Yeom, Giacomelli, Fredrikson and Jha ("Privacy risk in machine learning", CSF
    2018): a row counts as a member where its loss is at most the mean loss of the members. The
    advantage is the share of members found less the share of others taken for members: 0 = chance,
    1 = certain. Stronger attacks exist, so a small advantage proves nothing. Rows of classes with
    few labels are most at risk: a multiclass task has a line of its rarest class as well.

    Args:
        members: rows that the model was trained on, with their labels.
        others: rows of the same kind that it was not trained on.
        level: coverage of the bootstrap intervals, over groups of rows.
        seed: of the resamplings.

    Returns:
        Columns ``task``, ``part`` (``all``, or ``class=NAME``), ``advantage`` (None below 10
        labelled rows on either side), ``low``, ``high``, ``auc`` of the loss (.5 = chance), and the
        labelled rows ``members`` and ``others``.

    Raises:
        LabelweaveError: other tasks on one side than on the other.
    """
    if members.tasks != others.tasks:
        raise LabelweaveError(
            f"others: found the tasks {listing(t.name for t in others.tasks)}, expected those of "
            f"members: {listing(t.name for t in members.tasks)}"
        )
    inside, outside = row_scores(members), row_scores(others)
    lines: list[dict[str, object]] = []
    for task in members.tasks:
        (loss, _, seen), (other_loss, _, other_seen) = inside[task.name], outside[task.name]
        parts = [("all", seen, other_seen)]
        if isinstance(task, Multiclass) and seen.any():
            counts = members.annotations.counts(task.name)
            rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
            parts.append(
                (f"class={task.names[rarest]}", members.labels(task.name) == rarest,
                 others.labels(task.name) == rarest)
            )  # fmt: skip
        for part, mine, theirs in parts:
            sides = _Sides(
                loss[mine], other_loss[theirs], members.group_codes[mine],
                others.group_codes[theirs],
            )  # fmt: skip
            line = {"task": task.name, "part": part, "members": len(sides.members),
                    "others": len(sides.others)}  # fmt: skip
            few = min(len(sides.members), len(sides.others)) < LEAST
            lines.append(line if few else line | _attacked(sides, level, seed))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _attacked(sides: _Sides, level: float, seed: int) -> dict[str, object]:
    cut = sides.members.mean()
    found = [(losses <= cut).astype(np.float64) for losses in (sides.members, sides.others)]
    drawn = [
        Resampling(np.unique(groups, return_inverse=True)[1], REPLICATES, seed + i).means(
            hits, np.ones(len(hits))
        )
        for i, (hits, groups) in enumerate(
            zip(found, (sides.member_groups, sides.other_groups), strict=True)
        )
    ]
    low, high = ends(drawn[0] - drawn[1], level)
    truth = np.r_[np.ones(len(sides.members)), np.zeros(len(sides.others))]
    auc = roc_auc_score(truth, -np.r_[sides.members, sides.others])
    return {
        "advantage": float(found[0].mean() - found[1].mean()), "low": low,
        "high": high, "auc": float(auc),
    }  # fmt: skip

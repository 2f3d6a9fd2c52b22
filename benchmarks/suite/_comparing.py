"""What the results say: paired differences with a test, and the aims of the method, counted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from benchmarks.suite._running import Result
from benchmarks.suite._scoring import METRICS
from benchmarks.suite._sets import REPORT, SETS
from labelweave.evaluation import holm

CELL = ["set", "scattering", "task"]  # what a method is judged on: one task of one problem
SIGNIFICANT = 0.05
FEW = 5  # labels a class, at most, where an exact table has to pay
LEAVES = {1: 0.91, 2: 0.93, 5: 0.94}
AS_GOOD_AS_FULL = ("digits", "fashion")


def scores_table(results: Iterable[Result]) -> pd.DataFrame:
    """Return a row for every task of every result that has scores.

    Columns: set, kind, half, scattering, layout, rare, k, table, method, seed, task, is_rare,
    accuracy, balanced_accuracy, log_loss, ece.
    """
    rows = []
    for result in results:
        run, what = result.run, result.run.scattering
        for task, scores in result.scores.items():
            half = "report" if run.data_set in REPORT else "tune"
            head = {"set": run.data_set, "kind": SETS[run.data_set].kind, "half": half}
            plan: dict[str, object] = {
                "scattering": what.name,
                "layout": what.layout,
                "rare": what.rare,
            }
            plan |= {"k": what.k, "table": what.table, "method": run.method, "seed": run.seed}
            rows.append(head | plan | {"task": task, "is_rare": task == what.rare} | scores)
    return pd.DataFrame(rows)


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of every metric over seeds, a row for every cell and method."""
    keys = [name for name in scores if name not in (*METRICS, "seed")]
    grouped = scores.groupby(keys, sort=False)
    return grouped[list(METRICS)].mean().join(grouped.size().rename("seeds")).reset_index()


def differences(scores: pd.DataFrame, method: str, baseline: str) -> pd.DataFrame:
    """Return a method's accuracy minus a baseline's on every cell, paired by seed.

    Columns: those of the cell, ``difference``, ``seeds``, ``p`` (two-sided paired t-test over
    seeds) and ``holm`` (p adjusted over all cells). The seeds share test rows in part, so p is
    optimistic. With one seed there is no test; where all seeds differ by the same, p is 1 for a
    difference of 0 and 0 for any other.
    """
    head = [*CELL, "kind", "half", "layout", "k", "table", "is_rare"]
    sides = [
        scores[scores["method"] == name].set_index([*head, "seed"])["accuracy"]
        for name in (method, baseline)
    ]
    paired = (sides[0] - sides[1]).dropna()
    if paired.empty:
        return pd.DataFrame(columns=[*head, "difference", "seeds", "p", "holm"])
    grouped = paired.groupby(level=head, sort=False)
    found = pd.DataFrame(
        {"difference": grouped.mean(), "seeds": grouped.size(), "p": grouped.agg(_p_value)}
    ).reset_index()
    tests = {str(i): float(p) for i, p in found["p"].items() if not np.isnan(p)}
    adjusted = holm(tests)
    found["holm"] = [adjusted.get(str(i), float("nan")) for i in found.index]
    return found


def _p_value(values: pd.Series) -> float:
    if len(values) < 2:
        return float("nan")
    if np.ptp(values.to_numpy()) < 1e-12:
        return 1.0 if abs(values.iloc[0]) < 1e-12 else 0.0
    return float(ttest_1samp(values, 0.0).pvalue)


@dataclass(frozen=True)
class Aim:
    """What is aimed at, and what was found.

    Args:
        text: the aim in words.
        held: on how many cells (or figures) it holds.
        total: of how many; 0 = no data.
        value: the figure that the aim is about, such as a worst difference; None = no data.
        short: the cells that fall short, the worst first, in words.
    """

    text: str
    held: int
    total: int
    value: float | None
    short: tuple[str, ...] = field(default=())

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None = no data."""
        return None if self.total == 0 else self.held == self.total


def aims(
    scores: pd.DataFrame, candidate: str = "coupled", baseline: str = "best_single_task"
) -> list[Aim]:
    """Return the aims of the method with what the scores say about each.

    Accuracies are means over seeds. `candidate` and `baseline` may be any two methods; the network
    alone (``single_task``) is the second baseline.
    """
    alone = differences(scores, candidate, baseline)
    network = differences(scores, candidate, "single_task")
    mean = means(scores)
    found = [
        _at_least(f"{candidate} at least {baseline} - .01", alone, -0.01),
        _at_least(f"{candidate} at least single_task - .01", network, -0.01),
        _no_loss(f"no significant loss to {baseline} (Holm)", alone),
        _no_loss("no significant loss to single_task (Holm)", network),
        _at_least(
            f"unrelated tasks: {candidate} at least {baseline} - .005",
            alone[alone["kind"] == "unrelated"], -0.005,
        ),
        _exact_pays(alone, network, candidate),
        *_absolute(mean, candidate),
        _mean_gain(
            f"exact tables, rare task: {candidate} above post_hoc in the mean",
            differences(scores, candidate, "post_hoc"),
            lambda rows: rows[_useful(rows) & (rows["table"] == "exact") & rows["is_rare"]],
        ),
        _mean_gain(
            f"estimated tables: {candidate} above {baseline} in the mean", alone,
            lambda rows: rows[_useful(rows) & (rows["table"] == "none")],
        ),
        _at_least(
            f"estimated tables: {candidate} at least {baseline} - .01",
            alone[alone["table"] == "none"], -0.01,
        ),
        *_student(scores, candidate),
        _wrong_expert(mean, candidate),
        _lower("ece", mean, candidate, baseline, strict=False),
        _lower("log_loss", mean, candidate, baseline, strict=True),
    ]  # fmt: skip
    # with the network as the baseline both say the same
    return list({aim.text: aim for aim in found}.values())


def _useful(rows: pd.DataFrame) -> pd.Series:
    return rows["kind"] != "unrelated"


def _place(row: pd.Series) -> str:
    return f"{row['set']}, {row['scattering']}, {row['task']}"


def _at_least(text: str, rows: pd.DataFrame, least: float) -> Aim:
    values = rows["difference"].astype(float)
    short = rows[values < least].sort_values("difference")
    return Aim(
        text, len(rows) - len(short), len(rows),
        float(values.min()) if len(rows) else None,
        tuple(f"{_place(row)}: {row['difference']:+.3f}" for _, row in short.iterrows()),
    )  # fmt: skip


def _no_loss(text: str, rows: pd.DataFrame) -> Aim:
    tested = rows[rows["holm"].notna()]
    lost = tested[(tested["holm"] < SIGNIFICANT) & (tested["difference"] < 0)]
    return Aim(
        text, len(tested) - len(lost), len(tested),
        float(tested["difference"].min()) if len(tested) else None,
        tuple(f"{_place(row)}: {row['difference']:+.3f}" for _, row in lost.iterrows()),
    )  # fmt: skip


def _exact_pays(alone: pd.DataFrame, network: pd.DataFrame, candidate: str) -> Aim:
    both = alone.merge(network[[*CELL, "difference"]], on=CELL, suffixes=("", "_network"))
    chosen = both[_useful(both) & (both["table"] == "exact") & both["is_rare"] & (both["k"] <= FEW)]
    gains = chosen[["difference", "difference_network"]].astype(float).min(axis=1)
    middle = float(gains.median()) if len(gains) else None
    ordered = chosen.assign(gain=gains).sort_values("gain")
    low = ordered[ordered["gain"] <= 0.05]
    return Aim(
        f"exact table, at most {FEW} labels a class, rare task: {candidate} above both baselines "
        "by .05 in the median",
        int(middle is not None and middle > 0.05), int(middle is not None), middle,
        tuple(f"{_place(row)}: {row['gain']:+.3f}" for _, row in low.iterrows()),
    )  # fmt: skip


def _absolute(mean: pd.DataFrame, candidate: str) -> list[Aim]:
    """Compare with the figures that leaves must reach, and with `full` on the image sets."""
    rows = mean[mean["is_rare"] & (mean["table"] == "exact")]
    own = rows[rows["method"] == candidate]
    reached, short = [], []
    for _, row in own[(own["set"] == "leaves") & own["k"].isin(list(LEAVES))].iterrows():
        least = LEAVES[int(row["k"])]
        reached.append(float(row["accuracy"]) - least)
        if row["accuracy"] < least:
            short.append(f"{_place(row)}: {row['accuracy']:.3f}, aim {least}")
    leaves = Aim(
        f"leaves: {candidate} at least .91, .93, .94 for 1, 2, 5 labels",
        sum(gap >= 0 for gap in reached), len(reached), min(reached, default=None), tuple(short),
    )  # fmt: skip
    other = rows[rows["method"] == "full"][[*CELL, "accuracy"]]
    both = own[own["set"].isin(AS_GOOD_AS_FULL)].merge(other, on=CELL, suffixes=("", "_full"))
    both = both.assign(difference=both["accuracy"] - both["accuracy_full"])
    if candidate == "full":
        return [leaves]
    return [leaves, _at_least(f"digits and Fashion-MNIST: {candidate} at least full", both, 0.0)]


def _mean_gain(
    text: str, rows: pd.DataFrame, choose: Callable[[pd.DataFrame], pd.DataFrame]
) -> Aim:
    chosen = choose(rows)
    if chosen.empty:
        return Aim(text, 0, 0, None)
    value = float(chosen["difference"].mean())
    return Aim(text, int(value > 0), 1, value)


def _student(scores: pd.DataFrame, candidate: str) -> list[Aim]:
    if candidate == "student":
        return []
    rows = differences(scores, "student", candidate)
    value = float(rows["difference"].mean()) if len(rows) else None
    near = int(value is not None and value >= -0.01)
    return [
        Aim(f"student within .01 of {candidate} in the mean", near, int(len(rows) > 0), value),
        _at_least(f"student at least {candidate} - .03", rows, -0.03),
    ]


def _wrong_expert(mean: pd.DataFrame, candidate: str) -> Aim:
    own = mean[mean["method"] == candidate]
    none = own[own["table"] == "none"][["set", "layout", "task", "accuracy"]]
    wrong = own[own["table"].str.startswith("wrong")]
    both = wrong.merge(none, on=["set", "layout", "task"], suffixes=("", "_none"))
    both = both.assign(difference=both["accuracy"] - both["accuracy_none"])
    return _at_least(f"wrong experts: {candidate} within .01 of no expert", both, -0.01)


def _lower(metric: str, mean: pd.DataFrame, candidate: str, baseline: str, *, strict: bool) -> Aim:
    sides = [mean[mean["method"] == name].set_index(CELL)[metric] for name in (candidate, baseline)]
    gaps = (sides[0] - sides[1]).dropna()
    text = f"{metric} of {candidate} {'below' if strict else 'at most'} {baseline}'s in the mean"
    if gaps.empty:
        return Aim(text, 0, 0, None)
    value = float(gaps.mean())
    return Aim(text, int(value < 0 or (not strict and value <= 0)), 1, value)


def methods_in(scores: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the methods that have scores, in the order given."""
    present = set(scores["method"])
    return [name for name in order if name in present]

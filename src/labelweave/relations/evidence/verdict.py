"""From the figures of the evidence to a verdict, and to words about every label."""

from dataclasses import dataclass

import numpy as np

from labelweave.relations.evidence.elements import Elements, Floats, Mask
from labelweave.relations.evidence.evidence import EvidenceVerdict, Interval, LabelEvidence
from labelweave.remarks import Remark

MIN_ELEMENTS = 20
MIN_SIDE = 10  # a label that is on, or off, less often says too little about itself
MIN_GROUPS = 5  # one for every fold of the recalibration
NEWS = 0.02  # share of the loss of the own predictions that a relation must save to be worth it
CONTRADICTION = 0.2  # share of the estimated table's lift that a given one may lose


@dataclass(frozen=True)
class Figures:
    """What was measured about a relation; see `Evidence` for the meaning.

    Args:
        least: what the interval of the lift must lie above.
    """

    count: int
    benchmark: str
    lift: Interval
    least: float
    p_value: float
    p_value_classes: float | None
    estimated_lift: Interval | None
    against_estimated: Interval | None
    raw_against_estimated: Interval | None


def too_little(elements: Elements) -> str:
    """Return why there is not enough data to judge a relation, or an empty string."""
    groups = len(np.unique(elements.groups))
    if elements.count < MIN_ELEMENTS or groups < MIN_GROUPS:
        return Remark(
            "remark.few_elements", elements=elements.count, groups=groups,
            least=MIN_ELEMENTS, least_groups=MIN_GROUPS,
        )  # fmt: skip
    varied = (elements.values.max(axis=0) == 1) & (elements.values < elements.seen).any(axis=0)
    return "" if varied.any() else Remark("remark.labels_alike")


def judged(figures: Figures, alpha: float) -> tuple[EvidenceVerdict, str]:
    """Return the verdict and its reason; a test fails when its p-value reaches `alpha`."""
    over = "base" if figures.benchmark == "base rate" else "own"
    lift = Remark(f"remark.lift_{over}", lift=figures.lift.remark(), labels=figures.count)
    given, best = figures.against_estimated, figures.estimated_lift
    p, classes = figures.p_value, figures.p_value_classes
    if given is not None and best is not None and _contradicted(figures):
        told = {"best": best.remark(), "given": given.remark(), "lift": lift}
        return "contradicted by the data", Remark("remark.contradicted", **told)
    if figures.lift.low <= figures.least:
        return "not related", Remark("remark.not_above", lift=lift, least=figures.least)
    if p >= alpha:
        return "not related", Remark("remark.rows_exchanged", lift=lift, p=p)
    if classes is None:
        return "related", Remark("remark.holds", lift=lift, p=p)
    if classes >= alpha:
        return "not related", Remark("remark.classes_exchanged", lift=lift, p=classes)
    return "related", Remark("remark.holds_by_class", lift=lift, p=p, classes=classes)


def _contradicted(figures: Figures) -> bool:
    """Return whether the given table clearly loses against the estimated one.

    After recalibration alone, an estimate that has learnt the source head's confusions could beat a
    true table; before it alone, a softer estimate could profit from over-confident predictions.
    """
    best, given = figures.estimated_lift, figures.against_estimated
    raw = figures.raw_against_estimated
    if best is None or given is None or raw is None:
        return False
    lost = given.high < 0 and -given.mean > CONTRADICTION * best.mean
    return best.low > 0 and lost and raw.high < 0


def judged_labels(
    elements: Elements, spoken: Mask, lifts: tuple[Floats, Floats, Floats] | None, related: bool
) -> tuple[LabelEvidence, ...]:
    """Return the evidence of every column that the relation speaks about.

    A label is kept when the relation is and the label's own interval lies above 0. One with fewer
    than 20 labelled elements, or 10 on or off, cannot be judged and follows the relation.

    Args:
        elements: the labels.
        spoken: (W,).
        lifts: mean, low and high, each (W,); None when nothing was measured.
        related: whether the relation as a whole is.
    """
    counts = elements.seen.sum(axis=0)
    on = elements.values.sum(axis=0)
    result = []
    for j in np.flatnonzero(spoken):
        n = int(counts[j])
        mean, low, high = (float(part[j]) for part in lifts) if lifts and n else (None, None, None)
        if not related:
            keep, reason = False, Remark("remark.label_left_out")
        elif elements.exclusive:
            keep, reason = True, Remark("remark.label_as_whole")
        elif n < MIN_ELEMENTS or min(on[j], n - on[j]) < MIN_SIDE:
            keep, reason = True, Remark("remark.label_few", labels=n, on=int(on[j]))
        elif low is not None and low > 0:
            keep, reason = True, Remark("remark.label_lift", lift=mean, labels=n)
        else:
            keep = False
            told = {"lift": mean, "low": low, "high": high}
            reason = Remark("remark.label_not_above", **told, labels=n)
        name = elements.target.names[j]
        result.append(LabelEvidence(name, mean, low, high, n, keep, reason))
    return tuple(result)

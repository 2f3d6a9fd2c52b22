"""New rows against those of the fit: inputs, predictions, contradictions; labels not needed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from labelweave._messages import Message
from labelweave.class_priors import estimate_prior
from labelweave.errors import LabelweaveError, printable
from labelweave.fitting._opening import read_inputs
from labelweave.results import Check, MeanInterval
from labelweave.serving._final import FinalModel, load
from labelweave.serving._reference import (
    OTHERS,
    InputReference,
    RelationReference,
    TaskReference,
    certainties,
    confidence_bins,
    predicted_codes,
    predicted_counts,
    read_reference,
)
from labelweave.tables import Table
from labelweave.tasks import Multiclass, Task, key
from labelweave.trust._coherence import contradiction_scores
from labelweave.trust._reading import column_texts, label_columns_in, labels_of

Kind = Literal["values", "missing", "labels", "confidence", "contradiction", "accuracy"]
LEAST: Mapping[Kind, float] = {  # a smaller change is no alarm, however many rows show it
    "values": 0.1, "missing": 0.02, "labels": 0.1, "confidence": 0.05, "contradiction": 0.02,
    "accuracy": 0.02,
}  # fmt: skip
EXPECTED = 0.5  # part of the least change of a mean that out-of-fold rows may have hidden
FALSE_ALARMS = 0.01  # batches of 100 without a change that raise an alarm
FEWEST = 20  # rows of a batch
NAMED = 5  # alarms in a study's report
MOST_WORDS = 5  # labels that are no class, named in a note each
TINY = 1e-4  # a share that PSI takes for 0


@dataclass(frozen=True)
class Signal:
    """One comparison of new rows with those of the fit.

    Attributes:
        kind: ``values`` or ``missing`` of an input, ``labels`` or ``confidence`` of a task,
            ``contradiction`` of a relation, or ``accuracy`` of a task whose labels the batch has.
        name: the input, task or relation.
        measure: what `change` is: ``KS``, ``PSI`` or ``difference``.
        change: the size of the change.
        before: the figure of the fit's rows; None = a whole distribution.
        now: that of the new rows.
        p: of no change, by itself; of confidence and contradictions, of none beyond what is
            expected between out-of-fold rows and new ones.
        p_adjusted: for all comparisons of the batch together (Bonferroni).
        alarm: `p_adjusted` is below the rate of false alarms and the change large enough.
        note: what is seen, in words; "" = nothing more.
    """

    kind: Kind
    name: str
    measure: str
    change: float
    before: float | None
    now: float | None
    p: float
    p_adjusted: float = 1.0
    alarm: bool = False
    note: str = ""

    def __str__(self) -> str:
        ends = "" if self.before is None else f", {self.before:.3f} -> {self.now:.3f}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.kind} of {self.name}: {self.measure} {self.change:.3f}{ends}{note}"


@dataclass(frozen=True)
class TaskOutlook:
    """What predictions without labels show of a task.

    Attributes:
        task: the task.
        accuracy: expected share of correct labels, from confidence as it was calibrated on
            out-of-fold labels; None = no labels there.
        accuracy_before: the same of the out-of-fold rows.
        shares: by class or label its estimated share in the new rows, corrected for the errors of
            confidence (EM).
        shares_before: the same of the fit's rows.
        measured: share of correct labels among those of the batch; None = it has none.
        labels: rows of the batch with a label.
    """

    task: str
    accuracy: float | None
    accuracy_before: float | None
    shares: Mapping[str, float]
    shares_before: Mapping[str, float]
    measured: float | None = None
    labels: int = 0


@dataclass(frozen=True)
class Monitoring:
    """What `monitor` found in a batch.

    Attributes:
        rows: of the batch.
        signals: all comparisons, the clearest first.
        tasks: expected accuracy and class shares.
        notes: new categories, values outside of the range seen, other units: a line each.
        false_alarms: the share of batches without a change that raise an alarm, at most.
    """

    rows: int
    signals: tuple[Signal, ...]
    tasks: tuple[TaskOutlook, ...]
    notes: tuple[str, ...]
    false_alarms: float

    @property
    def alarms(self) -> tuple[Signal, ...]:
        """The comparisons that raise an alarm."""
        return tuple(signal for signal in self.signals if signal.alarm)

    def checks(self) -> tuple[Check, ...]:
        """Return what a study's report shows of it: alarms, and the accuracy to expect."""
        names = ", ".join(f"{each.kind} of {each.name}" for each in self.alarms[:NAMED])
        found = [
            Check(Message("checks.alarms"), MeanInterval(len(self.alarms)), self.rows, names),
            *(
                Check(
                    Message("checks.expected_accuracy", {"task": each.task}),
                    MeanInterval(each.accuracy), self.rows,
                    Message("checks.at_the_fit", {"value": f"{each.accuracy_before:.3f}"}),
                )
                for each in self.tasks
                if each.accuracy is not None and each.accuracy_before is not None
            ),
        ]  # fmt: skip
        return tuple(found)

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({"alarm": bool(self.alarms), **asdict(self)}, indent=1)


def monitor(
    model: str | Path | FinalModel,
    batch: str | Path | pd.DataFrame | Table,
    *,
    false_alarms: float = FALSE_ALARMS,
) -> Monitoring:
    """Compare a batch of new rows with those of the fit; no label is needed.

    Where the batch has labels, in columns that are named as tasks, the share of them that is
    predicted is compared as well, with that of the out-of-fold rows. A word that is no class of the
    model counts as a miss.

    Inputs are compared by the Kolmogorov-Smirnov test (numbers) or a chi-squared test with the
    population stability index (categories), and by their missing share; tasks by the counts of
    predicted labels and a fall of the mean confidence; relations by a rise of the mean
    contradiction. All p-values are
    corrected together, so that a batch without a change raises an alarm in `false_alarms` of all
    batches at most, as far as rows are independent. Very small changes raise none.

    Args:
        model: the final model, or its folder.
        batch: rows, or their table.
        false_alarms: above 0, below 1.

    Raises:
        LabelweaveError: no final model or reference, fewer than 20 rows, or rows that do not fit.
    """
    final = model if isinstance(model, FinalModel) else load(model)
    if not 0 < false_alarms < 1:
        raise LabelweaveError(f"false_alarms: found {false_alarms}, expected above 0 and below 1")
    reference = read_reference(final.folder)
    given = read_inputs(Path(batch), final.model) if isinstance(batch, str | Path) else batch
    typed = final.model.typed(given)
    if len(typed) < FEWEST:
        raise LabelweaveError(f"batch: found {len(typed)} rows, expected {FEWEST} or more")
    p = final.model.typed_proba(typed)
    found: list[Signal] = []
    for column in reference.inputs:
        found += _input_signals(column, typed[column.name])
    tasks = {task.name: task for task in final.tasks}
    outlooks, notes = [], final.check(given)
    for each in reference.tasks:
        task, thresholds = tasks[each.task], final.model.thresholds.get(each.task)
        found += _task_signals(task, each, p[each.task], thresholds)
        hits, unknown = _hits(task, predicted_codes(task, p[each.task], thresholds), given)
        found += _accuracy_signals(task, each, hits)
        notes += unknown
        outlooks.append(_outlook(task, each, p[each.task], thresholds, hits))
    by_name = {each.relation: each for each in reference.relations}
    for name, values in contradiction_scores(p, final.relations).items():
        if name in by_name:
            found += _relation_signals(by_name[name], values)
    judged = [_judged(signal, len(found), false_alarms) for signal in found]
    judged.sort(key=lambda signal: (not signal.alarm, signal.p))
    return Monitoring(len(typed), tuple(judged), tuple(outlooks), tuple(notes), false_alarms)


def _judged(signal: Signal, tests: int, false_alarms: float) -> Signal:
    adjusted = min(1.0, signal.p * tests)
    alarm = adjusted < false_alarms and abs(signal.change) >= LEAST[signal.kind]
    return replace(signal, p_adjusted=adjusted, alarm=alarm)


def _input_signals(reference: InputReference, values: "pd.Series[Any]") -> Iterator[Signal]:
    filled = values[values.notna() & (values != "")]
    missing = 1 - len(filled) / len(values)
    counts = [
        [
            round(reference.missing * reference.n),
            reference.n - round(reference.missing * reference.n),
        ],
        [len(values) - len(filled), len(filled)],
    ]
    yield Signal(
        "missing", reference.name, "difference", missing - reference.missing,
        reference.missing, missing, _independence(np.array(counts)),
    )  # fmt: skip
    known = reference.n - round(reference.missing * reference.n)
    if not len(filled) or not known:
        return
    if reference.points:
        change, p = _ks(np.array(reference.points), known, filled.to_numpy(np.float64))
        middle = reference.points[len(reference.points) // 2]
        now = float(np.median(filled.to_numpy(np.float64)))
        yield Signal("values", reference.name, "KS", change, middle, now, p, note="medians")
        return
    numbers = pd.api.types.is_numeric_dtype(filled)
    texts = filled.map("{:g}".format) if numbers else filled.astype(str)
    shares, p, psi, worst = _shares(reference.shares, known, texts)
    note = f"'{worst}' {100 * reference.shares.get(worst, 0):.1f}% -> {100 * shares[worst]:.1f}%"
    yield Signal("values", reference.name, "PSI", psi, None, None, p, note=note)


def _ks(points: NDArray[np.float64], n: int, values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the greatest distance of two distribution functions and its p-value.

    The first is known by its quantiles, so between two of them it is taken as linear; where several
    are equal it jumps, as values that many rows share make it.
    """
    at, first = np.unique(points, return_index=True)
    last = np.append(first[1:], len(points)) - 1
    level = np.linspace(0, 1, len(points))
    seen, counts = np.unique(values, return_counts=True)
    # both functions at every value and just before it
    ends = np.column_stack([level[first], level[last]]).ravel()
    between = np.interp(seen, np.repeat(at, 2), ends, left=0, right=1)
    place = np.minimum(np.searchsorted(at, seen), len(at) - 1)
    jumps = at[place] == seen
    before = np.where(jumps, level[first[place]], between)
    to = np.where(jumps, level[last[place]], between)
    m = len(values)
    new = np.cumsum(counts) / m
    distance = float(np.abs([new - to, new - counts / m - before]).max())
    effective = n * m / (n + m)
    return distance, float(stats.kstwobign.sf(distance * np.sqrt(effective)))


def _shares(
    before: Mapping[str, float], n: int, texts: "pd.Series[Any]"
) -> tuple[dict[str, float], float, float, str]:
    """Return shares by value, p-value, PSI, and the value whose share changed most."""
    known = list(before)
    named = texts.where(texts.isin(known), OTHERS)
    counts = named.value_counts()
    values = known if OTHERS in before or OTHERS not in counts else [*known, OTHERS]
    now = np.array([counts.get(value, 0) for value in values], np.float64)
    then = np.array([before.get(value, 0.0) * n for value in values])
    p = _independence(np.stack([then, now]))
    a, b = (np.maximum(each / each.sum(), TINY) for each in (then, now))
    psi = float(((b - a) * np.log(b / a)).sum())
    shares = dict(zip(values, now / now.sum(), strict=True))
    worst = max(values, key=lambda value: abs(shares[value] - before.get(value, 0)))
    return shares, p, psi, worst


def _independence(counts: NDArray[Any]) -> float:
    """Return the p-value of equal shares in two rows of counts; rare columns are joined."""
    counts = np.asarray(counts, np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    rare = expected.min(axis=0) < 5
    if rare.sum() > 1 and counts.shape[1] > 2:
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    if counts.shape[1] < 2:
        return 1.0
    if counts.shape[1] == 2 and counts.min() < 50:
        return float(stats.fisher_exact(np.round(counts).astype(np.int64)).pvalue)
    return float(stats.chi2_contingency(counts, correction=False).pvalue)


def _task_signals(
    task: Task,
    reference: TaskReference,
    p: NDArray[Any],
    thresholds: NDArray[np.float64] | None,
) -> Iterator[Signal]:
    predicted = predicted_codes(task, p, thresholds)
    counts, rows = predicted_counts(task, predicted), len(p)
    if isinstance(task, Multiclass):
        yield _count_signal(task.name, reference.counts, reference.n, counts, rows)
    else:
        for label, count in counts.items():
            before = reference.counts.get(label, 0)
            name = task.name if task.width == 1 else f"{task.name}={label}"
            sides = ({"on": b, "off": n - b} for b, n in ((before, reference.n), (count, rows)))
            yield _count_signal(name, next(sides), reference.n, next(sides), rows)
    certain = certainties(task, p, predicted)
    row = certain if certain.ndim == 1 else certain.mean(axis=1)
    now, spread = float(row.mean()), float(row.std())
    fall, p_value = _rise(
        "confidence", -reference.confidence, reference.spread, reference.n, -now, spread, rows,
        reference.between,
    )  # fmt: skip
    yield Signal("confidence", task.name, "difference", -fall, reference.confidence, now, p_value)


def _count_signal(
    name: str, before: Mapping[str, int], n: int, now: Mapping[str, int], rows: int
) -> Signal:
    names = list(now)
    counts = np.array([[side.get(each, 0) for each in names] for side in (before, now)])
    a, b = (np.maximum(counts[i] / max(1, total), TINY) for i, total in ((0, n), (1, rows)))
    worst = int(np.abs(b - a).argmax())
    note = f"'{names[worst]}' {100 * a[worst]:.1f}% -> {100 * b[worst]:.1f}% of the predictions"
    psi = float(((b - a) * np.log(b / a)).sum())
    return Signal("labels", name, "PSI", psi, None, None, _independence(counts), note=note)


def _hits(
    task: Task, predicted: NDArray[np.int64], given: pd.DataFrame | Table
) -> tuple[NDArray[np.float64], list[str]]:
    """Return of every row with a label the share that is predicted, and words that are no class."""
    if not label_columns_in(given, [task]):
        return np.zeros(0), []
    if isinstance(task, Multiclass):
        texts = pd.Series(column_texts(given, task.name), dtype=object)
        codes = texts.map({key(name): code for code, name in enumerate(task.names)})
        known = texts.notna().to_numpy()
        new = texts[known & codes.isna().to_numpy()].value_counts()
        notes = [
            f"task '{task.name}': label '{printable(word)}' of {count:,} rows is no class of the "
            "model"
            for word, count in new[:MOST_WORDS].items()
        ]
        return (codes.to_numpy() == predicted)[known].astype(np.float64), notes
    truth = labels_of(given, [task]).labels[task.name]
    counted = (truth >= 0).sum(axis=1)
    right = ((truth >= 0) & (truth == predicted)).sum(axis=1)
    return (right[counted > 0] / counted[counted > 0]).astype(np.float64), []


def _accuracy_signals(
    task: Task, reference: TaskReference, hits: NDArray[np.float64]
) -> Iterator[Signal]:
    """Give the fall of the accuracy (Fisher's exact test); a row of several labels counts once."""
    if len(hits) < FEWEST or reference.accuracy is None:
        return
    before, n, now = reference.accuracy, reference.labels // task.width, float(hits.mean())
    if isinstance(task, Multiclass):
        n = reference.labels
    counts = [[round(rate * m), m - round(rate * m)] for rate, m in ((now, len(hits)), (before, n))]
    p = float(stats.fisher_exact(np.array(counts), alternative="less").pvalue)
    yield Signal("accuracy", task.name, "difference", min(0.0, now - before), before, now, p)


def _relation_signals(
    reference: RelationReference, contradictions: NDArray[np.float64]
) -> Iterator[Signal]:
    found = contradictions[np.isfinite(contradictions)]
    if len(found) < FEWEST:
        return
    now, spread = float(found.mean()), float(found.std(ddof=1))
    rise, p = _rise(
        "contradiction", reference.mean, reference.spread, reference.n, now, spread, len(found),
        reference.between,
    )  # fmt: skip
    yield Signal("contradiction", reference.relation, "difference", rise, reference.mean, now, p)


def _rise(
    kind: Kind, before: float, spread_before: float, n: int, now: float, spread: float, m: int,
    between: float,
) -> tuple[float, float]:  # fmt: skip
    """Return by how much a mean rises, and the one-sided p-value; a fall is 0 and no fault.

    The model of all rows is a little surer than those of the folds, so a fall of contradictions, or
    a rise of confidence, is expected. It also differs from them as they do `between` each other.
    Maps and weights that were chosen on out-of-fold rows suit these a little better than new ones:
    up to half of the least change that counts is expected, too, however many rows show it.
    """
    error = np.sqrt(spread_before**2 / max(1, n) + spread**2 / m + between**2)
    beyond = now - before - EXPECTED * LEAST[kind]
    p = float(stats.norm.sf(beyond / error)) if error else float(beyond <= 0)
    return max(0.0, now - before), p


def _outlook(
    task: Task,
    reference: TaskReference,
    p: NDArray[Any],
    thresholds: NDArray[np.float64] | None,
    hits: NDArray[np.float64],
) -> TaskOutlook:
    certain = certainties(task, p, predicted_codes(task, p, thresholds))
    place = confidence_bins(certain)
    accuracy = None
    if reference.accuracy is not None:
        middle = (np.arange(len(reference.correct)) + 0.5) / len(reference.correct)
        correct = np.array(
            [m if c is None else c for c, m in zip(reference.correct, middle, strict=True)]
        )
        accuracy = float(correct[place].mean())
    old = np.array(reference.prior, np.float64)
    shares = estimate_prior(task, np.asarray(p, np.float64), old)
    names = [str(name) for name in task.names]
    return TaskOutlook(
        task.name,
        accuracy,
        reference.accuracy,
        dict(zip(names, map(float, shares), strict=True)),
        dict(zip(names, map(float, old), strict=True)),
        float(hits.mean()) if len(hits) else None,
        len(hits),
    )

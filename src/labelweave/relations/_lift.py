"""What a relation's predictions gain on the observed labels, element by element."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations._relation import Relation
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMOOTHING = 0.01  # as in the coupling losses: no label is impossible
SUM_TOLERANCE = 1e-2  # wide enough for a softmax computed in half precision


@dataclass(frozen=True)
class Elements:
    """The labels of a target on the rows that carry any.

    Args:
        target: the task.
        values: (n, W), 1 = on, 0 = off (or missing).
        seen: (n, W), which elements are labelled and covered.
        groups: (n,) number of the group that a row belongs to, 0 to G - 1.
    """

    target: Task
    values: Floats
    seen: Mask
    groups: NDArray[np.int64]

    @property
    def exclusive(self) -> bool:
        """Whether the columns are classes that exclude one another."""
        return isinstance(self.target, Multiclass)

    @property
    def rows(self) -> int:
        """The number of labelled rows."""
        return len(self.values)

    @property
    def count(self) -> int:
        """The number of labelled elements: rows of a multiclass, labels of a multilabel task."""
        return self.rows if self.exclusive else int(self.seen.sum())


def elements(
    name: str, target: Task, labels: ArrayLike, covered: Mask, groups: ArrayLike | None
) -> tuple[Elements, NDArray[np.int64]]:
    """Return the labelled elements and the numbers of the rows that carry them.

    Args:
        name: the relation's name, for errors.
        target: the task.
        labels: codes (n,) or (n, L), -1 = missing.
        covered: (W,), the columns that the relation covers; of a multilabel target the others
            count as missing.
        groups: (n,) rows with equal values belong together; None = every row by itself.

    Raises:
        LabelweaveError: labels that do not fit the task, or groups of another length.
    """
    codes = Annotations((target,), {target.name: np.atleast_1d(labels)}).labels[target.name]
    if isinstance(target, Multiclass):
        rows = np.flatnonzero((codes >= 0) & covered.any())
        values = (codes[rows][:, None] == np.arange(target.width)).astype(np.float64)
        seen = np.ones(values.shape, dtype=np.bool_)
    else:
        known = (codes >= 0) & covered
        rows = np.flatnonzero(known.any(axis=1))
        values, seen = ((codes[rows] == 1) & known[rows]).astype(np.float64), known[rows]
    given: NDArray[Any] = np.arange(len(codes)) if groups is None else np.asarray(groups)
    if given.shape != (len(codes),):
        raise LabelweaveError(
            f"relation {name}: found groups of shape {given.shape}, expected ({len(codes)},)"
        )
    numbers = np.unique(given[rows], return_inverse=True)[1].astype(np.int64)
    return Elements(target, values, seen, numbers), rows


def checked_probabilities(name: str, task: Task, values: ArrayLike, n: int) -> Floats:
    """Return a task's predictions as (n, width) floats.

    Raises:
        LabelweaveError: a wrong shape, a value outside [0, 1], or (multiclass) a row that does
            not sum to one.
    """
    found: NDArray[Any] = np.asarray(values)
    place = f"relation {name}, predictions of '{task.name}'"
    if found.shape != (n, task.width):
        raise LabelweaveError(f"{place}: found shape {found.shape}, expected {(n, task.width)}")
    p = found.astype(np.float64, copy=False)
    if n and not (p.min() >= 0 and p.max() <= 1):
        row = int(np.argmin(((p >= 0) & (p <= 1)).all(axis=1)))
        raise LabelweaveError(
            f"{place}, row {row + 1}: found {p[row].min():.4g} to {p[row].max():.4g}, "
            "expected probabilities from 0 to 1"
        )
    if isinstance(task, Multiclass):
        sums = p.sum(axis=1)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise LabelweaveError(
                f"{place}, row {row + 1}: found probabilities that sum to {sums[row]:.4g}, "
                "expected 1"
            )
    return p


def pushed(relation: Relation, source_probabilities: Floats) -> Floats:
    """Return q(t | x) = sum_s p(s | x) T[s, t], (n, W), the table smoothed by 1 %."""
    uniform = 1 / relation.target.width if isinstance(relation.target, Multiclass) else 0.5
    return source_probabilities @ ((1 - SMOOTHING) * relation.filled() + SMOOTHING * uniform)


FOLDS = 5
FIT_ROWS = 20_000  # a column has two or three parameters; more rows would not change them
RIDGE = 1.0  # of the slope per standard deviation: holds where few labels could be separated
ITERATIONS = 50
HALVINGS = 20
TOLERANCE = 1e-6
MANY = 300  # columns; of more each stops by itself
TINY = 1e-7


def folds(groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return every row's fold, 0 to 4, (n,); a group lies in one fold."""
    count = int(groups.max()) + 1
    return (generator.permutation(count) % FOLDS)[groups]


@dataclass(frozen=True)
class Recalibration:
    """Logistic regressions of W columns on F features each.

    Args:
        intercept: (W,).
        slopes: (F, W), of the standardised features.
        mean: (F, W), of the features.
        scale: (F, W), their standard deviations, 1 where they do not vary.
    """

    intercept: Floats
    slopes: Floats
    mean: Floats
    scale: Floats

    def __call__(self, features: Sequence[Floats]) -> Floats:
        """Return the probabilities of "on", (n, W)."""
        score = np.broadcast_to(self.intercept, (len(features[0]), len(self.intercept))).copy()
        for x, slope, mean, scale in zip(features, self.slopes, self.mean, self.scale, strict=True):
            score += slope * (x - mean) / scale
        return sigmoid(score)


def recalibrate(
    features: Sequence[Floats], elements: Elements, rows: NDArray[np.int64]
) -> Recalibration:
    """Return the logistic regressions fitted on some rows, by Newton's method.

    One pseudo-row at the features' mean keeps a label that is always on or off from a
    probability of 1; a ridge of 1 holds the slopes.

    Args:
        features: F arrays (n, W) of log-odds.
        elements: the labels.
        rows: the rows to fit on.
    """
    seen, values = elements.seen[rows].astype(np.float64), elements.values[rows]
    start = base_rate(elements, rows)
    xs, means, scales = [], [], []
    for feature in features:
        x = feature[rows]
        count = np.maximum(seen.sum(axis=0), 1)
        mean = (seen * x).sum(axis=0) / count
        spread = np.sqrt((seen * (x - mean) ** 2).sum(axis=0) / count)
        scale = np.where(spread > TINY, spread, 1.0)
        means.append(mean)
        scales.append(scale)
        xs.append((x - mean) / scale)
    width, order = elements.values.shape[1], len(xs) + 1
    parameters = np.zeros((width, order))
    parameters[:, 0] = logit(start)
    ridge = np.diag([0.0] + [RIDGE] * len(xs))
    pseudo = _pseudo(elements)
    moving = np.arange(width)

    def likelihood(trial: Floats) -> Floats:
        score = trial[:, 0] + sum(x * trial[:, f] for f, x in enumerate(xs, start=1))
        of_rows = (seen * (values * score - np.logaddexp(0, score))).sum(axis=0)
        of_pseudo = pseudo * trial[:, 0] - np.logaddexp(0, trial[:, 0])
        return np.asarray(of_rows + of_pseudo - 0.5 * RIDGE * (trial[:, 1:] ** 2).sum(axis=1))

    for _ in range(ITERATIONS):
        now = parameters[moving]
        score = now[:, 0] + sum(x * now[:, f] for f, x in enumerate(xs, start=1))
        mu = sigmoid(np.asarray(score))
        residual, weight = seen * (values - mu), seen * mu * (1 - mu)
        gradient = -now @ ridge
        hessian = np.tile(ridge, (len(now), 1, 1))
        at_mean = sigmoid(now[:, 0])
        gradient[:, 0] += pseudo - at_mean
        hessian[:, 0, 0] += at_mean * (1 - at_mean)
        for f in range(order):
            left = weight if f == 0 else weight * xs[f - 1]
            gradient[:, f] += (residual if f == 0 else residual * xs[f - 1]).sum(axis=0)
            for g in range(f, order):
                entry = left.sum(axis=0) if g == 0 else (left * xs[g - 1]).sum(axis=0)
                hessian[:, f, g] += entry
                hessian[:, g, f] = hessian[:, f, g]
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        largest = np.abs(step).max(axis=1)
        if largest.max() < TOLERANCE:
            break
        parameters[moving] += _damped(step, now, likelihood)
        if width > MANY and not (left := largest >= TOLERANCE).all():
            moving, seen, values = moving[left], seen[:, left], values[:, left]
            xs = [x[:, left] for x in xs]
    return Recalibration(parameters[:, 0], parameters[:, 1:].T, np.stack(means), np.stack(scales))


def _damped(step: Floats, start: Floats, likelihood: Callable[[Floats], Floats]) -> Floats:
    """Return Newton's steps, each column's halved until its likelihood does not fall.

    Where a feature separates on from off without an error, whole steps go back and forth for ever.
    """
    before = likelihood(start)
    for _ in range(HALVINGS):
        worse = likelihood(start + step) < before
        if not worse.any():
            break
        step = np.where(worse[:, None], 0.5 * step, step)
    return step


def base_rate(elements: Elements, rows: NDArray[np.int64]) -> Floats:
    """Return the share of "on" among some rows' labels, with one pseudo-row, (W,)."""
    seen = elements.seen[rows].sum(axis=0)
    return np.asarray((elements.values[rows].sum(axis=0) + _pseudo(elements)) / (seen + 1))


def recalibrated(
    scores: Floats,
    elements: Elements,
    fold: NDArray[np.int64],
    own: Floats | None,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the benchmark's and the relation's recalibrated predictions, both cross-fitted.

    The benchmark is the base rate or, with `own`, the target head's recalibrated predictions; the
    relation adds its log-odds to it. A column whose slope would be negative (the more the relation
    expects a label, the rarer it is) keeps the benchmark: a relation that has to be turned round
    is none.

    Args:
        scores: (n, W) the relation's predictions q.
        elements: the labels.
        fold: (n,) every row's fold.
        own: (n, W) the target head's own held-out predictions, or None.
        generator: draws the rows of a fit when there are more than 20,000.

    Returns:
        Two arrays (n, W); those of a multiclass target sum to one.
    """
    without = [] if own is None else [logit(own)]
    x = logit(scores)
    benchmark, relation = np.empty_like(scores), np.empty_like(scores)
    for number in range(FOLDS):
        out = np.flatnonzero(fold == number)
        train = np.flatnonzero(fold != number)
        drawn = train
        if len(train) > FIT_ROWS:
            drawn = generator.choice(train, FIT_ROWS, replace=False)
        if without:
            benchmark[out] = recalibrate(without, elements, drawn)([f[out] for f in without])
        else:
            benchmark[out] = base_rate(elements, train)
        full = recalibrate([*without, x], elements, drawn)
        found = full([f[out] for f in [*without, x]])
        relation[out] = np.where(full.slopes[-1] > 0, found, benchmark[out])
    if elements.exclusive:
        benchmark /= benchmark.sum(axis=1, keepdims=True)
        relation /= relation.sum(axis=1, keepdims=True)
    return benchmark, relation


def sigmoid(score: Floats) -> Floats:
    """Return 1 / (1 + exp(-score)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * score)))


def logit(p: Floats) -> Floats:
    """Return log(p / (1 - p)), p clipped to [1e-7, 1 - 1e-7]."""
    clipped = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _pseudo(elements: Elements) -> float:
    return 1 / elements.target.width if elements.exclusive else 0.5


def column_likelihood(p: Floats, elements: Elements) -> Floats:
    """Return the log-probability of every labelled element, each column by itself, (n, W).

    A class of a multiclass target is judged as "this class or another one". Missing elements are
    0. In nats.
    """
    # of the two outcomes only the observed one's logarithm is taken
    observed = np.where(elements.values == 1, p, 1 - p)
    return np.where(elements.seen, np.log(np.maximum(observed, TINY)), 0.0)


def row_likelihood(p: Floats, elements: Elements) -> tuple[Floats, Floats]:
    """Return every row's log-probability of its labels, (n,), and its number of elements, (n,).

    The row of a multiclass target is one element, that of a multilabel target as many as it has
    labels. In nats.
    """
    if elements.exclusive:
        observed = (p * elements.values).sum(axis=1)
        return np.log(np.maximum(observed, TINY)), np.ones(elements.rows)
    counts = elements.seen.sum(axis=1).astype(np.float64)
    return column_likelihood(p, elements).sum(axis=1), counts


ROWS = 10_000  # more rows narrow the null distribution further than any useful relation needs
SAME = 0.1  # an exchange that moves the table less than this share of the usual is no exchange


def residuals(elements: Elements, benchmark: Floats) -> Floats:
    """Return label minus benchmark, centred and scaled to variance one per column, (n, W).

    Missing elements are 0, and so is a column without variation.
    """
    seen = elements.seen
    count = np.maximum(seen.sum(axis=0), 1)
    gap = np.where(seen, elements.values - benchmark, 0.0)
    gap = np.where(seen, gap - gap.sum(axis=0) / count, 0.0)
    spread = np.sqrt((gap**2).sum(axis=0) / count)
    return np.where(spread > 0, gap / np.where(spread > 0, spread, 1.0), 0.0)


def rows_exchanged(
    scores: Floats,
    residual: Floats,
    groups: NDArray[np.int64],
    permutations: int,
    generator: np.random.Generator,
) -> float:
    """Return the p-value under the null that predictions and labels are independent.

    The labels are assigned to other rows, group after group in random order, so that rows that
    belong together stay neighbours (without groups this is a plain permutation).

    Args:
        scores: (n, W) the relation's predictions.
        residual: (n, W) of `residuals`.
        groups: (n,) the group of every row, 0 to G - 1.
        permutations: number of random exchanges; the smallest p-value is 1 / (permutations + 1).
        generator: draws them, and 10,000 rows when there are more.
    """
    count = int(groups.max()) + 1
    order = np.argsort(generator.permutation(count)[groups], kind="stable")[:ROWS]
    p, r, g = scores[order], residual[order], groups[order]
    fit = float((p * r).sum())
    reached = 0
    for _ in range(permutations):
        left, right = (np.argsort(generator.permutation(count)[g], kind="stable") for _ in range(2))
        reached += float((p[left] * r[right]).sum()) >= fit
    return (1 + reached) / (1 + permutations)


def classes_exchanged(
    table: Floats,
    source_probabilities: Floats,
    residual: Floats,
    permutations: int,
    generator: np.random.Generator,
) -> float | None:
    """Return the p-value under the null that the table's rows belong to the classes by chance.

    A shuffled table can pass `rows_exchanged`: some classes keep a fitting row by luck. It cannot
    fit better than most other shuffled tables do. Exchanges that leave the table nearly as it is
    do not count. With two or three classes there are few others, and the test catches little.

    Args:
        table: (K, W), unknown entries filled.
        source_probabilities: (n, K).
        residual: (n, W) of `residuals`.
        permutations: number of random exchanges.
        generator: draws them.

    Returns:
        The p-value, or None when all rows of the table are alike.
    """
    # the fit is linear in the table, so that an exchange costs K x W and not n x K x W
    affinity = source_probabilities.T @ residual
    orders = [generator.permutation(len(table)) for _ in range(permutations)]
    moved = np.array([((table[order] - table) ** 2).sum() for order in orders])
    fits = np.array([(table[order] * affinity).sum() for order in orders])
    other = moved > SAME * moved.mean()
    if not other.any():
        return None
    reached = int((fits[other] >= (table * affinity).sum()).sum())
    return (1 + reached) / (1 + int(other.sum()))


BLOCKS = 1000


class GroupDraws:
    """The same bootstrap resamplings for every mean over the same rows.

    Args:
        groups: (n,) the group of every row, 0 to G - 1.
        replicates: number of resamplings.
        level: of the intervals, between 0 and 1.
        generator: makes the blocks and draws.
    """

    def __init__(
        self,
        groups: NDArray[np.int64],
        replicates: int,
        level: float,
        generator: np.random.Generator,
    ) -> None:
        count = int(groups.max()) + 1
        size = min(count, BLOCKS)
        block = (generator.permutation(count) % size)[groups]
        n = len(groups)
        self._sums = csr_array((np.ones(n), (block, np.arange(n))), shape=(size, n))
        self._weights = generator.multinomial(size, np.full(size, 1 / size), replicates)
        self._tails = ((1 - level) / 2, (1 + level) / 2)

    def mean(self, totals: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
        """Return sum(totals) / sum(counts) over the rows and its interval, each (W,).

        Args:
            totals: (n, W).
            counts: (n, W), how many elements an entry of `totals` is the sum of.

        Returns:
            mean, low and high; NaN for a column without elements.
        """
        above, below = np.asarray(self._sums @ totals), np.asarray(self._sums @ counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = above.sum(axis=0) / below.sum(axis=0)
            drawn = (self._weights @ above) / (self._weights @ below)
        # a resampling may miss all elements of a rare column
        drawn = np.where(np.isfinite(drawn), drawn, mean)
        low, high = np.quantile(drawn, self._tails, axis=0)
        return mean, low, high

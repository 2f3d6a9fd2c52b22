"""Expectation maximisation: table, priors and powers from all evidence at once.

Variational EM (the table's rows are Dirichlet posteriors, the E-steps use their expected
logarithm): a row of the table with little evidence steers the E-step less than a sure one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import betaincinv, digamma, expit, gammaln

from labelweave.annotations import Annotations
from labelweave.tasks import Multiclass, Task

Floats = NDArray[np.floating]
Matrix = NDArray[np.float64]
TINY = 1e-30


class BlockColumns:
    """The layout of several targets in W columns and B blocks.

    Args:
        targets: the target tasks, in order.

    Attributes:
        width: W, the number of columns.
        spans: the columns of every target.
        sizes: (B,) the number of columns of every block.
        block: (W,) the block of every column.
        target: (B,) the target of every block.
    """

    def __init__(self, targets: Sequence[Task]) -> None:
        self.targets = tuple(targets)
        sizes = [[t.width] if isinstance(t, Multiclass) else [2] * t.width for t in self.targets]
        self.sizes = np.array([size for blocks in sizes for size in blocks])
        ends = np.cumsum([sum(blocks) for blocks in sizes])
        self.spans = [slice(end - sum(b), end) for end, b in zip(ends, sizes, strict=True)]
        self.block = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.target = np.repeat(np.arange(len(sizes)), [len(blocks) for blocks in sizes])
        self.width = int(self.sizes.sum())

    def sums(self, values: Floats) -> Floats:
        """Return the sum over every block, (n, W) -> (n, B)."""
        parts = [
            values[:, part].sum(axis=1, keepdims=True)
            if isinstance(target, Multiclass)
            else values[:, part][:, ::2] + values[:, part][:, 1::2]
            for target, part in zip(self.targets, self.spans, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def spread(self, values: Floats) -> Floats:
        """Return every block's value at each of its columns, (n, B) -> (n, W)."""
        return np.asarray(np.take(values, self.block, axis=-1))

    def normalised(self, values: Floats) -> Floats:
        """Return the values (n, W) divided by their block's sum."""
        return values / self.spread(np.maximum(self.sums(values), TINY))

    def one_hot(self, annotations: Annotations, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return 1 at the labelled columns of some rows, (n, W); all 0 in a block without label."""
        parts: list[NDArray[np.float32]] = []
        for target in self.targets:
            codes = annotations.labels[target.name][rows]
            if isinstance(target, Multiclass):
                parts.append(_one_hot(codes, target.width))
            else:
                parts.append(_pairs(codes == 1, codes == 0).astype(np.float32))
        return np.concatenate(parts, axis=1)

    def probabilities(
        self, predictions: Mapping[str, Floats], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the predicted probabilities of some rows as columns, (n, W)."""
        parts: list[NDArray[np.float32]] = []
        for target in self.targets:
            given = predictions[target.name][rows].astype(np.float32)
            parts.append(given if isinstance(target, Multiclass) else _pairs(given, 1 - given))
        return np.concatenate(parts, axis=1)

    def join(self, tables: Sequence[Matrix]) -> Matrix:
        """Return one (K, W) array from a table (K, C) or (K, L) of "on" for every target."""
        return np.concatenate(
            [
                table if isinstance(target, Multiclass) else _pairs(table, 1 - table)
                for target, table in zip(self.targets, tables, strict=True)
            ],
            axis=1,
        )

    def part(self, values: Floats, number: int) -> Matrix:
        """Return a target's columns, (K, C) or the "on" columns (K, L), of a (K, W) array."""
        chosen = values[:, self.spans[number]].astype(np.float64)
        multiclass = isinstance(self.targets[number], Multiclass)
        return np.asarray(chosen if multiclass else chosen[:, ::2])


def _one_hot(codes: NDArray[np.integer], width: int) -> NDArray[np.float32]:
    """Return 1 at each row's class, (n, width); a missing label's row is all 0."""
    hot = np.zeros((len(codes), width), np.float32)
    seen = np.flatnonzero(codes >= 0)
    hot[seen, codes[seen]] = 1.0
    return hot


def _pairs(on: NDArray[np.generic], off: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.stack([on, off], axis=2).reshape(len(on), -1)


Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Labels and predictions of the rows that carry evidence on one source task's relations.

    Attributes:
        source: the source task, K classes.
        columns: the targets.
        annotations: labels of all n rows.
        predictions: per task (n, K) or (n, L) probabilities; empty = none in use.
        data_source: (n,) from which of D data sources each row comes.
        co_labelled: whether labels in addition to the class's label are in use.
        chunk: the most rows worked on at a time.
    """

    source: Multiclass
    columns: BlockColumns
    annotations: Annotations
    predictions: Mapping[str, Floats]
    data_source: Rows
    co_labelled: bool
    chunk: int

    @property
    def classes(self) -> NDArray[np.int64]:
        """The source task's labels, (n,)."""
        return self.annotations.labels[self.source.name].astype(np.int64, copy=False)

    def class_rows(self) -> Rows:
        """Return the rows that carry the source task's label."""
        return np.flatnonzero(self.classes >= 0)

    def target_rows(self) -> Rows:
        """Return the rows without it that carry some target's label and have predictions."""
        if not self.predictions:
            return np.zeros(0, np.int64)
        seen = [self.annotations.labelled(target.name) for target in self.columns.targets]
        return np.flatnonzero((self.classes < 0) & np.any(seen, axis=0))

    def class_frequencies(self) -> NDArray[np.float64]:
        """Return the share of each class among its labelled rows (K,), none of them 0."""
        counts = np.bincount(self.classes[self.class_rows()], minlength=self.source.width) + 0.5
        return np.asarray(counts / counts.sum())

    def base_rates(self) -> NDArray[np.float64]:
        """Return the share of each column among its target's labels (W,), none of them 0."""
        # off, on -> on, off
        counts = [
            self.annotations.counts(target.name)
            if isinstance(target, Multiclass)
            else self.annotations.counts(target.name)[:, ::-1]
            for target in self.columns.targets
        ]
        flat = np.concatenate([count.ravel() for count in counts]).astype(np.float64)
        return np.asarray(self.columns.normalised(flat[None] + 0.5)[0])

    def chunks(self, rows: Rows) -> Iterator[Rows]:
        """Yield the rows in pieces that bound the memory."""
        widest = max(self.source.width, self.columns.width)
        step = max(1, min(self.chunk, CELLS // widest))
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def log_predicted_class(self, rows: Rows) -> NDArray[np.float32]:
        """Return log p(s|x) of some rows, (b, K), no less than log 1e-6."""
        return np.log(np.maximum(self.predictions[self.source.name][rows], 1e-6, dtype=np.float32))

    def log_predicted_targets(self, rows: Rows) -> NDArray[np.float32]:
        """Return log p(t|x) of some rows as columns, (b, W), no less than log 1e-6."""
        return np.log(np.maximum(self.columns.probabilities(self.predictions, rows), 1e-6))


LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 2.0  # limits of a power
STEP = 0.2  # the most that one Newton step changes


def newton_step(
    power: NDArray[np.float64], slope: NDArray[np.float64], curvature: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the powers after one guarded Newton step up a concave log-likelihood.

    Args:
        power: the powers so far, any shape.
        slope: first derivative of the log-likelihood, same shape.
        curvature: minus its second derivative, same shape, not negative.
    """
    step = slope / np.maximum(curvature, 1e-9)
    return np.asarray(
        np.clip(power + np.clip(step, -STEP, STEP), LEAST_TEMPERATURE, MOST_TEMPERATURE)
    )


def matched_power(log_p: NDArray[np.floating], counts: Matrix) -> float:
    """Return the power at which a head is as confident, on average, as it is accurate.

    Args:
        log_p: (n, C) log-probabilities of the rows to be used.
        counts: (C, C) true class x predicted class, on labelled rows held out of training, or (2,)
            right and wrong predictions. Only the accuracy is taken from it: a whole matrix from few
            rows proved too noisy.

    Returns:
        The power, from 0.05 to 2; 1 where there is nothing to match.
    """
    if not len(log_p) or not counts.sum() > 0:
        return 1.0
    accuracy = (np.trace(counts) if counts.ndim == 2 else counts[0]) / counts.sum()
    low, high = LEAST_TEMPERATURE, MOST_TEMPERATURE
    for _ in range(20):
        middle = 0.5 * (low + high)
        scores = middle * log_p
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        confidence = float((weights.max(axis=1) / weights.sum(axis=1)).mean())
        low, high = (middle, high) if confidence < accuracy else (low, middle)
    return 0.5 * (low + high)


LEAST_COUNT, MOST_COUNT = 0.01, 100.0  # limits of a concentration, in pseudo-counts
DOUBT = 0.02  # share of the base rate in an expert's row: nothing is impossible


@dataclass
class Expert:
    """An expert's tables as pseudo-counts.

    Args:
        pseudo_counts: (K, W), 0 where the expert says nothing.
        trust: (K, B) probability that the expert's row of a block is right.
    """

    pseudo_counts: Matrix
    trust: Matrix

    def counts(self, columns: BlockColumns) -> Floats:
        """Return the pseudo-counts that are trusted, (K, W)."""
        return self.pseudo_counts * columns.spread(self.trust)


def expert_counts(columns: BlockColumns, table: Matrix, strength: Matrix, base: Matrix) -> Expert:
    """Return an expert's table (K, W) as pseudo-counts of the given strength (K, W).

    The trust starts at one half, so that a right table guides the first steps of EM.
    """
    counts = strength * ((1 - DOUBT) * table + DOUBT * base)
    said = np.asarray(columns.sums(counts) > 0)
    return Expert(counts, np.where(said, 0.5, 0.0))


def update_trust(expert: Expert, columns: BlockColumns, counts: Floats, base: Floats) -> None:
    """Set the trust in every block of the expert's rows from the counts (K, W), in place.

    The posterior probability of "the counts come from a row drawn around the expert's" against "the
    row is drawn around the base rate" (Dirichlet-multinomial likelihoods). The share of right rows,
    the prior of both, is learnt per target from the trust so far.
    """
    said = columns.sums(expert.pseudo_counts) > 0
    given = np.maximum(expert.pseudo_counts, TINY)
    factor = _log_evidence(columns, counts, base + given) - _log_evidence(columns, counts, base)
    for number in range(len(columns.targets)):
        block = columns.target == number
        rows = said[:, block]
        share = (expert.trust[:, block].sum() + 1) / (rows.sum() + 2)
        odds = factor[:, block] + np.log(share / (1 - share))
        expert.trust[:, block] = np.where(rows, expit(odds), 0.0)


def estimate_concentration(
    columns: BlockColumns, counts: Floats, base: Floats, start: NDArray[np.float64], steps: int = 10
) -> NDArray[np.float64]:
    """Return the concentration (B,) under which the counts (K, W) are most likely.

    Each row of a block is a draw from Dirichlet(concentration * base). Fixed point of Minka,
    "Estimating a Dirichlet distribution" (2000), section 3; limited to 0.01 to 100 pseudo-counts.
    Of more than 1,000 rows, as many evenly spread ones.
    """
    if len(counts) > ALIKE:
        counts = counts[np.linspace(0, len(counts) - 1, ALIKE).astype(np.int64)]
    total = columns.sums(counts)
    value = start
    for _ in range(steps):
        prior = columns.spread(value[None]) * base
        gain = base * (digamma(counts + prior) - digamma(prior))
        upper = columns.sums(gain).sum(axis=0)
        lower = (digamma(total + value) - digamma(value)).sum(axis=0)
        # without a single count both are 0 and any concentration is as good
        ratio = np.where(lower > 1e-9, upper / np.maximum(lower, 1e-9), 1.0)
        value = np.clip(value * ratio, LEAST_COUNT, MOST_COUNT)
    return np.asarray(value)


def _log_evidence(columns: BlockColumns, counts: Floats, prior: Floats) -> Matrix:
    """Log-likelihood of each block's counts under a Dirichlet prior, (K, B), up to a constant."""
    inner = columns.sums(gammaln(counts + prior) - gammaln(prior))
    total = columns.sums(prior)
    return np.asarray(inner - gammaln(columns.sums(counts) + total) + gammaln(total))


Vector = NDArray[np.float64]


@dataclass
class Counts:
    """Soft counts of a pass over rows, and the derivatives of its likelihood in the power.

    Attributes:
        table: (K, W) effective counts.
        mass: (D, K) expected rows of every class, by data source; zeros where classes are known.
        slope: first derivative, () or (B,).
        curvature: minus the second derivative, same shape.
    """

    table: Matrix
    mass: Matrix
    slope: Vector
    curvature: Vector


def which_class(
    problem: Problem, rows: Rows, log_table: Matrix, log_prior: Matrix, power: float
) -> Counts:
    """Count rows with target labels under the classes that they may belong to.

    r(s) is proportional to p(s|x)^power * prior(s) / frequency(s) * prod_t T[s, y_t], one product
    over all targets. A row counts r(s)^2, not r(s): that is its share of the information about
    row s of the table (the empirical Fisher information), so that many vague rows do not add up to
    certainty.

    Args:
        problem: the data.
        rows: rows without the source's label.
        log_table: (K, W) expected logarithm of the table.
        log_prior: (D, K) log of each data source's class prior over the labelled frequency.
        power: exponent of p(s|x).
    """
    width = problem.source.width
    table = np.zeros((width, problem.columns.width))
    mass = np.zeros_like(log_prior)
    slope = curvature = 0.0
    weights, prior = log_table.T.astype(np.float32), log_prior.astype(np.float32)
    for piece in problem.chunks(rows):
        labels = problem.columns.one_hot(problem.annotations, piece)
        log_p = problem.log_predicted_class(piece)
        data_source = problem.data_source[piece]
        before = _log_softmax(np.float32(power) * log_p + prior[data_source])
        after = np.exp(_log_softmax(labels @ weights + before))
        table += np.square(after).T @ labels
        mass += _groups(data_source, len(mass)) @ after
        guess = np.exp(before)
        mean = (guess * log_p).sum(axis=1)
        slope += float(((after - guess) * log_p).sum(dtype=np.float64))
        curvature += float((guess * np.square(log_p)).sum(dtype=np.float64) - mean @ mean)
    return Counts(table, mass, np.array(slope), np.array(curvature))


def which_label(
    problem: Problem, rows: Rows, log_table: Matrix, mean_table: Matrix, base: Vector, power: Vector
) -> Counts:
    """Count rows with the source's label under the target labels that they may carry.

    r(t) is proportional to p(t|x)^power / base(t) * T[y_s, t], for every block without
    a label. A row counts in a block by how certain it is there, sum_t r(t)^2.

    Args:
        problem: the data.
        rows: rows with the source's label.
        log_table: (K, W) expected logarithm of the table.
        mean_table: (K, W) expected table.
        base: (W,) label frequencies that the target heads were trained on.
        power: (B,) exponent of p(t|x).
    """
    columns, width = problem.columns, problem.source.width
    table = np.zeros((width, columns.width))
    slope, curvature = np.zeros((2, len(columns.sizes)))
    weights = np.exp(log_table - np.log(base)).astype(np.float32)
    shares = np.bincount(problem.classes[rows], minlength=width) / max(1, len(rows))
    # the label frequencies among these rows, over those that the head knows: the label shift
    shift = (columns.normalised(shares[None] @ mean_table) / base).astype(np.float32)
    exponent = columns.spread(power).astype(np.float32)
    for piece in problem.chunks(rows):
        classes = problem.classes[piece]
        missing = 1 - columns.sums(columns.one_hot(problem.annotations, piece))
        log_q = problem.log_predicted_targets(piece)
        powered = np.exp(exponent * log_q)
        after = columns.normalised(weights[classes] * powered)
        certainty = columns.sums(np.square(after))
        table += _groups(classes, width) @ (after * columns.spread(certainty * missing))
        guess = columns.normalised(powered * shift)
        mean = columns.sums(guess * log_q)
        slope += (missing * columns.sums((after - guess) * log_q)).sum(axis=0)
        spread = columns.sums(guess * np.square(log_q)) - np.square(mean)
        curvature += (missing * spread).sum(axis=0)
    return Counts(table, np.zeros((1, width)), slope, curvature)


def co_labelled(problem: Problem) -> Matrix:
    """Count the target labels of rows that also have the source's label, (K, W)."""
    table = np.zeros((problem.source.width, problem.columns.width))
    for piece in problem.chunks(problem.class_rows()):
        labels = problem.columns.one_hot(problem.annotations, piece)
        table += _groups(problem.classes[piece], len(table)) @ labels
    return table


def _groups(codes: NDArray[np.int64], width: int) -> csr_array:
    """Return the sparse (width, b) matrix that sums rows by their code."""
    n = len(codes)
    return csr_array((np.ones(n, np.float32), (codes, np.arange(n))), shape=(width, n))


def _log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


SAMPLE = 10_000  # rows of each kind that the powers and the start are learnt on, ...
SAMPLE_CELLS, LEAST_ROWS = 2_000_000, 500  # ... fewer where rows x classes would be more than that
CELLS = 10_000_000  # rows x classes worked on at a time
ALIKE = 1_000  # classes whose rows of a table show how far rows differ
STEPS, TOLERANCE = 50, 5e-4
WARM = 3  # steps before anything but the table is learnt
FULL_STEPS = 2  # passes over all rows, where there are more than the sample


# of a row, in intervals: so they hold in simulations (docs/explanation/relation-estimation.md)
WORTH = 0.4


@dataclass
class Posterior:
    """What EM leaves.

    Attributes:
        annotated: (K, W) counts from co-labelled rows.
        predicted: (K, W) effective counts from predictions.
        blind: (K, W) the same, of predictions that no table sharpens.
        base: (K, W) or (1, W) prior counts from the base rate.
        expert: the expert's pseudo-counts and the trust in them.
        class_prior: (D, K) class prior of every data source.
    """

    annotated: Matrix
    predicted: Matrix
    blind: Matrix
    base: Matrix
    expert: Expert
    class_prior: Matrix

    def rows(self) -> Matrix:
        """Return the effective rows from the data, (K, W)."""
        return self.annotated + self.predicted

    def counts(self, columns: BlockColumns) -> Matrix:
        """Return the posterior's Dirichlet parameters, (K, W)."""
        return np.asarray(self.rows() + self.base + self.expert.counts(columns))

    def cautious(self, columns: BlockColumns) -> tuple[Matrix, Matrix]:
        """Return counts between which the truth lies: predictions as EM, and no table, takes them.

        EM sharpens weak predictions by the table that they gave, too much; as they are they are too
        flat. All rows share the errors of their heads, so a prediction counts for less than a row.
        """
        rest = self.annotated + self.base + self.expert.counts(columns)
        return rest + WORTH * self.predicted, rest + WORTH * self.blind


class EM:
    """One run of EM on a problem.

    Args:
        problem: the data.
        table: (K, W) the expert's table.
        strength: (K, W) its pseudo-counts, 0 where the expert says nothing.
        confusion: per task the (C, C), (2,) or (L, 2, 2) counts of its head on rows held out of
            training.
        seed: decides which rows the sample takes.
    """

    def __init__(
        self,
        problem: Problem,
        table: Matrix,
        strength: Matrix,
        confusion: Mapping[str, NDArray[np.float64]],
        seed: int,
    ) -> None:
        self.problem, self.columns = problem, problem.columns
        self.frequencies, self.rates = problem.class_frequencies(), problem.base_rates()
        self.expert = expert_counts(self.columns, table, strength, self.rates)
        self.annotated = self.predicted = np.zeros(table.shape)
        if problem.co_labelled:
            self.annotated = co_labelled(problem)
        sources = int(problem.data_source.max(initial=0)) + 1
        self.class_prior = np.tile(self.frequencies, (sources, 1))
        self.concentration = np.ones(len(self.columns.sizes))
        self.class_rows, self.target_rows = problem.class_rows(), problem.target_rows()
        rng = np.random.default_rng(seed)
        widths = self.columns.width, problem.source.width
        self.sample = (
            _sample(self.class_rows, widths[0], rng),
            _sample(self.target_rows, widths[1], rng),
        )
        self.class_power, self.label_power = 1.0, np.ones(len(self.columns.sizes))
        if problem.predictions and confusion:
            self._start_powers(confusion)

    def run(self) -> Posterior:
        """Iterate on the sample until the table stands still, then on all rows."""
        if self.problem.predictions:
            # the first table: mean predicted label of the labelled rows
            neutral = np.tile(np.log(self.rates), (self.problem.source.width, 1))
            self.predicted = self._labels(self.sample[0], neutral).table
        before = self._mean()
        for step in range(STEPS):
            self._step(*self.sample, warm=step >= WARM, powers=step >= WARM)
            after = self._mean()
            if step > WARM and np.abs(after - before).max() < TOLERANCE:
                break
            before = after
        complete = len(self.class_rows) + len(self.target_rows)
        if complete > sum(len(rows) for rows in self.sample):
            for _ in range(FULL_STEPS):
                self._step(self.class_rows, self.target_rows, warm=True, powers=False)
        return Posterior(
            self.annotated,
            self.predicted,
            self._blind(),
            self._base(),
            self.expert,
            self.class_prior,
        )

    def _blind(self) -> Matrix:
        """Return the counts of predictions under a table in which all classes are alike."""
        if not self.problem.predictions:
            return np.zeros_like(self.annotated)
        neutral = np.tile(np.log(self.rates), (self.problem.source.width, 1))
        log_prior = np.log(self.class_prior / self.frequencies)
        classes = which_class(self.problem, self.target_rows, neutral, log_prior, self.class_power)
        return np.asarray(self._labels(self.class_rows, neutral).table + classes.table)

    def _step(self, class_rows: Rows, target_rows: Rows, *, warm: bool, powers: bool) -> None:
        if self.problem.predictions:
            self._expect(class_rows, target_rows, powers)
        if warm:
            counts = self.annotated + self.predicted
            self.concentration = estimate_concentration(
                self.columns, counts, self.rates, self.concentration
            )
            update_trust(self.expert, self.columns, counts, self._base())

    def _expect(self, class_rows: Rows, target_rows: Rows, powers: bool) -> None:
        counts = self._counts()
        log_table = digamma(counts) - self.columns.spread(digamma(self.columns.sums(counts)))
        labels = self._labels(class_rows, log_table)
        log_prior = np.log(self.class_prior / self.frequencies)
        classes = which_class(self.problem, target_rows, log_table, log_prior, self.class_power)
        if powers:
            self.label_power = newton_step(self.label_power, labels.slope, labels.curvature)
            power = newton_step(np.array(self.class_power), classes.slope, classes.curvature)
            self.class_power = float(power)
        # one pseudo-row a class, so that none dies out
        prior = classes.mass + 1.0
        self.class_prior = prior / prior.sum(axis=1, keepdims=True)
        self.predicted = labels.table + classes.table

    def _labels(self, rows: Rows, log_table: Matrix) -> Counts:
        return which_label(
            self.problem, rows, log_table, self._mean(), self.rates, self.label_power
        )

    def _base(self) -> Matrix:
        return np.asarray(self.columns.spread(self.concentration) * self.rates)[None]

    def _counts(self) -> Matrix:
        prior = self._base() + self.expert.counts(self.columns)
        return np.asarray(self.annotated + self.predicted + prior)

    def _mean(self) -> Matrix:
        return np.asarray(self.columns.normalised(self._counts()))

    def _start_powers(self, confusion: Mapping[str, NDArray[np.float64]]) -> None:
        source = self.problem.source.name
        if source in confusion:
            log_p = self.problem.log_predicted_class(self.sample[1])
            self.class_power = matched_power(log_p, confusion[source])
        log_q = self.problem.log_predicted_targets(self.sample[0])
        for number, target in enumerate(self.columns.targets):
            if target.name not in confusion:
                continue
            blocks = np.flatnonzero(self.columns.target == number)
            counts = confusion[target.name]
            each = counts[None] if isinstance(target, Multiclass) else counts
            for block, matrix in zip(blocks, each, strict=True):
                inside = self.columns.block == block
                self.label_power[block] = matched_power(log_q[:, inside], matrix)


def _sample(rows: Rows, width: int, rng: np.random.Generator) -> Rows:
    most = min(SAMPLE, max(LEAST_ROWS, SAMPLE_CELLS // width))
    if len(rows) <= most:
        return rows
    return np.sort(rng.choice(rows, most, replace=False))


LEVEL = 0.95


def intervals(columns: BlockColumns, *several: Matrix) -> tuple[Matrix, Matrix]:
    """Return the credible interval (.95) of every column, two (K, W) arrays.

    Each entry of a Dirichlet row is Beta distributed: a counts for it against b counts for the
    other columns. A block without counts has the interval from 0 to 1.

    Args:
        columns: what the columns are.
        several: (K, W) counts; the interval covers those of all of them.
    """
    found = [_beta(columns, counts) for counts in several]
    lows, highs = zip(*found, strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _beta(columns: BlockColumns, counts: Matrix) -> tuple[Matrix, Matrix]:
    total = np.asarray(columns.sums(counts), dtype=np.float64)
    rest = columns.spread(total) - counts
    own, others = np.maximum(counts, TINY), np.maximum(rest, TINY)
    tail = (1 - LEVEL) / 2
    covered = columns.spread(total) > 0
    low = np.where(covered, betaincinv(own, others, tail), 0.0)
    high = np.where(covered, betaincinv(own, others, 1 - tail), 1.0)
    return low, high

"""`estimate_noise`: how labels err, found through the relations between tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, gammaln, logsumexp

from labelweave._messages import Message
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations._em import (
    WORTH,
    BlockColumns,
    Floats,
    Matrix,
    Problem,
    Rows,
    newton_step,
)
from labelweave.relations._estimation import checked_predictions, checked_sources
from labelweave.relations._relation import Relation
from labelweave.results import LabelNoiseSummary, TaskNoise
from labelweave.tasks import Multiclass, Task, one_hot

TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Noise:
    """The confusion of a task's labels: P(label found | clean label), by data source.

    Given the clean label, the label found depends neither on the inputs nor on other labels
    (class-conditional noise; Natarajan et al., "Learning with noisy labels", NIPS 2013).

    Args:
        task: the task, of C classes or L labels.
        confusion: (D, C, C) for a multiclass task, (D, L, 2, 2) for a multilabel one (0 = off, 1 =
            on); rows are clean labels, columns labels found, and every row sums to one. D is the
            number of data sources, or 1 for a confusion that all of them share.
        rate: (D, B) share of the labels that are wrong, B = 1 for a multiclass task, else L; None =
            not estimated, as in the rest.
        low, high: (D, B) its interval (.95), given the classes that the estimation settled on.
        support: (D, B) effective number of labels behind it.

    Raises:
        LabelweaveError: a wrong shape, an entry outside [0, 1], or a row that does not sum to one.
    """

    task: Task
    confusion: Matrix
    rate: Matrix | None = None
    low: Matrix | None = None
    high: Matrix | None = None
    support: Matrix | None = None

    def __post_init__(self) -> None:
        values = np.array(self.confusion, dtype=np.float64)
        width = self.task.width
        shape = (width, width) if isinstance(self.task, Multiclass) else (width, 2, 2)
        if values.ndim != len(shape) + 1 or values.shape[1:] != shape or not len(values):
            expected = ", ".join(map(str, ("sources", *shape)))
            raise LabelweaveError(
                f"noise of '{self.task.name}': found shape {values.shape}, expected ({expected})"
            )
        if not ((values >= 0) & (values <= 1)).all():
            raise LabelweaveError(
                f"noise of '{self.task.name}': expected probabilities from 0 to 1"
            )
        sums = values.sum(axis=-1)
        wrong = sums[np.abs(sums - 1) > TOLERANCE]
        if wrong.size:
            raise LabelweaveError(
                f"noise of '{self.task.name}': a row sums to {wrong[0]:.4g}, expected 1"
            )
        values.setflags(write=False)
        object.__setattr__(self, "confusion", values)

    @property
    def elements(self) -> tuple[str, ...]:
        """What has a rate: the task itself, or its labels."""
        return (self.task.name,) if isinstance(self.task, Multiclass) else self.task.names

    @property
    def noisy(self) -> list[str]:
        """The task or those of its labels that are wrong at times in some data source."""
        if isinstance(self.task, Multiclass):
            return [self.task.name]
        wrong = (self.confusion != np.eye(2)).any(axis=(0, 2, 3))
        return [name for name, is_wrong in zip(self.elements, wrong, strict=True) if is_wrong]

    def observed(self, table: Matrix, source: int) -> Matrix:
        """Return the table (K, C) or (K, L) of the labels found, from that of the clean ones."""
        confusion = self.confusion[source if len(self.confusion) > 1 else 0]
        if isinstance(self.task, Multiclass):
            return np.asarray(table @ confusion)
        return np.asarray((1 - table) * confusion[:, 0, 1] + table * confusion[:, 1, 1])

    def summary(self) -> TaskNoise:
        """Return the figures, as results hold them."""
        figures = {"rate": self.rate, "low": self.low, "high": self.high, "support": self.support}
        return TaskNoise(
            task=self.task.name,
            elements=self.elements,
            names=tuple(self.task.names),
            confusion=nested(self.confusion.round(6)),
            **{k: None if v is None else nested(np.round(v, 6)) for k, v in figures.items()},
        )


def nested(values: NDArray[Any]) -> tuple[Any, ...]:
    """Return an array as tuples of numbers."""
    return tuple(
        nested(part) if isinstance(part, np.ndarray) and part.ndim else part.item()
        for part in values
    )


UNMIXING_STEPS = 30
STARTS = (0.1, 0.3)  # rates of wrong labels to start from
SHRINK = 50.0  # rows by which a confusion is drawn to the symmetric one of the same rate
QUIET = 20.0  # rows of prior that a label is right
CONCENTRATIONS = np.geomspace(0.1, 100, 25)


@dataclass(frozen=True)
class Unmixed:
    """One block of a table without its noise.

    Attributes:
        confusion: (D, C, C) P(label found | clean label) in every data source.
        table: (K, C) the clean table.
        wrong: (D,) labels found that differ from the clean one.
        support: (D,) labels of classes that have one clean label.
        gain: log-likelihood of the labels over that under a vague table without noise, in nats.
        labels: number of clean labels that classes have; of one alone, noise cannot be estimated.
    """

    confusion: Matrix
    table: Matrix
    wrong: Matrix
    support: Matrix
    gain: float
    labels: int


def symmetric(classes: int, rate: float) -> Matrix:
    """Return the confusion in which every other class is as likely, (C, C)."""
    other = rate / (classes - 1)
    return np.full((classes, classes), other) + np.eye(classes) * (1 - rate - other)


def unmix(counts: Matrix, base: Matrix, clean: Matrix | None = None) -> Unmixed:
    """Split counts of labels found into clean labels and noise.

    Every class either has one clean label, or is vague: a draw from a Dirichlet distribution
    around the base rate, which then says nothing about the noise.

    Args:
        counts: (D, K, C) labels found, by data source and class of the source task.
        base: (C,) base rate of the labels found.
        clean: (K, C) the clean table, where it is known.
    """
    total = counts.sum(axis=0)
    without_noise = max(float(_log_vague(total, c * base).sum()) for c in CONCENTRATIONS)
    if clean is not None:
        return _given(counts, clean, without_noise)
    # from a low rate alone, EM can take noisy classes for vague ones
    options = [_found(counts, base, start, without_noise) for start in STARTS]
    return max(options, key=lambda found: found.gain)


def _found(counts: Matrix, base: Matrix, start: float, without_noise: float) -> Unmixed:
    total, width = counts.sum(axis=0), len(base)
    vague = _log_vague(total, width * base)
    share, prior = 0.1, np.full(width, 1 / width)
    confusion = np.tile(symmetric(width, start), (len(counts), 1, 1))
    for _ in range(UNMIXING_STEPS):
        fit = np.einsum("dsy,dcy->sc", counts, np.log(confusion)) + np.log(prior * (1 - share))
        scores = np.column_stack([fit, vague + np.log(share)])
        likelihood = logsumexp(scores, axis=1)
        weights = np.exp(scores - likelihood[:, None])
        pure, share = weights[:, :-1], (weights[:, -1].sum() + 0.5) / (len(total) + 5)
        prior = (pure.sum(axis=0) + 1) / (pure.sum() + width)
        found = np.einsum("sc,dsy->dcy", pure, counts)
        confusion = _confusion(found)
    table = pure + weights[:, -1:] * _without(total, confusion, base)
    return _unmixed(confusion, table, found, float(likelihood.sum()) - without_noise)


def _given(counts: Matrix, clean: Matrix, without_noise: float) -> Unmixed:
    confusion = np.tile(symmetric(clean.shape[1], STARTS[0]), (len(counts), 1, 1))
    for _ in range(UNMIXING_STEPS):
        found = np.einsum("dsy,dscy->dcy", counts, _responsible(clean, confusion))
        confusion = _confusion(found)
    likelihood = (counts * np.log(np.maximum(clean @ confusion, 1e-12))).sum()
    return _unmixed(confusion, clean, found, float(likelihood) - without_noise)


def _unmixed(confusion: Matrix, table: Matrix, found: Matrix, gain: float) -> Unmixed:
    support = found.sum(axis=(1, 2))
    wrong = support - np.trace(found, axis1=1, axis2=2)
    labels = int((table.max(axis=0) > 0.5).sum())
    return Unmixed(confusion, table, np.maximum(wrong, 0.0), support, gain, labels)


def _confusion(found: Matrix) -> Matrix:
    """Return every source's confusion, drawn to that of all, and that to a symmetric one."""
    pooled = found.sum(axis=0)
    rate = (pooled.sum() - np.trace(pooled)) / (pooled.sum() + QUIET)
    pooled = _drawn(pooled, symmetric(len(pooled), float(rate)))
    return np.stack([_drawn(of_source, pooled) for of_source in found])


def _drawn(found: Matrix, towards: Matrix) -> Matrix:
    counts = found + SHRINK * np.maximum(towards, 1e-4)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _responsible(table: Matrix, confusion: Matrix) -> Matrix:
    """Return P(clean label | class, label found), (D, K, C clean, C found)."""
    joint = table[None, :, :, None] * confusion[:, None]
    return np.asarray(joint / np.maximum(joint.sum(axis=2, keepdims=True), 1e-12))


def _without(total: Matrix, confusion: Matrix, base: Matrix) -> Matrix:
    """Return the table of vague classes without the noise of all sources together, (K, C)."""
    mean = confusion.mean(axis=0)[None]
    table = np.tile(base, (len(total), 1))
    counts = total + base  # one row of prior
    for _ in range(UNMIXING_STEPS):
        table = np.einsum("sy,scy->sc", counts, _responsible(table, mean)[0])
        table /= table.sum(axis=1, keepdims=True)
    return table


def _log_vague(total: Matrix, prior: Matrix) -> Matrix:
    """Return each class's log-likelihood as a draw from a Dirichlet distribution, (K,)."""
    inner = (gammaln(total + prior) - gammaln(prior)).sum(axis=1)
    rows, strength = total.sum(axis=1), prior.sum()
    return np.asarray(inner - gammaln(rows + strength) + gammaln(strength))


EM_STEPS = 12
CHUNK = 8192
FLOOR = 1e-3  # no label is impossible


class NoiseEM:
    """The relations of one source task, and the noise of their targets' labels.

    Repeats: which class has each row, given the tables of the labels found; which clean label has
    each class, and how do labels err (`unmix`); table of the labels found = clean table times
    confusion.

    Args:
        relations: the relations from one source task.
        annotations: labels of n rows.
        predictions: the source task's probabilities, (n, K).
        data_source: (n,) the data source of each row.
        clean: the tables are of clean labels, and stay as they are.

    Attributes:
        columns: the layout of the targets.
        table: (K, W) the clean tables.
        unmixed: per block what was found.
        counted: per block the number of labels that were counted.
        worth: (D, W) by column the share of the labels that intervals rest on: where the class of a
            row is in doubt, its label shows less.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        annotations: Annotations,
        predictions: Mapping[str, Floats],
        data_source: NDArray[np.int64],
        clean: bool,
    ) -> None:
        source = relations[0].source
        self.columns = BlockColumns([relation.target for relation in relations])
        self.problem = Problem(
            source, self.columns, annotations, predictions, data_source, True, CHUNK
        )
        self.table = self.columns.join([relation.filled() for relation in relations])
        self.clean = self.table if clean else None
        self.base, self.frequencies = self.problem.base_rates(), self.problem.class_frequencies()
        self.rows = [self._of_source(i) for i in range(int(data_source.max(initial=0)) + 1)]
        self.log_found = np.tile(np.log(np.maximum(self.table, FLOOR)), (len(self.rows), 1, 1))
        self.prior = np.tile(self.frequencies, (len(self.rows), 1))
        self.power = 1.0
        self.unmixed: list[Unmixed] = []
        self.counted: list[float] = []
        self.worth: Matrix = np.ones((len(self.rows), self.columns.width))

    def run(self) -> None:
        """Iterate."""
        for _ in range(EM_STEPS):
            counts = self._count()
            self.unmixed, self.counted = [], []
            for block in range(len(self.columns.sizes)):
                inside = self.columns.block == block
                of_block = counts[:, :, inside]
                clean = None if self.clean is None else self.clean[:, inside]
                found = unmix(of_block, self.base[inside], clean)
                self.unmixed.append(found)
                self.counted.append(float(of_block.sum()))
                self.table[:, inside] = found.table
                self.log_found[:, :, inside] = np.log(
                    np.maximum(found.table @ found.confusion, FLOOR)
                )

    def number(self, target: Task) -> int:
        """Return the place of a target among the relations."""
        return [task.name for task in self.columns.targets].index(target.name)

    def clean_labels(self, block: int) -> tuple[Rows, Rows, Matrix]:
        """Return a block's labelled rows, their labels, and P(clean label | all that is known).

        The label's own evidence about the row's class counts once.
        """
        inside = self.columns.block == block
        parts: list[tuple[Rows, Rows, Matrix]] = []
        for source, (classes, targets) in enumerate(self.rows):
            for rows in self.problem.chunks(np.concatenate([classes, targets])):
                labels = self.columns.one_hot(self.problem.annotations, rows)
                seen = labels[:, inside].any(axis=1)
                rows, labels = rows[seen], labels[seen]
                found = labels[:, inside].argmax(axis=1)
                others = np.where(inside, 0.0, labels)
                table, confusion = self.table[:, inside], self.unmixed[block].confusion[source]
                share = self._classes(rows, others, source) @ table
                clean = share * confusion[:, found].T
                clean /= np.maximum(clean.sum(axis=1, keepdims=True), 1e-30)
                parts.append((rows, found, clean))
        rows, found, clean = (np.concatenate(each) for each in zip(*parts, strict=True))
        return rows, found, clean

    def _of_source(self, source: int) -> tuple[Rows, Rows]:
        """Return a data source's rows with the class's label, and those with targets' only."""
        mine = self.problem.data_source == source
        classes, targets = self.problem.class_rows(), self.problem.target_rows()
        return classes[mine[classes]], targets[mine[targets]]

    def _count(self) -> Matrix:
        """Return the labels found by data source and class, (D, K, W); learn power and priors."""
        counts = np.zeros(self.log_found.shape)
        informed, labelled = np.zeros((2, *self.worth.shape))
        slope = curvature = 0.0
        for source, (classes, targets) in enumerate(self.rows):
            for rows in self.problem.chunks(classes):
                labels = self.columns.one_hot(self.problem.annotations, rows)
                np.add.at(counts[source], self.problem.classes[rows], labels)
                informed[source] += labels.sum(axis=0)
                labelled[source] += labels.sum(axis=0)
            mass = np.ones(len(self.frequencies))  # one row a class, so that none dies out
            for rows in self.problem.chunks(targets):
                labels = self.columns.one_hot(self.problem.annotations, rows)
                log_p = self.problem.log_predicted_class(rows)
                before = self._scores(log_p, source)
                after = _softmax(before + labels @ self.log_found[source].T)
                # in full, not squared as for tables: rows in doubt are those with wrong labels
                counts[source] += after.T @ labels
                mass += after.sum(axis=0)
                guess = _softmax(before)
                informed[source] += WORTH * (np.square(guess).sum(axis=1) @ labels)
                labelled[source] += labels.sum(axis=0)
                slope += float(((after - guess) * log_p).sum())
                mean = (guess * log_p).sum(axis=1)
                curvature += float((guess * np.square(log_p)).sum() - mean @ mean)
            self.prior[source] = mass / mass.sum()
        self.worth = informed / np.maximum(labelled, 1.0)
        self.power = float(newton_step(np.array(self.power), np.array(slope), np.array(curvature)))
        return counts

    def _scores(self, log_p: Floats, source: int) -> Matrix:
        """Return log P(class | inputs), (b, K), up to a constant of the row."""
        shift = np.log(self.prior[source] / self.frequencies)
        return np.asarray(self.power * log_p.astype(np.float64) + shift)

    def _classes(self, rows: Rows, labels: Floats, source: int) -> Matrix:
        """Return P(class | inputs and the labels given), (b, K); 1 at a class that is known."""
        scores = self._scores(self.problem.log_predicted_class(rows), source)
        p = _softmax(scores + labels @ self.log_found[source].T)
        known = self.problem.classes[rows]
        p[known >= 0] = one_hot(known[known >= 0], p.shape[1])
        return p


def _softmax(scores: Matrix) -> Matrix:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


LEAST = 0.5  # a label is named when it is more likely wrong than right


@dataclass(frozen=True)
class Mislabelled:
    """A label that is likely wrong.

    Attributes:
        row: the row, from 0.
        task: the task.
        label: the label of a multilabel task, else the task's name.
        found: the label found: a class, ``on`` or ``off``.
        likely: the likeliest other one.
        probability: that the label found is wrong.
    """

    row: int
    task: str
    label: str
    found: str
    likely: str
    probability: float


def mislabelled(
    columns: BlockColumns,
    block: int,
    rows: NDArray[np.int64],
    found: NDArray[np.int64],
    clean: Matrix,
) -> list[Mislabelled]:
    """Return the labels of one block that are likely wrong.

    Args:
        columns: the layout.
        block: the block.
        rows: (n,) rows that carry a label of it.
        found: (n,) that label, as a column of the block.
        clean: (n, C) probability of every clean label.
    """
    number = int(columns.target[block])
    task = columns.targets[number]
    names: Sequence[str] = ("on", "off")
    label = task.name
    if isinstance(task, Multiclass):
        names = task.names
    else:
        label = task.names[block - int(np.flatnonzero(columns.target == number)[0])]
    each = np.arange(len(rows))
    wrong = 1 - clean[each, found]
    others = clean.copy()
    others[each, found] = -1
    likely = others.argmax(axis=1)
    return [
        Mislabelled(
            int(rows[i]), task.name, label, names[found[i]], names[likely[i]], float(wrong[i])
        )
        for i in np.flatnonzero(wrong > LEAST)
    ]


LEAST_RATE = 0.02  # fewer wrong labels than this need no model
LEAST_GAIN = 3.0  # nats (a factor of 20) by which noise must explain the labels better than none
LEAST_SHARE = 0.7  # share of the labels in classes that have one clean label


@dataclass(frozen=True, eq=False)
class NoiseReport:
    """What `estimate_noise` found.

    Attributes:
        examined: every task that the relations cover, with the confusion as estimated.
        found: those with noise, in the form that the losses take; labels of a multilabel task
            that are clean have the identity there.
        relations: the relations, their tables about noisy targets being those of clean labels.
        mislabelled: labels that are likely wrong, the likeliest first.
    """

    examined: tuple[Noise, ...]
    found: tuple[Noise, ...]
    relations: tuple[Relation, ...]
    mislabelled: tuple[Mislabelled, ...]

    def summary(self) -> LabelNoiseSummary:
        """Return the figures without single labels, as results hold them."""
        return LabelNoiseSummary(
            tuple(noise.summary() for noise in self.examined),
            {noise.task.name: tuple(noise.noisy) for noise in self.found},
            len(self.mislabelled),
        )


def estimate_noise(
    annotations: Annotations,
    predictions: Mapping[str, ArrayLike],
    relations: Sequence[Relation],
    *,
    sources: ArrayLike | None = None,
    clean: bool = False,
) -> NoiseReport:
    """Estimate the label noise of the tasks that relations cover; no clean label is needed.

    Labels of rows of one class should agree where the class has one clean label; how they disagree,
    alike in all classes, is the noise. EM over the class of each row without one: the table of the
    labels found is the clean table times the confusion. Noise counts as found where it explains
    the labels better than a vague table without noise, from 2 % wrong labels on.

    Args:
        annotations: labels of n training rows.
        predictions: per task (n, K) or (n, L) probabilities of a multi-task model trained on these
            rows without coupling; only those of the relations' source tasks are looked at, on
            rows without their label.
        relations: the relations, tables of the labels as found (those of `estimate_relations`).
        sources: (n,) number of the data source of every row; each has its own confusion, drawn to
            that of all where its labels are few.
        clean: the tables are of clean labels, as an expert's are.

    Raises:
        LabelweaveError: predictions or sources of a wrong shape, or no probability.
    """
    names = list(dict.fromkeys(relation.source.name for relation in relations))
    given = checked_predictions(annotations, predictions, names) if names else {}
    data_source = checked_sources(sources, len(annotations))
    work = {}
    for name in names:
        group = [relation for relation in relations if relation.source.name == name]
        work[name] = NoiseEM(group, annotations, given, data_source, clean)
        work[name].run()
    examined: dict[str, Noise] = {}
    found: dict[str, Noise] = {}
    tables: dict[str, Relation] = {}
    wrong: list[Mislabelled] = []
    # a target of several sources is judged by the one that explains its labels best
    ordered = sorted(relations, key=lambda r: -_gain(work[r.source.name], r.target))
    for relation in ordered:
        target, em = relation.target, work[relation.source.name]
        noisy = _noisy_blocks(em, target)
        if target.name in examined:
            if target.name in found and noisy.any():
                tables[relation.name] = _cleaned(em, relation, noisy)
            continue
        examined[target.name] = _noise(em, target)
        if noisy.any():
            found[target.name] = _noise(em, target, keep=noisy)
            tables[relation.name] = _cleaned(em, relation, noisy)
            for block in np.flatnonzero(em.columns.target == em.number(target))[noisy]:
                wrong += mislabelled(em.columns, int(block), *em.clean_labels(int(block)))
    targets = dict.fromkeys(relation.target.name for relation in relations)
    return NoiseReport(
        tuple(examined[name] for name in targets),
        tuple(found[name] for name in targets if name in found),
        tuple(tables.get(relation.name, relation) for relation in relations),
        tuple(sorted(wrong, key=lambda each: -each.probability)),
    )


def _interval(em: NoiseEM, block: int) -> tuple[Matrix, Matrix, Matrix]:
    """Return rate, low and high of a block, each (D,)."""
    unmixed = em.unmixed[block]
    wrong, right = unmixed.wrong, unmixed.support - unmixed.wrong
    worth = em.worth[:, em.columns.block == block].mean(axis=1)
    a, b = worth * wrong + 0.5, worth * right + 0.5
    low, high = (np.asarray(betaincinv(a, b, tail), np.float64) for tail in (0.025, 0.975))
    return (wrong + 0.5) / (unmixed.support + 1.0), low, high


def _gain(em: NoiseEM, target: Task) -> float:
    blocks = np.flatnonzero(em.columns.target == em.number(target))
    return sum(em.unmixed[block].gain for block in blocks)


def _noisy_blocks(em: NoiseEM, target: Task) -> NDArray[np.bool_]:
    verdicts = []
    for block in np.flatnonzero(em.columns.target == em.number(target)):
        unmixed = em.unmixed[block]
        share = unmixed.support.sum() / max(1e-9, em.counted[block])
        sure = unmixed.gain > LEAST_GAIN and share > LEAST_SHARE
        sure = sure and unmixed.labels > 1
        # of any clean label, most labels found must be right
        sure = sure and unmixed.confusion.diagonal(axis1=1, axis2=2).min() > 0.5
        verdicts.append(sure and bool((_interval(em, int(block))[1] > LEAST_RATE).any()))
    return np.array(verdicts)


def _noise(em: NoiseEM, target: Task, keep: NDArray[np.bool_] | None = None) -> Noise:
    """Return the noise of a target; blocks not in `keep` get the identity."""
    blocks = np.flatnonzero(em.columns.target == em.number(target))
    confusion = np.stack([em.unmixed[b].confusion for b in blocks], axis=1)
    if keep is not None:
        confusion[:, ~keep] = np.eye(confusion.shape[-1])
    # a label's block is (on, off), its confusion (off, on)
    confusion = confusion[:, 0] if isinstance(target, Multiclass) else confusion[..., ::-1, ::-1]
    rate, low, high = np.stack([_interval(em, int(b)) for b in blocks], axis=2)
    support = np.stack([em.unmixed[b].support for b in blocks], axis=1)
    return Noise(target, confusion, rate, low, high, support)


def _cleaned(em: NoiseEM, relation: Relation, noisy: NDArray[np.bool_]) -> Relation:
    table = em.columns.part(em.table, em.number(relation.target))
    kept = np.broadcast_to(noisy, table.shape)
    # what is unknown stays so, and entries of labels without noise as they were
    table = np.where(relation.mask & kept, table, relation.table)
    origin = Message("message.noise_taken_out", {"origin": relation.origin})
    return replace(relation, table=table, origin=origin)

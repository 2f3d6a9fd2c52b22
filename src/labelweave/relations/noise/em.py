"""Expectation maximisation over the classes of rows, the clean tables and the confusions."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.relations.estimation.columns import Columns, Floats, Matrix
from labelweave.relations.estimation.problem import Problem, Rows
from labelweave.relations.estimation.temperature import newton_step
from labelweave.relations.noise.unmixing import Unmixed, unmix
from labelweave.relations.relation import Relation
from labelweave.tasks import Task

STEPS = 12
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
        self.columns = Columns([relation.target for relation in relations])
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

    def run(self) -> None:
        """Iterate."""
        for _ in range(STEPS):
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
        slope = curvature = 0.0
        for source, (classes, targets) in enumerate(self.rows):
            for rows in self.problem.chunks(classes):
                labels = self.columns.one_hot(self.problem.annotations, rows)
                np.add.at(counts[source], self.problem.classes[rows], labels)
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
                slope += float(((after - guess) * log_p).sum())
                mean = (guess * log_p).sum(axis=1)
                curvature += float((guess * np.square(log_p)).sum() - mean @ mean)
            self.prior[source] = mass / mass.sum()
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
        p[known >= 0] = np.eye(p.shape[1])[known[known >= 0]]
        return p


def _softmax(scores: Matrix) -> Matrix:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))

"""All that the estimation of one source task's relations looks at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.relations.estimation.columns import Columns, Floats
from labelweave.tasks import Multiclass

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Labels and predictions of the rows that speak about one source task's relations.

    Attributes:
        source: the source task, K classes.
        columns: the targets.
        annotations: labels of all n rows.
        predictions: per task (n, K) or (n, L) probabilities; empty = none in use.
        data_source: (n,) from which of D data sources each row comes.
        co_labelled: whether labels beside the class's label are in use.
        chunk: the most rows worked on at a time.
    """

    source: Multiclass
    columns: Columns
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
        for start in range(0, len(rows), self.chunk):
            yield rows[start : start + self.chunk]

    def log_predicted_class(self, rows: Rows) -> NDArray[np.float32]:
        """Return log p(s|x) of some rows, (b, K), no less than log 1e-6."""
        return np.log(np.maximum(self.predictions[self.source.name][rows], 1e-6, dtype=np.float32))

    def log_predicted_targets(self, rows: Rows) -> NDArray[np.float32]:
        """Return log p(t|x) of some rows as columns, (b, W), no less than log 1e-6."""
        return np.log(np.maximum(self.columns.probabilities(self.predictions, rows), 1e-6))

"""What was estimated for one relation, how sure it is, and where expert and data disagree."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labelweave.relations.estimation.columns import Matrix

from labelweave.relations.relation import Relation



@dataclass(frozen=True)
class Surprise:
    """An entry of the table on which expert and data disagree beyond their intervals.

    Attributes:
        class_name: the source task's class (row).
        label: the target's class or label (column).
        expert: the expert's probability.
        data: the data's own estimate, without the expert.
        low, high: interval of the data's estimate.
        surprise: the gap between the expert's interval and the data's, in (0, 1].
    """

    class_name: str
    label: str
    expert: float
    data: float
    low: float
    high: float
    surprise: float


@dataclass(frozen=True, eq=False)
class Estimate:
    """A relation's table as estimated; all arrays but `shares` and `class_prior` as the table.

    Attributes:
        relation: the posterior mean, with the entries that some evidence speaks about as known.
        low, high: credible interval of every entry (.95), given the labels that EM settled on.
        support: effective number of rows behind every entry, without the expert's pseudo-counts.
        shares: (K, 3) shares of knowledge, annotations and predictions in the evidence about each
            class; all 0 for a class without evidence.
        class_prior: (D, K) estimated class prior of the rows that carry target labels only, by
            data source; the class frequencies where a source has no such rows.
        data: the same estimate without the expert; `relation` itself where there is none.
        data_low, data_high: its interval.
        prior: the expert's relation, if any.
        prior_low, prior_high: interval of the expert's entries at the strength they were given.
        trust: probability that the expert's entry (or row, for a multiclass target) is right; 0
            where the expert says nothing.
    """

    relation: Relation
    low: Matrix
    high: Matrix
    support: Matrix
    shares: Matrix
    class_prior: Matrix
    data: Relation
    data_low: Matrix
    data_high: Matrix
    prior: Relation | None
    prior_low: Matrix
    prior_high: Matrix
    trust: Matrix

    def surprising(self) -> list[Surprise]:
        """Return the entries where expert and data disagree, most surprising first."""
        if self.prior is None:
            return []
        gap = np.maximum(self.prior_low - self.data_high, self.data_low - self.prior_high)
        gap = np.where(self.prior.mask & self.data.mask, gap, 0.0)
        rows, columns = np.nonzero(gap > 0)
        order = np.argsort(-gap[rows, columns], kind="stable")
        source, target = self.relation.source, self.relation.target
        return [
            Surprise(
                source.names[k],
                target.names[j],
                float(self.prior.table[k, j]),
                float(self.data.table[k, j]),
                float(self.data_low[k, j]),
                float(self.data_high[k, j]),
                float(gap[k, j]),
            )
            for k, j in zip(rows[order], columns[order], strict=True)
        ]

    def wrong_rows(self) -> list[str]:
        """Return the classes whose expert row the data contradict, in the table's order.

        A row is named when it holds a surprising entry that is trusted less than one half.
        """
        names, labels = self.relation.source.names, self.relation.target.names
        named = {
            s.class_name
            for s in self.surprising()
            if self.trust[names.index(s.class_name), labels.index(s.label)] < 0.5
        }
        return [name for name in names if name in named]

"""The evidence of estimated tables: the tests of `relate`, on tables that do not know the fold."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from labelweave._messages import Text
from labelweave.annotations import Annotations
from labelweave.coupling._tables import RelationVersions, as_relation
from labelweave.relations import evaluate_relation
from labelweave.tasks import Multiclass, one_hot

Floats = NDArray[np.float64]

REPLICATES, PERMUTATIONS = 200, 60  # a pair of ten tasks must not cost more than its learners


def with_evidence(
    annotations: Annotations,
    predictions: Mapping[str, Floats],
    sources: Sequence[RelationVersions],
    folds: Mapping[str, NDArray[np.int64]],
    groups: NDArray[np.int64] | None,
    seed: int,
) -> tuple[list[RelationVersions], dict[str, Text]]:
    """Return the relations without the estimated ones that held-out labels reject, and why.

    Every row's target label is predicted by the table estimated without the row's fold. A table
    that cannot be judged stays: its strength is shrunk to the prior's. An expert's tables, and
    noisy-ORs, are not judged here.

    Args:
        annotations: labels of n rows.
        predictions: per task probabilities of the same rows, out-of-fold where they are labelled.
        sources: all relations.
        folds: per task what `table_folds` returns.
        groups: (n,) the group of every row; None = every row by itself.
        seed: decides resamplings and permutations.
    """
    kept, rejected = [], {}
    for source in sources:
        version = source.any
        name, target = version.whole.source.name, version.whole.target.name
        if source.given or not isinstance(version.whole.source, Multiclass):
            kept.append(source)
            continue
        p = np.array(predictions[name])
        codes = annotations.labels[name]
        p[codes >= 0] = one_hot(codes[codes >= 0], p.shape[1])
        found = evaluate_relation(
            as_relation(version.whole), p, annotations.labels[target],
            without_fold=[as_relation(link) for link in version.folds], fold=folds[target],
            groups=groups, seed=seed, replicates=REPLICATES, permutations=PERMUTATIONS,
        )  # fmt: skip
        if found.verdict == "not related":
            rejected[source.name] = found.reason
        else:
            kept.append(source)
    return kept, rejected

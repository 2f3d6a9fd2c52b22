"""From a data set to one problem: a split, labels with gaps, and what an expert says."""

import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.suite._data_sets import DataSet, Scattering, Table, TableChoice, Task, load
from labelweave import Annotations, LabelweaveError, Multiclass, Relation

CAP = 2000  # rows to train on, and to test on
TEST_SHARE = 0.3
CATEGORIES = 30  # columns that a categorical input becomes, at most

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Case:
    """One problem: n training rows with gaps in their labels, m test rows with all of them.

    Args:
        data_set: the data set's name.
        scattering: what was hidden, and what the expert says.
        seed: decides the split and which labels are kept.
        tasks: the tasks, classes known.
        relations: the expert's tables; none where there is no expert.
        inputs: the training rows' inputs, (n, d).
        labels: their labels, with gaps.
        groups: their groups, (n,); None = every row is its own.
        test_inputs: the test rows' inputs, (m, d).
        test_labels: their labels, with the gaps of the data set itself.
    """

    data_set: str
    scattering: Scattering
    seed: int
    tasks: tuple[Task, ...]
    relations: tuple[Relation, ...]
    inputs: pd.DataFrame
    labels: Annotations
    groups: Rows | None
    test_inputs: pd.DataFrame
    test_labels: Annotations

    @cached_property
    def encoded(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The inputs of the training and the test rows as numbers.

        Standardised, categories as indicators; all of it is learnt on the training rows.
        """
        numeric = list(self.inputs.select_dtypes("number"))
        other = [str(column) for column in self.inputs if column not in numeric]
        scale = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
        )
        indicators = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=CATEGORIES, sparse_output=False
        )
        encoder = ColumnTransformer([("numbers", scale, numeric), ("names", indicators, other)])
        frames = [
            frame.assign(**{column: frame[column].astype(str) for column in other})
            for frame in (self.inputs, self.test_inputs)
        ]
        train = encoder.fit_transform(frames[0])
        return np.asarray(train, np.float64), np.asarray(encoder.transform(frames[1]), np.float64)


@lru_cache(maxsize=2)
def make_case(data_set: DataSet, scattering: Scattering, seed: int) -> Case:
    """Return the problem that a scattering makes of a data set.

    The split depends on the set and the seed alone, so every scattering is tested on the same rows.
    More labels a class are the former ones and others.
    """
    table = load(data_set)
    train, test = split(table, np.random.default_rng([_number(data_set.name), seed]))
    generator = np.random.default_rng([_number(data_set.name), _number(scattering.rare), seed])
    order = generator.permutation(train)
    chosen = rare_rows(table.labels, scattering, order)
    rest = np.setdiff1d(train, chosen)
    others = [task.name for task in table.labels.tasks if task.name != scattering.rare]
    labels = Annotations.concatenate(
        [table.labels[chosen].keep([scattering.rare]), table.labels[rest].keep(others)]
    )
    rows = np.concatenate([chosen, rest])
    # a row without any label is of no use to a method, and an error to some
    some = np.any([labels.labelled(task.name) for task in labels.tasks], axis=0)
    rows = rows[some]
    return Case(
        data_set=data_set.name,
        scattering=scattering,
        seed=seed,
        tasks=table.labels.tasks,
        relations=tables(table.labels, data_set.relations, scattering.table, seed),
        inputs=table.inputs.iloc[rows].reset_index(drop=True),
        labels=labels[some],
        groups=None if table.groups is None else table.groups[rows],
        test_inputs=table.inputs.iloc[test].reset_index(drop=True),
        test_labels=table.labels[test],
    )


def split(table: Table, generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return training and test rows, at most `CAP` of each; groups stay together."""
    n = len(table.inputs)
    groups = np.arange(n) if table.groups is None else table.groups
    order = generator.permutation(groups.max() + 1)
    for_test = np.isin(groups, order[: max(1, round(TEST_SHARE * len(order)))])
    test, train = (
        np.sort(generator.permutation(np.flatnonzero(part))[:CAP]) for part in (for_test, ~for_test)
    )
    return train, test


def rare_rows(labels: Annotations, scattering: Scattering, order: Rows) -> Rows:
    """Return the rows that carry the rare task's labels: the first k of every class in `order`."""
    codes = labels.labels[labels.task(scattering.rare).name][order]
    if codes.ndim == 2 and codes.shape[1] > 1:
        seen = order[(codes >= 0).any(axis=1)]
        return np.asarray(seen[: scattering.k * codes.shape[1]])
    codes = codes.reshape(len(order))
    found = [np.flatnonzero(codes == c)[: scattering.k] for c in range(int(codes.max()) + 1)]
    return np.asarray(order[np.concatenate(found)])


def tables(
    labels: Annotations, pairs: tuple[tuple[str, str], ...], choice: TableChoice, seed: int
) -> tuple[Relation, ...]:
    """Return the expert's tables of the pairs of source and target.

    ``exact`` tables are the frequencies in the whole data set. In wrong ones the same rows of the
    source are exchanged in all of its tables: that expert takes some classes for others.
    """
    if choice == "none":
        return ()
    found = [_counted(labels, *pair) for pair in pairs]
    if choice == "exact":
        return tuple(found)
    share = int(choice.removeprefix("wrong")) / 100
    return tuple(_exchanged(relation, share, seed) for relation in found)


def _counted(labels: Annotations, source: str, target: str) -> Relation:
    given, inferred = labels.task(source), labels.task(target)
    if not isinstance(given, Multiclass):
        raise LabelweaveError(f"relation {source}->{target}: the source is not multiclass")
    rows, codes = labels.labels[source], labels.labels[target]
    if isinstance(inferred, Multiclass):
        both = (rows >= 0) & (codes >= 0)
        counts = np.zeros((given.width, inferred.width))
        np.add.at(counts, (rows[both], codes[both]), 1)
        support = np.repeat(counts.sum(axis=1, keepdims=True), inferred.width, axis=1)
    else:
        counts, support = np.zeros((2, given.width, inferred.width))
        for column in range(inferred.width):
            both = (rows >= 0) & (codes[:, column] >= 0)
            np.add.at(counts[:, column], rows[both], codes[both, column])
            np.add.at(support[:, column], rows[both], 1)
    return Relation(given, inferred, counts / np.maximum(support, 1), support > 0)


def _exchanged(relation: Relation, share: float, seed: int) -> Relation:
    n = relation.source.width
    chosen = np.random.default_rng([seed, n]).permutation(n)[: max(2, round(share * n))]
    rows = np.arange(n)
    rows[chosen] = np.roll(chosen, 1)  # each of them gets another's row
    return Relation(
        relation.source, relation.target, relation.table[rows], relation.mask[rows],
        origin=f"{len(chosen)} of {n} rows exchanged",
    )  # fmt: skip


def _number(text: str) -> int:
    return zlib.crc32(text.encode())

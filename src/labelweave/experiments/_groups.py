"""What joining the tasks did to each group of a column, on a study's test rows."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.evaluation._top_classes import join_kept
from labelweave.experiments._loading import StudyData
from labelweave.experiments._runs import Run
from labelweave.results import GroupEffect, GroupEffects, Results
from labelweave.trust import Predictions, compare_groups
from labelweave.trust._fairness import LEAST_CELL
from labelweave.trust._reading import column_texts

if TYPE_CHECKING:
    from labelweave.experiments._config import StudyConfig


def check_groups(config: "StudyConfig", data: StudyData) -> None:
    """Check that the column of ``statistics: {by: ...}`` is there.

    Raises:
        LabelweaveError: it is none of the inputs.
    """
    name, known = config.statistics.by, [str(each) for each in data.collection.inputs.columns]
    if name is not None and name not in known:
        raise LabelweaveError(
            f"key 'statistics.by': found '{name}', expected a column of the inputs, "
            f"{listing(known)}{nearest(name, known)}"
        )


def group_effects(
    config: "StudyConfig", data: StudyData, results: Results, runs: Mapping[str, Sequence[Run]]
) -> GroupEffects | None:
    """Return what every joint method did to each group, against the baseline.

    Args:
        config: the study's settings.
        data: its data.
        results: of all its methods.
        runs: by method its finished runs.

    Returns:
        None where no column is named, or no joint method ran.
    """
    column, single = config.statistics.by, runs.get(results.baseline)
    methods = [method for method in results.coupled_methods if method in runs]
    if column is None or not single or not methods:
        return None
    before, rows = test_rows(data, single)
    names = column_texts(data.collection.inputs.iloc[rows], column)
    effects: list[GroupEffect] = []
    for method in methods:
        after, _ = test_rows(data, runs[method])
        found = compare_groups(
            after, before, names, replicates=config.statistics.replicates,
            level=config.statistics.level,
        )  # fmt: skip
        effects += [_effect(method, line) for line in found.to_dict("records")]
    counts = {str(name): int((names == name).sum()) for name in dict.fromkeys(names) if name}
    sizes = {name: counts[name] if counts[name] >= LEAST_CELL else None for name in sorted(counts)}
    return GroupEffects(column=column, sizes=sizes, effects=tuple(effects))


def _effect(method: str, line: Mapping[Any, Any]) -> GroupEffect:
    figures = {
        key: None if line[key] is None or math.isnan(line[key]) else float(line[key])
        for key in ("single", "joint", "difference", "low", "high")
    }
    n = int(line["n"])
    return GroupEffect(
        method=method, question=line["question"], group=line["group"], verdict=line["verdict"],
        n=n if n >= LEAST_CELL else None, **figures,
    )  # fmt: skip


def test_rows(data: StudyData, runs: Sequence[Run]) -> tuple[Predictions, NDArray[np.int64]]:
    """Return what a method predicts for the test rows of all seeds, and their places.

    Rows of one group count together, also a row that several seeds test.

    Args:
        data: of the study.
        runs: of the method, one a seed.
    """
    index = np.concatenate([run.rows() for run in runs])
    given = [run.predictions() for run in runs]
    probabilities: dict[str, Any] = {name: join_kept([p[name] for p in given]) for name in given[0]}
    cuts = [run.record()["thresholds"] for run in runs]
    thresholds = {n: np.mean([c[n] for c in cuts], axis=0) for n in cuts[0]}
    collection = data.collection
    labels, groups = collection.annotations[index], collection.groups[index]
    return Predictions(labels, probabilities, groups, thresholds), index


def finished_runs(output: Path, results: Results, method: str) -> list[Run]:
    """Return the finished runs of a method in a study's folder.

    Raises:
        LabelweaveError: there is none.
    """
    found = [
        Run(each.method, each.seed, each.key, output / "runs" / each.folder)
        for each in results.runs
        if each.method == method
    ]
    if not found:
        raise LabelweaveError(f"{output}: no run of '{method}'; run the study again")
    return found

"""Which inputs matter to each task: permutation importance of raw columns."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from labelweave._targets import Table, Targets
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.estimator import MultiTaskClassifier
from labelweave.evaluation._metrics import EPSILON
from labelweave.evaluation._questions import Floats, Probabilities
from labelweave.tables._frames import input_frame
from labelweave.tasks import Multiclass
from labelweave.trust._predictions import (
    AnyModel,
    Predictions,
    predict_rows,
    predictor_of,
    probabilities_of,
)
from labelweave.trust._resampling import Resampling

REPLICATES = 1_000
ROWS_A_CALL = 2_000


def input_importance(
    model: AnyModel,
    X: Table,
    y: Targets,
    *,
    groups: ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    repeats: int = 5,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return by how much each task gets worse when a column's values are exchanged between rows.

    Permutation importance (Breiman, "Random forests", 2001; Fisher, Rudin and Dominici, "All models
    are wrong, but many are useful", JMLR 2019) of raw columns, so that all that a category became
    is exchanged together. Columns that carry the same information hide each other. Intervals are
    percentiles of a bootstrap over the rows' groups.

    Args:
        model: a fitted classifier or a saved model.
        X: the inputs of n rows, new to the model.
        y: their labels by task.
        groups: (n,) what ties rows together; None = every row by itself.
        columns: which columns; None = all inputs.
        repeats: exchanges of each column, averaged.
        level: coverage of the intervals.
        seed: of exchanges and resamplings.

    Returns:
        Columns ``task``, ``column``, ``log_loss`` (its rise, in nats), ``low``, ``high`` and
        ``accuracy`` (its fall), the most important first within a task.

    Raises:
        LabelweaveError: an unknown column, no repeat, or inputs that do not fit.
    """
    if repeats < 1:
        raise LabelweaveError(f"repeats: found {repeats}, expected 1 or more")
    frame = model._inputs(X) if isinstance(model, MultiTaskClassifier) else input_frame(X)
    rows = predict_rows(model, X, y, groups)
    known = input_columns_of(model, frame)
    for name in columns or ():
        if name not in known:
            raise LabelweaveError(
                f"no input column '{name}', found {listing(known)}{nearest(name, known)}"
            )
    before = row_scores(rows)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(frame)) for _ in range(repeats)]
    drawn = Resampling(rows.group_codes, REPLICATES, seed)
    lines = []
    for column, all_given in _exchanged(model, frame, columns or known, orders):
        loss = {name: np.zeros(len(rows)) for name in before}
        hits = {name: np.zeros(len(rows)) for name in before}
        for given in all_given:
            after = row_scores(
                Predictions(rows.annotations, given, rows.group_codes, rows.thresholds)
            )
            for name, (worse, right, _) in after.items():
                loss[name] += (worse - before[name][0]) / repeats
                hits[name] += (before[name][1] - right) / repeats
        for name, (_, _, seen) in before.items():
            if not seen.any():
                continue
            low, high = drawn.interval(loss[name], seen, level)
            lines.append(
                {"task": name, "column": column, "log_loss": loss[name][seen].mean(), "low": low,
                 "high": high, "accuracy": hits[name][seen].mean()}
            )  # fmt: skip
    made = pd.DataFrame(
        lines, columns=["task", "column", "log_loss", "low", "high", "accuracy"]
    ).sort_values("log_loss", ascending=False, kind="stable")
    places = {task.name: i for i, task in enumerate(rows.tasks)}
    return made.sort_values("task", key=lambda s: s.map(places), kind="stable", ignore_index=True)


def _exchanged(
    model: AnyModel,
    frame: pd.DataFrame,
    columns: Sequence[str],
    orders: Sequence[NDArray[np.int64]],
) -> Iterator[tuple[str, list[Probabilities]]]:
    """Yield every column with what the model gives when its values are in other orders.

    Several columns are predicted together: a call costs some learners more than its rows do.
    """
    n, repeats = len(frame), len(orders)
    together = max(1, ROWS_A_CALL // max(1, n * repeats))
    for start in range(0, len(columns), together):
        chosen = columns[start : start + together]
        mixed = [
            frame.assign(**{column: frame[column].to_numpy()[order]})
            for column in chosen
            for order in orders
        ]
        given = probabilities_of(predictor_of(model), pd.concat(mixed, ignore_index=True))
        for number, column in enumerate(chosen):
            ends = (n * (number * repeats + repeat) for repeat in range(repeats))
            yield column, [{name: p[at : at + n] for name, p in given.items()} for at in ends]


def input_columns_of(model: AnyModel, frame: pd.DataFrame) -> list[str]:
    """Return the columns of a table that a model takes as inputs."""
    schema = predictor_of(model).encoder.schema
    named = [] if schema is None else schema.named("input")
    return [str(c) for c in frame.columns if not named or str(c) in named]


def row_scores(rows: Predictions) -> dict[str, tuple[Floats, Floats, NDArray[np.bool_]]]:
    """Return by task the log-loss and the share right of every row, and which rows have a label.

    Of a multilabel task the means over its known labels.
    """
    found = {}
    for task in rows.tasks:
        p, codes = np.asarray(rows.probabilities[task.name]), rows.labels(task.name)
        if isinstance(task, Multiclass):
            seen = np.asarray(codes >= 0)
            truth = p[np.arange(len(p)), np.maximum(codes, 0)]
            loss, right = -np.log(np.maximum(truth, EPSILON)), p.argmax(axis=1) == codes
            found[task.name] = (loss, right.astype(np.float64), seen)
            continue
        known = codes >= 0
        truth = np.maximum(np.where(codes == 1, p, 1 - p), EPSILON)
        cuts: Any = rows.thresholds.get(task.name, 0.5)
        right = (p >= cuts) == (codes == 1)
        count = np.maximum(known.sum(axis=1), 1)
        loss = np.where(known, -np.log(truth), 0.0).sum(axis=1) / count
        share = np.where(known, right, False).sum(axis=1) / count
        found[task.name] = (loss, share, np.asarray(known.any(axis=1)))
    return found

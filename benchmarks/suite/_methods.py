"""The methods that the suite compares: from a case and a seed to test probabilities."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks.suite._scatterings import Case
from labelweave import Multiclass
from labelweave.relations._operations import multiply_in

Probabilities = dict[str, NDArray[np.float64]]
Predict = Callable[[Case, int], Probabilities]
Fit = Callable[
    [NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], int], NDArray[np.float64]
]

STEPS = 800
FOLDS = 5
STRENGTHS = (0.1, 1.0, 10.0)
LEAVES = (1, 5)
TREES = 200
TINY = 1e-3  # a tree or two of 200 may be wrong about a row without deciding the choice


@dataclass(frozen=True)
class Method:
    """A method by name.

    Args:
        name: its name on the command line.
        predict: returns per task (n, K) class or (n, L) label-on probabilities of the test rows.
        package: it is a method of the package, whose sources therefore decide its results.
        uses_tables: the expert's tables change what it predicts; if not, scatterings with the same
            layout share its runs.
        needs_tables: without a table it is not defined.
    """

    name: str
    predict: Predict
    package: bool = True
    uses_tables: bool = True
    needs_tables: bool = False


def _fitted(case: Case, seed: int, name: str, **options: Any) -> Probabilities:
    import torch  # here, for it takes seconds and the plain methods do without

    from labelweave import MultiTaskClassifier

    torch.set_num_threads(1)
    classifier = MultiTaskClassifier(case.tasks, method=name, random_state=seed, **options)
    classifier.fit(case.inputs, case.labels)
    return {
        task: np.asarray(p, np.float64)
        for task, p in classifier.predict_proba(case.test_inputs).items()
    }


def uncoupled(name: str) -> Predict:
    """Return a method that trains networks without relations: `single_task` or `multi_task`."""
    return lambda case, seed: _fitted(case, seed, name, steps=STEPS)


def full(case: Case, seed: int) -> Probabilities:
    """Couple one network by the tables that hold, found or given ones corrected by the data."""
    return _fitted(
        case, seed, "full", steps=STEPS, relations=case.relations, relatedness={"from": "all"}
    )


def post_hoc(case: Case, seed: int) -> Probabilities:
    """Multiply the given tables into the predictions of `multi_task`: the exact marginals."""
    return multiply_in(uncoupled("multi_task")(case, seed), case.relations)


def guarded(name: str) -> Predict:
    """Return a method by the package's own name, with its own defaults."""

    def predict(case: Case, seed: int) -> Probabilities:
        return _fitted(case, seed, name, relations=case.relations)

    return predict


def plain(fit: Fit) -> Predict:
    """Return a method that fits one ordinary classifier a task, and one a label of several.

    A label that is always on or always off gets its smoothed frequency, and so does a class that
    the labelled rows lack.
    """

    def predict(case: Case, seed: int) -> Probabilities:
        inputs, test = case.encoded
        found: Probabilities = {}
        for task in case.tasks:
            codes = case.labels.labels[task.name].astype(np.int64)
            if isinstance(task, Multiclass):
                found[task.name] = _one(fit, inputs, codes, test, task.width, seed)
            else:
                columns = [_one(fit, inputs, column, test, 2, seed)[:, 1] for column in codes.T]
                found[task.name] = np.stack(columns, axis=1)
        return found

    return predict


def _one(
    fit: Fit,
    inputs: NDArray[np.float64],
    codes: NDArray[np.int64],
    test: NDArray[np.float64],
    width: int,
    seed: int,
) -> NDArray[np.float64]:
    own = codes >= 0
    counts = np.bincount(codes[own], minlength=width)
    smoothed = np.tile((counts + 1) / (counts.sum() + width), (len(test), 1))
    seen = np.flatnonzero(counts)
    if len(seen) < 2:
        return smoothed
    unseen = smoothed[0, counts == 0].sum()
    smoothed[:, seen] = (1 - unseen) * fit(inputs[own], codes[own], test, seed)
    return np.asarray(smoothed)


def logistic(
    inputs: NDArray[np.float64], codes: NDArray[np.int64], test: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Return a logistic regression's probabilities, its strength that of least loss out of fold.

    Where a class has one row no choice can be justified, and the strongest penalty is the safest.
    """
    models = [LogisticRegression(C=strength, max_iter=300) for strength in STRENGTHS]
    folds = min(FOLDS, int(np.bincount(codes)[np.unique(codes)].min()))
    best = models[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not converged; many classes for few rows
        if folds >= 2:
            cv = StratifiedKFold(folds, shuffle=True, random_state=seed)
            outer = [
                cross_val_predict(model, inputs, codes, cv=cv, method="predict_proba")
                for model in models
            ]
            best = models[int(np.argmin([log_loss(codes, p) for p in outer]))]
        return np.asarray(best.fit(inputs, codes).predict_proba(test), np.float64)


def forest(
    inputs: NDArray[np.float64], codes: NDArray[np.int64], test: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Return a random forest's probabilities, the size of its leaves that of least loss out of bag.

    A row that every tree has seen does not count.
    """
    models, losses = [], []
    truth = np.unique(codes, return_inverse=True)[1]
    for leaf in LEAVES:
        model = RandomForestClassifier(
            TREES, min_samples_leaf=leaf, random_state=seed, oob_score=True
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "some inputs do not have OOB scores"
            models.append(model.fit(inputs, codes))
        own = model.oob_decision_function_[np.arange(len(truth)), truth]
        own = own[np.isfinite(own)]
        losses.append(-np.log(np.maximum(own, TINY)).mean() if len(own) else 0.0)
    return np.asarray(models[int(np.argmin(losses))].predict_proba(test), np.float64)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("logistic", plain(logistic), package=False, uses_tables=False),
        Method("forest", plain(forest), package=False, uses_tables=False),
        Method("single_task", uncoupled("single_task"), uses_tables=False),
        Method("best_single_task", guarded("best_single_task"), uses_tables=False),
        Method("multi_task", uncoupled("multi_task"), uses_tables=False),
        Method("post_hoc", post_hoc, needs_tables=True),
        Method("full", full),
        Method("coupled", guarded("coupled")),
        Method("student", guarded("student")),
    )
}

"""Coverage of the sets that a finished model keeps, and its calibration before and after.

Run: python -m benchmarks.stored_sets [--sets ames,pitches,rodents] [--seeds 2]

As `labelweave finish` does: predictions of fits on two thirds of the training rows set calibration
and thresholds, for the shares of classes that the labels of related tasks show; the model is
fitted on all of them. Measured on the test rows, nominal .90. The
models are `coupled` with logistic regressions and extra trees, on the suite's first scattering.
"""

from typing import Any

import numpy as np

from benchmarks.suite._lines import measured_lines
from benchmarks.suite._scatterings import Case, make_case
from benchmarks.suite._sets import SETS
from labelweave.class_priors import labelled_prior, population_prior, source_priors
from labelweave.coupling import CoupledStack, fit_coupled
from labelweave.trust import (
    Predictions,
    calibrated,
    calibration_figures,
    cross_calibrate,
    evaluate_sets,
)
from labelweave.trust._predictions import learnable_labels
from labelweave.trust._saved_sets import saved_sets

COVERAGE, FOLDS = 0.9, 3
LEARNERS = ("logistic", "logistic_strong", "extra_trees")


def fitted(case: Case, rows: Any, seed: int) -> CoupledStack:
    groups = None if case.groups is None else case.groups[rows]
    return fit_coupled(
        case.encoded[0][rows], case.labels[rows], case.relations, learners=LEARNERS,
        groups=groups, seed=seed,
    )  # fmt: skip


def measured(name: str, seed: int) -> list[dict[str, Any]]:
    case = make_case(SETS[name], SETS[name].scatterings[0], seed)
    X, X_test = case.encoded
    n = len(X)
    groups = np.arange(n) if case.groups is None else np.asarray(case.groups)
    names = np.unique(groups)
    part = np.random.default_rng(seed).permutation(len(names))[np.searchsorted(names, groups)]
    held = {task.name: np.zeros((n, task.width)) for task in case.tasks}
    for fold in range(FOLDS):
        out = part % FOLDS == fold
        given = fitted(case, ~out, seed).predict_proba(X[out])
        for task, p in given.items():
            held[task][out] = p
    judged = learnable_labels(case.labels, groups)
    found = cross_calibrate(Predictions(judged, held, groups), seed)
    source = np.where(case.labels.labelled(case.scattering.rare), 0, 1)
    training = {task.name: labelled_prior(case.labels, task.name) for task in case.tasks}
    own = source_priors(case.labels, source, case.relations, training)
    sets = saved_sets(found.after, population_prior(own, source))
    before = Predictions(case.test_labels, fitted(case, np.arange(n), seed).predict_proba(X_test))
    after = calibrated(before, found.calibration)
    rule = sets.rule(case.tasks, COVERAGE)
    covered = evaluate_sets(after, rule.predict(after.probabilities))
    errors = [
        {question: figures.ece for question, figures in calibration_figures(rows).items()}
        for rows in (before, after)
    ]
    labels = {question.question: question.labels for question in rule.promises}
    return [
        {"set": name, "task": task, "labels": labels[task], "coverage": figures.coverage,
         "size": figures.size, "ECE before": errors[0][task], "ECE after": errors[1][task]}
        for task, figures in covered.items()
    ]  # fmt: skip


def main() -> None:
    found = measured_lines(__doc__, "ames,pitches,rodents", 2, measured)
    table = found.groupby(["set", "task"], sort=False)
    print(table.mean().round(3).to_string())
    print(table["coverage"].agg(["min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()

"""Coverage and size of conformal sets on real data: separate sets, and joint ones over tables.

Run: python -m benchmarks.conformal_sets [--sets loans,pitches,rodents] [--seeds 4]

The models are `coupled` with the library's two logistic regressions and extra trees, on the suite's
first scattering of each set. Half of the test rows, whole groups, set the thresholds; the other
half is measured. Joint sets hold the answer to all related tasks; the separate ones that they are
compared with promise the same, one task each at 1 - 0.1 / tasks.
"""

from typing import Any

import numpy as np

from benchmarks.suite._data_sets import load
from benchmarks.suite._lines import measured_lines
from benchmarks.suite._scatterings import Case, _number, make_case, split
from benchmarks.suite._sets import SETS
from labelweave.coupling import CoupledStack, fit_coupled
from labelweave.tasks import Multiclass
from labelweave.trust import (
    JointRule,
    Predictions,
    evaluate_joint_sets,
    evaluate_sets,
    fit_joint_sets,
    fit_sets,
)

COVERAGE = 0.9
LEARNERS = ("logistic", "logistic_strong", "extra_trees")


def fitted(case: Case, seed: int) -> CoupledStack:
    X, _ = case.encoded
    return fit_coupled(
        X, case.labels, case.relations, learners=LEARNERS, groups=case.groups, seed=seed
    )


def halves(rows: Predictions, seed: int) -> tuple[Predictions, Predictions]:
    order = np.random.default_rng(seed).permutation(rows.group_codes.max() + 1)
    first = np.isin(rows.group_codes, order[: len(order) // 2])
    return rows[first], rows[~first]


def separate_answers(rule: JointRule, rows: Predictions, new: Predictions) -> float:
    """Return the mean size of the product of the separate sets of a rule's tasks."""
    level = 1 - (1 - COVERAGE) / len(rule.tree.variables)
    sets = fit_sets(rows, level).predict(new.probabilities)
    size = np.ones(len(new))
    for task in rule.tree.tasks:
        block = sets[task.name]
        size = size * (
            block.sum(axis=1) if isinstance(task, Multiclass) else block.sum(axis=2).prod(axis=1)
        )
    return float(size.mean())


def measured(name: str, seed: int) -> list[dict[str, Any]]:
    data_set = SETS[name]
    case = make_case(data_set, data_set.scatterings[0], seed)
    stack = fitted(case, seed)
    _, X = case.encoded
    table = load(data_set)
    _, test = split(table, np.random.default_rng([_number(name), seed]))  # as in make_case
    groups = None if table.groups is None else table.groups[test]
    given = stack.predict_proba(X)
    rows, new = halves(Predictions(case.test_labels, given, groups), seed)
    sets = fit_sets(rows, COVERAGE).predict(new.probabilities, allow_empty=True)
    found: list[dict[str, Any]] = [
        {"set": name, "what": f"task {question}", "coverage": f.coverage, "size": f.size}
        for question, f in evaluate_sets(new, sets).items()
    ]
    for rule in fit_joint_sets(rows, case.relations, COVERAGE):
        joint = rule.predict(new.probabilities)
        figures = evaluate_joint_sets(new, joint)
        found.append(
            {"set": name, "what": f"all of {len(rule.tree.variables)} together ({rule.way})",
             "coverage": figures.coverage, "size": figures.size,
             "separate": separate_answers(rule, rows, new), "listed": joint.whole.mean()}
        )  # fmt: skip
    return found


def main() -> None:
    found = measured_lines(__doc__, "loans,pitches,rodents,ames,olive,leaves", 4, measured)
    table = found.groupby(["set", "what"], sort=False).mean()
    table["share"] = table["size"] / table["separate"]
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()

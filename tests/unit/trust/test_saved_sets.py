"""Thresholds of sets in a file: those of `fit_sets`, for every coverage, and damaged ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_calibration_maps import HOT, KIND, SIGNS, drawn

from labelweave import Annotations, LabelweaveError
from labelweave.trust import Predictions, evaluate_sets, fit_sets
from labelweave.trust._saved_sets import COVERAGES, SavedSets, read_sets, saved_sets

TASKS = (KIND, SIGNS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SavedSets]:
    folder = tmp_path_factory.mktemp("sets")
    made = saved_sets(drawn(300, 0))
    made.write(folder)
    return folder, made


def test_read_again_they_are_the_thresholds_of_fit_sets(saved: tuple[Path, SavedSets]):
    found = read_sets(saved[0], TASKS)
    assert found is not None
    new = drawn(2000, 1)
    for coverage in (0.5, 0.9, 0.99):
        for per in ("task", "class"):
            rule, wanted = (
                found.rule(TASKS, coverage, per),
                fit_sets(drawn(300, 0), coverage, per=per),
            )
            for name, cuts in wanted.cuts[None].items():
                np.testing.assert_allclose(rule.cuts[None][name], np.minimum(cuts, 1), atol=2e-6)
                assert (rule.cuts[None][name] >= np.minimum(cuts, 1) - 1e-9).all()
            assert rule.notes == wanted.notes
    figures = evaluate_sets(new, found.rule(TASKS, 0.9).predict(new.probabilities))
    assert all(0.87 < each.coverage < 0.94 for each in figures.values())


def test_too_few_labels_give_every_class_and_say_so():
    few = Predictions(
        Annotations((HOT,), {"hot": np.array([[0], [1], [1]])}),
        {"hot": np.array([[0.1], [0.9], [0.8]])},
    )
    rule = saved_sets(few).rule((HOT,), 0.9)
    assert rule.predict({"hot": np.array([[0.99]])})["hot"].all()
    assert rule.notes == [
        "hot, all: no coverage can be promised, found 3 labels, expected at least 9"
    ]


@pytest.mark.parametrize("coverage", [0.49, 0.995, 0.905])
def test_other_coverages_are_refused(saved: tuple[Path, SavedSets], coverage: float):
    with pytest.raises(
        LabelweaveError, match=f"^coverage: found {coverage:g}, expected .50 to .99"
    ):
        saved[1].rule(TASKS, coverage)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cuts": [0.5]}, "cuts"),
        ({"cuts": [2.0] * len(COVERAGES)}, "cuts"),
        ({"labels": -1}, "labels"),
        ({"class_labels": [1, 2]}, "do not fit each other"),
    ],
)
def test_damaged_files_are_refused(
    saved: tuple[Path, SavedSets], change: dict, said: str, tmp_path: Path
):
    content = json.loads((saved[0] / "sets.json").read_text())
    content["questions"]["kind"] |= change
    (tmp_path / "sets.json").write_text(json.dumps(content))
    with pytest.raises(LabelweaveError, match=r"sets\.json") as error:
        read_sets(tmp_path, TASKS)
    assert said in str(error.value)


def test_sets_of_other_tasks_are_refused(saved: tuple[Path, SavedSets], tmp_path: Path):
    with pytest.raises(LabelweaveError, match=r"sets\.json: found no thresholds of 'hot'"):
        read_sets(saved[0], (HOT,))
    assert read_sets(tmp_path, TASKS) is None

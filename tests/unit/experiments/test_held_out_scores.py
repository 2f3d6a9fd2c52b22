"""The recommendation rests on training rows that were held out."""

from dataclasses import replace

import numpy as np
import pytest
from study_example import write_study

from labelweave.evaluation import recommend
from labelweave.experiments import Study, _selection
from labelweave.experiments._selection import held_out_scores
from labelweave.results import Results

METHODS = ["single_task", "multi_task", "full"]


@pytest.mark.parametrize(
    ("split", "seeds", "judged"),
    [
        ({"test": 60, "validation": 0}, [3, 4, 5], True),
        ({"test": 60, "validation": 0.2}, [3], True),
        ({"test": 60, "validation": 0}, [3], False),
    ],
)
def test_held_out_training_rows_decide_where_there_are_any(tmp_path, split, seeds, judged) -> None:
    path = write_study(tmp_path, split=split, seeds=seeds, methods=METHODS)
    study = Study.from_file(path)
    results = study.run(jobs=1, progress=False)
    found = results.recommended
    assert (found.held_out_rows > 0) == judged
    assert found.method in METHODS
    inner = len(list((study.output / "runs").glob("full-*"))) - len(seeds)
    assert inner == (1 if len(seeds) == 3 else 0)
    assert {run.seed for run in results.runs} == set(seeds)
    assert len(results.runs) == len(seeds) * len(METHODS)
    again = Results.from_json(results.to_json()).recommended
    assert (again.held_out_rows, again.equal) == (found.held_out_rows, found.equal)
    if judged:
        assert found.held_out_rows <= sum(results.splits.values()) * len(seeds)


def test_other_test_rows_do_not_change_the_choice(tmp_path) -> None:
    study = Study.from_file(
        write_study(tmp_path, split={"test": 60, "validation": 0.2}, methods=METHODS)
    )
    context_results = study.run(jobs=1, progress=False)
    scores = {m: np.full((20, 2), s) for m, s in zip(METHODS, (0.5, 0.7, 0.6), strict=True)}
    turned = replace(context_results, verdicts={}, differences={})
    assert recommend(context_results, scores).method == "multi_task"
    assert recommend(turned, scores).method == "multi_task"


def test_without_two_candidates_nothing_is_judged(tmp_path) -> None:
    study = Study.from_file(write_study(tmp_path, methods=["single_task"]))
    results = study.run(jobs=1, progress=False)
    assert results.recommended.held_out_rows == 0
    with study._working(1, False) as context:
        assert held_out_scores(context, study._trained, study.splits()) is None


def test_of_very_many_classes_some_validation_rows_judge(tmp_path, monkeypatch) -> None:
    split = Study.from_file(
        write_study(tmp_path, split={"test": 60, "validation": 30})
    ).first_split()
    assert _selection._of_some_rows(split) is split
    monkeypatch.setattr(_selection, "CELLS", 5 * 11)  # 3 classes and 2 labels
    monkeypatch.setattr(_selection, "LEAST", 5)
    some = _selection._of_some_rows(split).validation
    assert len(some.index) == len(set(some.index)) == 11
    assert some.index[[0, -1]].tolist() == split.validation.index[[0, -1]].tolist()
    assert (
        some.inputs.tolist()
        == split.validation.inputs[np.isin(split.validation.index, some.index)].tolist()
    )

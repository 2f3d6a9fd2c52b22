"""The ablation shows the share of each step of `coupled`."""

import io

import numpy as np
import pytest
from rich.console import Console
from study_example import write_study

from labelweave.experiments import Study, run_ablation
from labelweave.experiments._coupled_steps import STEPS, step_name, step_predictions
from labelweave.fitting._stack import StackModel
from labelweave.report import print_ablation
from labelweave.results import Results


@pytest.fixture(scope="module")
def ablated(tmp_path_factory):
    path = write_study(
        tmp_path_factory.mktemp("steps"),
        methods=["single_task", "coupled"],
        learners=["logistic", "kernel_logistic"],
    )
    study = Study.from_file(path)
    return study, run_ablation(study, jobs=1, progress=False)


def test_every_step_has_a_row_with_figures_and_the_guard_is_the_method(ablated) -> None:
    _, results = ablated
    rows = [row for row in results.rows if row.form == "any learners"]
    names = [step_name("coupled", step) for step in STEPS]
    assert [row.method for row in rows] == [*names, "coupled"]
    for name in names:
        for task in results.tasks:
            assert results.score(name, task).mean is not None
            assert results.difference(name, task).mean is not None
    assert Results.from_json(results.to_json()).rows == results.rows
    text = io.StringIO()
    print_ablation(results, Console(file=text, width=100))
    assert "+ table, at full strength" in text.getvalue()


def test_steps_are_those_of_the_fitted_stack_and_a_task_without_a_step_keeps_the_last(
    ablated,
) -> None:
    study, results = ablated
    (run,) = [run for run in results.runs if run.method == "coupled"]
    model = StackModel.load(study.output / "runs" / run.folder / "model")
    X = np.random.default_rng(0).normal(size=(30, len(model.stack.centre)))
    found = step_predictions(model.stack, X)
    assert list(found) == list(STEPS)
    candidates = model.stack.candidates(X)
    for step in STEPS:
        assert set(found[step]) == {"kind", "form"}
    for name, of_task in candidates.items():
        np.testing.assert_array_equal(found["learners"][name], of_task["alone"])
        taught = of_task.get("self_trained_coupled", of_task.get("self_trained"))
        last = found["strengths"][name] if taught is None else taught
        np.testing.assert_array_equal(found["self_training"][name], last)
    assert not np.allclose(found["table"]["form"], found["learners"]["form"])

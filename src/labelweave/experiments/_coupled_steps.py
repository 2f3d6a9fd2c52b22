"""What each step of `coupled` predicts for the test rows, from its fitted stack alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation._top_classes import Kept
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._results import against, replicates_of, summarised
from labelweave.experiments._runs import Run
from labelweave.experiments._scheduler import Trained
from labelweave.fitting._stack import StackModel
from labelweave.results import Results

if TYPE_CHECKING:
    from labelweave.coupling import CoupledStack

Predictions = dict[str, NDArray[np.float32]]

# in the order of the method; the last step, the guard, is the method itself
STEPS: Mapping[str, str] = {
    "learners": "learners, stacked",
    "table": "+ table, at full strength",
    "strengths": "+ strengths",
    "self_training": "+ self-training",
}


@dataclass(frozen=True)
class StepRun(Run):
    """A run whose predictions are those of one step of another run."""

    given: Predictions = field(default_factory=dict)

    def predictions(self) -> dict[str, Kept]:
        """Return the probabilities of the test rows, by task."""
        return dict(self.given)


def with_steps(results: Results, trained: Trained, config: StudyConfig, method: str) -> Results:
    """Return the results with the steps of a method of kind ``stack`` as separate methods.

    Nothing is trained: the learners, tables and self-trained learners of the fitted stack predict
    the test rows once more, each without the steps that follow.

    Args:
        results: those of a study with the method.
        trained: its runs.
        config: its settings.
        method: the method, such as ``coupled``.
    """
    splits = trained.splits[method]
    runs: dict[str, list[Run]] = {step_name(method, step): [] for step in STEPS}
    for run, split in zip(trained.runs[method], splits, strict=True):
        model = StackModel.load(run.folder / "model")
        found = step_predictions(model.stack, np.asarray(split.test.inputs, np.float64))
        for step, p in found.items():
            given = model.under_prior({n: q.astype(np.float32) for n, q in p.items()})
            made = StepRun(step_name(method, step), run.seed, run.key, run.folder, given=given)
            runs[made.method].append(made)
    tasks, level = splits[0].train.annotations.tasks, config.statistics.level
    base = results.baseline
    wanted = {base: trained.runs[base], **runs} if base in trained.runs else runs
    replicates = {
        name: {task.name: replicates_of(task, of_method, splits, config) for task in tasks}
        for name, of_method in wanted.items()
    }
    differences, verdicts = against(base, tasks, replicates, level)
    return replace(
        results,
        methods={**results.methods, **{n: summarised(replicates[n], level) for n in runs}},
        differences={**results.differences, **differences},
        verdicts={**results.verdicts, **verdicts},
        method_titles={
            **results.method_titles,
            **{step_name(method, step): f"{method}: {label}" for step, label in STEPS.items()},
        },
    )


def step_name(method: str, step: str) -> str:
    """Return the name of a step in results."""
    return f"{method} ({step})"


def step_predictions(
    stack: "CoupledStack", X: NDArray[np.float64]
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return by step and task the probabilities of rows.

    A step that a task has not, as self-training without related rows, leaves it as it was.

    Args:
        stack: the fitted stack.
        X: (n, d) encoded inputs.
    """
    from labelweave.coupling._posterior import joint_posterior

    candidates = stack.candidates(X)
    alone = {name: found["alone"] for name, found in candidates.items()}
    full = joint_posterior(alone, [link.with_strengths(1.0, 1.0) for link in stack.links])
    strengths = {n: found.get("coupled", alone[n]) for n, found in candidates.items()}
    trained = {
        n: found.get("self_trained_coupled", found.get("self_trained", strengths[n]))
        for n, found in candidates.items()
    }
    return {"learners": alone, "table": full, "strengths": strengths, "self_training": trained}

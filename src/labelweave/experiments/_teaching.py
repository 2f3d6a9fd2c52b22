"""Which task taught which: parts left out of a study's coupled model, on its test rows."""

from collections.abc import Mapping, Sequence

from labelweave.experiments._runs import Run
from labelweave.fitting._split import Split
from labelweave.fitting._stack import StackModel, load_model
from labelweave.results import GainPart, Results, Teaching
from labelweave.trust import Predictions
from labelweave.trust._gains import gain_parts

MOST_ROWS, CELLS = 5_000, 10_000_000  # of the test, and rows x classes: each part predicts all


def teaching(
    results: Results, runs: Mapping[str, Sequence[Run]], splits: Sequence[Split], level: float
) -> Teaching | None:
    """Return what each part of the coupled stack brought to each task, on the first seed.

    Args:
        results: of all methods.
        runs: by method its finished runs, in the order of `splits`.
        splits: one a seed.
        level: coverage of the intervals.

    Returns:
        None where no method keeps a coupled stack.
    """
    first = [results.recommended.method, *results.coupled_methods]
    for method in dict.fromkeys(name for name in first if name in results.coupled_methods):
        run, split = next(iter(runs.get(method, ())), None), splits[0]
        if run is None or not (run.folder / "model" / "stack").is_dir():
            continue
        model = load_model(run.folder / "model")
        if not isinstance(model, StackModel):
            continue
        test, thresholds = split.test, dict(model.thresholds)
        widest = max(task.width for task in model.tasks)
        kept = slice(0, min(MOST_ROWS, max(1, CELLS // widest)))
        inputs, labels = test.inputs[kept], test.annotations[kept]
        given = model.under_prior(model.probabilities(inputs))
        rows = Predictions(labels, given, test.groups[kept], thresholds)
        lines = gain_parts(model, inputs, rows, level=level).to_dict("records")
        parts = tuple(
            GainPart(**{str(key): value for key, value in line.items()}) for line in lines
        )
        return Teaching(method=method, seed=split.seed, parts=parts)
    return None

"""A training that starts from the weights of a former model, where they fit."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from labelweave.annotations import Annotations
from labelweave.data import Collection, Source
from labelweave.fitting import FitConfig, fit
from labelweave.fitting._methods import METHODS
from labelweave.fitting._split import Split, make_training_split
from labelweave.fitting._start import SHARE
from labelweave.model import Model
from labelweave.tasks import Multiclass

STEPS = 12


def split_of(columns: str = "xyz", kinds: str = "ab", grey: bool = True, shift: float = 0) -> Split:
    """Return 60 rows of numbers and a category, and of two tasks."""
    rng = np.random.default_rng(0)
    inputs = pd.DataFrame(shift + rng.normal(size=(60, len(columns))), columns=list(columns))
    first = (inputs.iloc[:, 0] > shift).to_numpy()
    inputs["colour"] = np.resize(["red", "grey" if grey else "blue"], 60)
    tasks = [Multiclass("kind", tuple(kinds)), Multiclass("tall", ("no", "yes"))]
    given = {task.name: np.where(first, *task.names[:2]) for task in tasks}
    labels = Annotations.from_columns(tasks, given)
    collection = Collection([Source("lab", inputs, labels)])
    return make_training_split(collection, collection.source, (), FitConfig().inputs, 1)


def trained(
    split: Split,
    method: str = "multi_task",
    start: Model | None = None,
    hidden: int = 8,
    **more: float,
) -> Model:
    config = FitConfig.model_validate(
        {
            "network": {"hidden": [hidden]},
            "training": {"steps": STEPS, "batch_size": 16, **more},
        }
    )
    made = fit(METHODS[method], split, config, start=start)
    assert isinstance(made, Model)
    return made


@pytest.fixture(scope="module")
def former() -> Model:
    return trained(split_of())


def weights(model: Model) -> NDArray[np.float32]:
    every = [value.numpy().ravel() for n in model.networks for value in n.state_dict().values()]
    return np.concatenate(every)


@pytest.mark.parametrize("method", ["multi_task", "single_task"])
def test_the_first_weights_are_those_of_the_former_model(method: str) -> None:
    split = split_of()
    before = trained(split, method)
    still = trained(split, method, before, learning_rate=1e-12)
    assert (before.record.warm, still.record.warm) == (False, True)
    assert weights(still) == pytest.approx(weights(before), abs=1e-6)


def test_a_warm_training_has_part_of_the_steps(former: Model) -> None:
    split = split_of()
    assert SHARE < 1
    steps = []
    for start in (None, former):
        curve = trained(split, start=start).record.curve
        assert curve is not None
        steps.append(curve["step"][-1])
    assert steps[1] == pytest.approx(SHARE * steps[0], abs=1)


def test_other_numbers_in_the_same_columns_fit(former: Model) -> None:
    assert trained(split_of(shift=0.5), start=former).record.warm


@pytest.mark.parametrize(
    "other",
    [{"columns": "xyw"}, {"columns": "zyx"}, {"kinds": "ac"}, {"kinds": "abc"}, {"grey": False}],
    ids=["column", "order", "class", "new class", "category"],
)
def test_what_differs_starts_from_new_weights(former: Model, other: dict[str, str]) -> None:
    """All steps, and to the last bit what no start gives."""
    split = split_of(**other)  # type: ignore[arg-type]
    made = trained(split, start=former)
    assert not made.record.warm
    assert np.array_equal(weights(made), weights(trained(split)))


def test_another_architecture_starts_from_new_weights() -> None:
    split = split_of()
    made = trained(split, start=trained(split, hidden=6))
    assert not made.record.warm
    assert np.array_equal(weights(made), weights(trained(split)))

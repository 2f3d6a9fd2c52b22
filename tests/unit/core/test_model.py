import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError
from labelweave.model import Model, NetworkSpec, probability_columns
from labelweave.tasks import Binary, Multiclass, Multilabel

TASKS = (
    Multiclass("kind", ("bolt", "disc", "ring")),
    Multilabel("form", ("round", "hole")),
    Binary("ok", positive="good", negative="bad"),
)


def rows(n: int = 50, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    frame.loc[frame.index % 7 == 0, "b"] = np.nan
    return frame.assign(colour=rng.choice(["red", "blue", "green"], n))


def model(*, single: bool = False, spec: NetworkSpec | None = None) -> Model:
    torch.manual_seed(0)
    encoder = TableEncoder().fit(rows())
    spec = spec or NetworkSpec("mlp", {"hidden": [5], "dropout": 0.1})
    groups = [[task] for task in TASKS] if single else [list(TASKS)]
    networks = [spec.build(len(encoder.names_), tasks) for tasks in groups]
    return Model(encoder, spec, networks, {"form": np.array([0.25, 0.75])})


@pytest.mark.parametrize("single", [False, True])
def test_a_saved_model_predicts_the_same(single: bool, tmp_path: Path) -> None:
    saved, new = model(single=single), rows(20, seed=1)
    new.loc[3, "colour"] = "violet"
    saved.save(tmp_path / "deep" / "model")
    loaded = Model.load(tmp_path / "deep" / "model")
    assert loaded.tasks == TASKS
    assert len(loaded.networks) == (3 if single else 1)
    before, after = saved.predict_proba(new), loaded.predict_proba(new)
    for task in TASKS:
        assert np.array_equal(before[task.name], after[task.name])
        assert np.array_equal(saved.predict(new)[task.name], loaded.predict(new)[task.name])
    assert np.array_equal(loaded.thresholds["form"], [0.25, 0.75])
    assert sorted(file.name for file in (tmp_path / "deep" / "model").iterdir()) == [
        "model.json",
        "weights.safetensors",
    ]


def test_probabilities_become_classes_labels_and_named_values() -> None:
    decided = model().decide(
        {
            "kind": np.array([[0.2, 0.5, 0.3]]),
            "form": np.array([[0.3, 0.7]]),
            "ok": np.array([[0.5], [0.4]]),
        }
    )
    assert decided["kind"].tolist() == ["disc"]
    assert decided["form"].tolist() == [[1, 0]]
    assert decided["ok"].tolist() == ["good", "bad"]


def test_probability_columns_are_named_by_task_and_class() -> None:
    assert probability_columns(TASKS[0]) == ["kind=bolt", "kind=disc", "kind=ring"]
    assert probability_columns(TASKS[1]) == ["form=round", "form=hole"]
    assert probability_columns(TASKS[2]) == ["ok"]


def test_a_prediction_needs_no_label_column_and_ignores_others() -> None:
    new = rows(5).assign(kind="unknown", more=1)
    expected = model().predict_proba(rows(5))
    assert np.array_equal(model().predict_proba(new)["kind"], expected["kind"])


def test_damaged_models_give_one_line(tmp_path: Path) -> None:
    def refused() -> str:
        with pytest.raises(LabelweaveError) as error:
            Model.load(tmp_path)
        assert "\n" not in str(error.value)
        return str(error.value)

    def write(**changes: object) -> None:
        path.write_text(json.dumps(description | changes), encoding="utf-8")

    assert refused() == f"{tmp_path}: no model here, expected a file model.json"
    model().save(tmp_path)
    path, weights = tmp_path / "model.json", tmp_path / "weights.safetensors"
    description = json.loads(path.read_text(encoding="utf-8"))

    write(format=2)
    assert refused() == (
        f"{path}: found format 2, expected at most 1; it was written by a newer labelweave"
    )
    path.write_text('{"format": 1', encoding="utf-8")
    assert refused().startswith(f"{path}: column 13: no JSON: ")
    path.write_bytes(b"\xff\xfe")
    assert refused() == f"{path}: not a text file in UTF-8"
    path.write_text("[]", encoding="utf-8")
    assert refused() == f"{path}: found a list, expected an object of keys and values"
    path.write_text("{}", encoding="utf-8")
    assert refused() == (
        f"{path}: key 'format': missing; not a model of labelweave, or a damaged one"
    )
    write(backbone={"name": "mpl", "options": {}})
    assert refused() == (
        f"{path}: no such backbone 'mpl', expected 'linear', 'mlp', 'cnn', 'hf:...', "
        "'timm:...', 'module:...'; did you mean 'mlp'?"
    )
    write(backbone={"name": "mlp", "options": {"hidden": [6]}})
    assert refused() == f"{tmp_path}: the weights do not fit model.json"
    write()
    weights.write_bytes(weights.read_bytes()[:100])
    assert refused().startswith(f"{weights}: not a checkpoint of labelweave (")
    weights.unlink()
    assert refused() == f"{weights}: no such checkpoint"


NAN = float("nan")
DAMAGE = {
    "format NaN": {"format": NAN},
    "format below 1": {"format": -1},
    "no networks": {"networks": []},
    "no tasks": {"networks": [[]]},
    "a task without a name": {"networks": [[{"kind": "multiclass", "classes": ["a", "b"]}]]},
    "too many classes": {
        "networks": [[{"name": "t", "kind": "multiclass", "classes": list(range(200_000))}]]
    },
    "a huge network": {"backbone": {"name": "mlp", "options": {"hidden": [65_536] * 100}}},
    "a layer without end": {"backbone": {"name": "mlp", "options": {"hidden": [10**9]}}},
    "deep options": {"backbone": {"name": "mlp", "options": {"hidden": {"a": {"b": 10**30}}}}},
    "thresholds of another task": {"thresholds": {"other": [0.5]}},
    "a threshold NaN": {"thresholds": {"form": [NAN, 0.5]}},
    "thresholds that broadcast": {"thresholds": {"form": [0.5]}},
    "a prior that broadcasts": {"priors": {"training": {"kind": [0.5]}}},
    "a prior of null": {"priors": {"training": None}},
    "an assumed prior that is none": {"prior": {"name": "x", "given": {}}},
    "no encoder": {"encoder": None},
    "an empty encoder": {"encoder": {}},
    "an encoder of a list": {"encoder": [1]},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_description_that_cannot_be_right_is_refused(damage: str, tmp_path: Path) -> None:
    model().save(tmp_path)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text(encoding="utf-8")) | DAMAGE[damage]
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(LabelweaveError) as caught:
        Model.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("key", "value"),
    [("scale", None), ("scale", 0.0), ("mean", NAN), ("median", 1e300), ("varies", 2)],
)
def test_numbers_of_an_encoder_that_cannot_be_right_are_refused(
    key: str, value: object, tmp_path: Path
) -> None:
    model().save(tmp_path)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    numbers = description["encoder"]["numeric"]
    for changed in ([value] * len(numbers["names"]), numbers[key][:-1]):
        numbers[key] = changed
        path.write_text(json.dumps(description), encoding="utf-8")
        with pytest.raises(LabelweaveError, match=r"model\.json: key '(numeric|encoder)"):
            Model.load(tmp_path)


@pytest.mark.parametrize("value", [NAN, float("inf"), 3e38])
def test_weights_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    spoilt = model()
    with torch.no_grad():
        next(iter(spoilt.networks[0].parameters())).view(-1)[0] = value
    spoilt.save(tmp_path)
    with pytest.raises(LabelweaveError, match=r"weights.safetensors: weight '0/.*': found"):
        Model.load(tmp_path)

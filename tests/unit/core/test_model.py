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


def test_damaged_models_are_told_in_one_line(tmp_path: Path) -> None:
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
        f"{path}: format 2, expected at most 1; it was written by a newer labelweave"
    )
    path.write_text('{"format": 1', encoding="utf-8")
    assert refused().startswith(f"{path}: not a model of labelweave (JSONDecodeError(")
    path.write_bytes(b"\xff\xfe")
    assert refused().startswith(f"{path}: not a model of labelweave (UnicodeDecodeError(")
    path.write_text("[]", encoding="utf-8")
    assert refused().startswith(f"{path}: not a model of labelweave (")
    path.write_text("{}", encoding="utf-8")
    assert refused() == f"{path}: not a model of labelweave (KeyError('format'))"
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

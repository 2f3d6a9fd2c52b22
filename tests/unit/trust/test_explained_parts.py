"""Integrated gradients, words and regions: what was planted is found, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from trust_example import HOT, KIND, OF_SHAPE, RELATIONS, classifier, rows

from labelweave import LabelweaveError, MultiTaskClassifier
from labelweave.model import Model
from labelweave.trust import explain_rows
from labelweave.trust._gradients import feature_columns

NORTH = "the lamp is {} and old"


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWEAVE_TRUST", "encoders_example")


def student() -> Model:
    found = classifier("student").model_
    assert isinstance(found, Model)
    return found


def test_gradients_sum_to_the_difference_from_the_average_row():
    """Completeness, by which integrated gradients are defined."""
    pytest.importorskip("captum")
    X, _ = rows(8, 51)
    found = explain_rows(student(), X, gradients=True, columns=20)
    network = student().networks[0]
    with torch.no_grad():
        scores = network(torch.zeros(1, student().encoder.shape_))
    kinds = torch.softmax(scores["kind"], dim=1)[0].numpy()
    hot = float(torch.sigmoid(scores["hot"])[0, 0])
    for each in found:
        if each.question == "kind":
            average = kinds[KIND.names.index(each.answer)]
        elif each.question == "hot":
            average = hot if each.answer == "on" else 1 - hot
        else:
            continue
        assert set(each.columns) == set(X.columns)
        assert sum(each.columns.values()) == pytest.approx(each.probability - average, abs=0.01)


def test_gradients_find_a_planted_cause_and_none_in_a_network_that_learnt_nothing():
    pytest.importorskip("captum")
    X, _ = rows(40, 52)
    hot = [e for e in explain_rows(student(), X, gradients=True) if e.question == HOT.name]
    assert np.mean([next(iter(e.columns)) == "heat" for e in hot]) > 0.8
    torch.manual_seed(0)
    drawn = student().spec.build(student().encoder.shape_, student().tasks)
    random = replace(student(), networks=[drawn])
    hot = [e for e in explain_rows(random, X, gradients=True) if e.question == HOT.name]
    assert np.mean([next(iter(e.columns)) == "heat" for e in hot]) < 0.6


def test_every_feature_has_its_column():
    encoder = student().encoder
    columns = feature_columns(encoder)
    assert len(columns) == len(encoder.names_)
    for feature, column in zip(encoder.names_, columns, strict=True):
        assert feature == column or feature.startswith((f"{column}=", f"{column} ("))


def test_learners_have_no_gradients():
    with pytest.raises(LabelweaveError, match=r"^gradients: found learners, images or texts, "):
        explain_rows(classifier(), rows(2, 53)[0], gradients=True)


def test_a_relation_alone_says_what_its_table_gives_for_the_other_prediction():
    X, _ = rows(30, 54)
    given = student().predict_proba(X)
    for each in explain_rows(student(), X, columns=0, relations=RELATIONS[:1]):
        assert set(each.says) == (set() if each.question == "hot" else {"kind->shape"})
        if each.question == "kind":
            # proportional to the sum over shapes of P(shape) T / share of the shape
            p = (given["shape"][each.row] / student().priors["training"]["shape"]) @ OF_SHAPE.T
            expected = p[KIND.names.index(each.answer)] / p.sum()
            assert each.says["kind->shape"] == pytest.approx(expected, abs=0.02)


def test_a_coupled_model_says_by_its_relations():
    for each in explain_rows(classifier(), rows(3, 55)[0], columns=0):
        if each.question == "kind":
            assert set(each.says) == {"kind->shape", "kind->hot"}
        assert all(0 <= value <= 1 for value in each.says.values())


def fitted(X: pd.DataFrame, y: list[str], **media: object) -> MultiTaskClassifier:
    model = MultiTaskClassifier(method="best_single_task", learners=["logistic"], **media)
    return model.fit(X, pd.DataFrame({"kind": y}))


def test_the_word_that_decides_is_found():
    rng = np.random.default_rng(0)
    words = rng.choice(["good", "oooooo"], 60)
    X = pd.DataFrame({"note": [NORTH.format(word) for word in words]})
    text = {"column": "note", "encoder": "module:encoders_example.Letters"}
    model = fitted(X, ["o" if word == "oooooo" else "g" for word in words], text=text)
    found = explain_rows(model, pd.DataFrame({"note": [NORTH.format("oooooo"), "lamp"]}))
    assert found[0].answer == "o"
    assert next(iter(found[0].parts)) == "word 4: oooooo"
    assert found[0].columns == {}
    assert found[1].parts == {}  # without its only word there is no text


def test_the_region_that_decides_is_found(tmp_path: Path):
    paths, kinds = [], []
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(90, 110, (12, 12, 3)).astype(np.uint8)
        kinds.append("top" if number % 2 else "bottom")
        # the middle of the first or last ninth, within one region of a fourth a side
        pixels[(slice(0, 3), slice(0, 3)) if number % 2 else (slice(9, 12), slice(9, 12))] = 255
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(paths[-1])
    X = pd.DataFrame({"file": paths})
    image = {"column": "file", "encoder": "module:encoders_example.Corners"}
    model = fitted(X, kinds, image=image)
    for each in explain_rows(model, X[:2], nearest=0):
        region = "region 1.1 of 4.4" if each.answer == "top" else "region 4.4 of 4.4"
        assert next(iter(each.parts)) == region
        assert each.parts[region] > 0.1
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    with pytest.raises(LabelweaveError, match=r"damaged.png: "):
        explain_rows(model, pd.DataFrame({"file": [str(damaged)]}))

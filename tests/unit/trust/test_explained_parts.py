"""Integrated gradients, words and regions: what was planted is found, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from model_folders_example import write_model, write_tokenizer
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


def bright_corners(folder: Path, count: int, size: int) -> tuple[pd.DataFrame, list[str]]:
    """Write images of one kind each: one region of 4 x 4 is bright, in the first or last corner."""
    paths, kinds = [], []
    rng = np.random.default_rng(0)
    first, last = slice(0, size // 4), slice(size - size // 4, size)
    for number in range(count):
        pixels = rng.integers(90, 110, (size, size, 3)).astype(np.uint8)
        kinds.append("top" if number % 2 else "bottom")
        pixels[(first, first) if number % 2 else (last, last)] = 255
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return pd.DataFrame({"file": paths}), kinds


def test_the_region_that_decides_is_found(tmp_path: Path):
    X, kinds = bright_corners(tmp_path, 40, 12)
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


def of_network(model: MultiTaskClassifier, X: pd.DataFrame, *, random: bool = False) -> list[dict]:
    """Return what each part of the rows matters; with `random`, of a network with new weights."""
    network = model.model_
    assert isinstance(network, Model)
    if random:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            made = network.spec.build(network.encoder.shape_, network.tasks)
        network = replace(network, networks=[made.eval()])
    return [each.parts for each in explain_rows(network, X, nearest=0)]


def test_a_network_that_reads_pixels_shows_the_region_and_one_with_random_weights_none(
    tmp_path: Path,
):
    X, kinds = bright_corners(tmp_path, 60, 8)
    model = MultiTaskClassifier(
        method="multi_task", backbone="cnn", channels=[8], hidden=[8], steps=60, random_state=0,
        image={"column": "file", "size": 8},
    ).fit(X, pd.DataFrame({"kind": kinds}))  # fmt: skip
    planted = {"top": "region 1.1 of 4.4", "bottom": "region 4.4 of 4.4"}
    shown, random = of_network(model, X[:12]), of_network(model, X[:12], random=True)
    for kind, parts in zip(kinds, shown, strict=False):
        assert next(iter(parts)) == planted[kind]
        assert parts[planted[kind]] > 0.15
    assert max(abs(fall) for parts in random for fall in parts.values()) < 0.05


@pytest.mark.slow
def test_a_network_that_reads_tokens_shows_the_word_and_one_with_random_weights_none(
    tmp_path: Path,
):
    pytest.importorskip("transformers")
    folder = write_tokenizer(write_model(tmp_path / "bert", "bert"))
    words = ["ring", "disc"] * 30
    X = pd.DataFrame({"note": [f"a long {word} round a hole" for word in words]})
    model = MultiTaskClassifier(
        method="multi_task", backbone=f"hf:{folder}", steps=30, learning_rate=0.01,
        random_state=0, text={"column": "note", "length": 12},
    ).fit(X, pd.DataFrame({"kind": words}))  # fmt: skip
    shown, random = of_network(model, X[:2]), of_network(model, X[:2], random=True)
    # the network may know one word, and take its absence for the other
    name, fall = max((each for parts in shown for each in parts.items()), key=lambda each: each[1])
    assert name in ("word 3: ring", "word 3: disc")
    assert fall > 0.3
    assert max(abs(fall) for parts in random for fall in parts.values()) < 0.1

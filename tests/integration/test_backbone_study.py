import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from command_line import CommandLine
from image_example import image_content, write_images
from model_folders_example import SMALL, WORDS, write_model, write_tokenizer
from study_example import as_json

from labelweave._shapes import Tokens
from labelweave._trust import VARIABLE
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study, parse_study
from labelweave.experiments._runs import plan_run
from labelweave.fitting._stack import load_model
from labelweave.model import Model

pytest.importorskip("transformers")
IMAGE = {
    "inputs": {"image": {"size": 16}},
    "training": {"steps": 12, "batch_size": 16, "learning_rate": 0.01},
    "methods": ["multi_task"],
    "relations": None,
}
WORD = {"bolt": "a long bolt", "disc": "A round disc!", "ring": "a ring, round, a hole"}


def image_study(folder: Path, network: dict[str, object], **changes: object) -> Study:
    return Study(image_content(**{**IMAGE, "network": network, **changes}), folder)


def text_content(**changes: object) -> dict[str, object]:
    content = {
        "name": "remarks",
        "tasks": [{"name": "kind"}, {"name": "round", "kind": "binary"}],
        "sources": [{"path": "a.csv"}, {"path": "b.csv"}],
        "inputs": {"text": {"column": "remark", "length": 12}},
        "network": {"backbone": "hf:model"},
        "split": {"test": 30},
        "training": {"steps": 60, "batch_size": 16, "learning_rate": 0.01},
        "methods": ["single_task", "multi_task"],
        "seeds": [0],
        "statistics": {"replicates": 100},
        "label_curves": False,
    }
    return content | changes


def write_texts(folder: Path) -> None:
    """Write two tables of remarks, one with kinds and one with shapes, and a model to read them."""
    rng = np.random.default_rng(0)
    kinds = [list(WORD)[i % 3] for i in range(120)]
    filler = [" ".join(rng.choice(["a", "long", "nut"], rng.integers(0, 4))) for _ in kinds]
    remarks = [f"{WORD[k]} {f}" for k, f in zip(kinds, filler, strict=True)]
    frame = pd.DataFrame({"remark": remarks, "kind": kinds})
    frame[:60].to_csv(folder / "a.csv", index=False)
    frame["round"] = (frame.kind != "bolt").astype(int)
    frame[60:][["remark", "round"]].to_csv(folder / "b.csv", index=False)
    write_tokenizer(write_model(folder / "model", "bert"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study, dict[str, object]]:
    folder = tmp_path_factory.mktemp("texts")
    write_texts(folder)
    study = Study(text_content(), folder)
    return folder, study, as_json(study.compare(jobs=1, progress=False))


@pytest.mark.slow
def test_texts_are_tokenised_once_and_a_model_learns_what_they_say(texts):
    folder, study, results = texts
    assert results["methods"]["multi_task"]["kind"]["accuracy"]["mean"] > 0.8
    assert results["methods"]["multi_task"]["round"]["accuracy"]["mean"] > 0.8
    split = study.first_split()
    block = split.train.inputs.blocks[0]
    assert isinstance(block.array, np.memmap)
    assert block.array.dtype == np.int32
    assert split.encoder.shape_ == Tokens(12, len(WORDS), 0)
    words = dict(enumerate(WORDS))
    column = split.encoder.columns[0]
    row = column.read(["A bolt, bent", ""])
    assert [words[i] for i in row[0]] == ["[CLS]", "a", "bolt", "[UNK]", "[UNK]", "[SEP]"] + [
        "[PAD]"
    ] * 6
    assert [words[i] for i in row[1][:3]] == ["[CLS]", "[SEP]", "[PAD]"]
    long = column.read(["a bolt " * 20])[0]
    assert (long[0], long[-1], 0 in long) == (2, 3, False)
    # a second look tokenises nothing
    store = study.data.stores["remark"]
    stamp = (store.folder / "rows.bin").stat().st_mtime_ns
    again = Study(text_content(), folder)
    assert (store.folder / "rows.bin").stat().st_mtime_ns == stamp
    assert len(again.data.stores["remark"]) == len(store) < 120
    shorter = text_content(inputs={"text": {"column": "remark", "length": 6}})
    assert Study(shorter, folder).data.stores["remark"].folder != store.folder


@pytest.mark.slow
def test_a_stack_reads_texts_by_the_backbone_before_and_after_its_training(texts, tmp_path):
    content = text_content(
        methods=["coupled"], learners=["logistic", {"shared_network": {"steps": 40}}]
    )
    study = Study(content, texts[0])
    results = as_json(study.compare(jobs=1, progress=False))
    assert results["failures"] == []
    assert results["methods"]["coupled"]["round"]["accuracy"]["mean"] > 0.8
    run = study._trained.runs["coupled"][0]
    model, test = load_model(run.folder / "model"), study.first_split().test
    given = model.probabilities(test.inputs)
    for name, expected in run.predictions().items():
        np.testing.assert_allclose(given[name], expected, atol=1e-6)
    broken = shutil.copytree(run.folder / "model", tmp_path / "model")
    shutil.rmtree(broken / "view")
    with pytest.raises(LabelweaveError) as error:
        load_model(broken)
    assert str(error.value) == (
        f"{broken}/model.json: found no folder 'view', expected the network by which the learners "
        "read texts"
    )


@pytest.mark.slow
def test_a_saved_model_of_texts_needs_neither_folder_nor_cache(
    texts, cli: CommandLine, tmp_path, monkeypatch
):
    folder, study, _ = texts
    run = study._trained.runs["multi_task"][0]
    model = tmp_path / "model"
    shutil.copytree(run.folder / "model", model)
    said = json.loads((model / "model.json").read_text())
    assert said["backbone"]["name"] == "hf:bert"
    assert str(folder) not in json.dumps(said)
    monkeypatch.setattr("socket.socket.connect", pytest.fail)
    remarks = pd.concat([pd.read_csv(folder / "a.csv"), pd.read_csv(folder / "b.csv")])["remark"]
    (folder / "model").rename(folder / "gone")
    try:
        loaded = Model.load(model)
        given = loaded.predict_proba(pd.DataFrame({"remark": remarks.to_numpy()[run.rows()]}))
        for name, expected in run.predictions().items():
            np.testing.assert_allclose(given[name], expected, atol=1e-5)
        new = tmp_path / "new.csv"
        new.write_text("remark\na long bolt\na ring round a hole\n")
        found = cli("predict", model, new)
        assert found.code == 0
        assert [line[:4] for line in found.out.splitlines()[1:]] == ["bolt", "ring"]
    finally:
        (folder / "gone").rename(folder / "model")


@pytest.mark.slow
def test_a_study_of_texts_is_checked_and_reported(texts, cli: CommandLine):
    folder = texts[0]
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(text_content()), encoding="utf-8")
    found = cli("check", path)
    assert found.code == 0
    assert "inputs: texts of 12 tokens" in found.out
    path.write_text(yaml.safe_dump(text_content(network={"backbone": "hf:modell"})))
    found = cli("check", path)
    assert found.code == 2
    assert found.err.count("\n") == 1
    assert f"key 'network.backbone': 'hf:modell': found no folder {folder}/modell" in found.err


@pytest.mark.slow
def test_a_model_of_images_trains_and_predicts_without_its_folder(tmp_path):
    write_images(tmp_path, rows=30)
    write_model(tmp_path / "vit", "vit", image_size=16)
    study = image_study(tmp_path, {"backbone": "hf:./vit", "frozen": True})
    study.compare(jobs=1, progress=False)
    run = study._trained.runs["multi_task"][0]
    shutil.rmtree(tmp_path / "vit")
    model = Model.load(run.folder / "model")
    paths = [str(p) for p in sorted(tmp_path.glob("photos/*/*"))]
    probabilities = model.predict_proba(pd.DataFrame({"image": paths}))
    assert np.isfinite(probabilities["kind"]).all()
    again = tmp_path / "again"
    model.save(again)
    assert (again / "model.json").read_text() == (run.folder / "model/model.json").read_text()


def test_a_run_is_known_by_all_that_shapes_its_network(tmp_path):
    write_images(tmp_path, rows=30)
    write_model(tmp_path / "res", "resnet")
    write_model(tmp_path / "copy", "resnet")

    def key(network: dict[str, object], **training: object) -> str:
        settings = {**IMAGE["training"], **training}
        study = image_study(tmp_path, {"backbone": "hf:res", **network}, training=settings)
        split = study.first_split()
        return plan_run("multi_task", split, split.fingerprint(), study.config, tmp_path).key

    first = key({})
    assert key({"backbone": "hf:copy"}) == first
    assert key({}, backbone_rate=1.0, augment=None) == first
    others = [
        key({"norm": "group"}), key({"frozen": True}), key({"pooling": "mean"}),
        key({}, backbone_rate=0.1), key({}, layer_decay=0.5), key({}, augment={"flip": 0.5}),
        key({"backbone": "hf:resnet", "config": SMALL["resnet"]}),
    ]  # fmt: skip
    write_model(tmp_path / "res", "resnet", hidden_sizes=[8, 24])
    others.append(key({}))
    assert len({first, *others}) == len(others) + 1


def test_code_of_ones_own_trains_in_a_study_where_it_is_trusted(tmp_path, monkeypatch):
    write_images(tmp_path, rows=30)
    network = {"backbone": "module:model_folders_example.Own", "norm": "group"}
    monkeypatch.setenv(VARIABLE, "model_folders_example")
    study = image_study(tmp_path, network, methods=["single_task", "multi_task"])
    study.compare(jobs=1, progress=False)
    folder = study._trained.runs["multi_task"][0].folder / "model"
    Model.load(folder)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(LabelweaveError, match="is not trusted"):
        Model.load(folder)


@pytest.mark.slow
def test_the_classifier_takes_images_with_every_setting(tmp_path):
    pytest.importorskip("kornia")
    write_images(tmp_path, rows=30)
    paths = [str(p) for p in sorted(tmp_path.glob("photos/*/*"))]
    kinds = [Path(p).parent.name for p in paths]
    X, y = pd.DataFrame({"image": paths}), {"kind": kinds}

    def fitted(seed: int = 0) -> MultiTaskClassifier:
        return MultiTaskClassifier(
            method="full", image={"size": 16}, backbone="hf:resnet", cache=tmp_path / "cache",
            network={"config": SMALL["resnet"], "norm": "group"}, backbone_rate=0.5,
            layer_decay=0.9, augment={"flip": 0.5, "crop": 0.1}, steps=8, batch_size=8,
            random_state=seed,
        ).fit(X, y)  # fmt: skip

    model = fitted()
    model.save(tmp_path / "model")
    given = model.predict_proba(X)["kind"]
    loaded = MultiTaskClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X)["kind"], given)
    np.testing.assert_array_equal(fitted().predict_proba(X)["kind"], given)
    assert not np.array_equal(fitted(1).predict_proba(X)["kind"], given)
    with pytest.raises(LabelweaveError) as error:
        MultiTaskClassifier(network={"hidden": [3]}).fit(X, y)
    assert str(error.value) == (
        "MultiTaskClassifier: parameter 'network': found 'hidden', expected it as a separate "
        "parameter"
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"training": {"augment": {"flip": 0.5}}},
            "key 'training.augment': changes images that go to the network, found none",
        ),
        (
            {"training": {"augment": {"flipp": 0.5}}},
            "key 'training.augment.flipp': no such key, expected 'flip', 'crop', 'jitter', "
            "'erase'; did you mean 'flip'?",
        ),
        (
            {"inputs": {"text": {"tokenizer": "minilm"}}},
            "key 'network': the backbone 'mlp' takes no tokens of texts, expected 'hf:...'",
        ),
        (
            {"inputs": {"text": {"tokenizer": "minilm", "encoder": "minilm"}}},
            "key 'inputs.text': found both 'encoder' and 'tokenizer', expected one of them",
        ),
        (
            {"network": {"backbone": "hf:vit", "hidden": [3]}},
            "key 'network': the backbone 'hf:vit' has no key 'hidden'",
        ),
        (
            {"network": {"pooling": "mean"}},
            "key 'network': the backbone 'mlp' has no key 'pooling'",
        ),
        ({"network": {"norm": "layer"}}, "key 'network.norm': should be 'batch' or 'group'"),
    ],
)
def test_settings_that_make_no_sense_are_reported_before_any_data_are_read(changes, error):
    with pytest.raises(LabelweaveError) as caught:
        parse_study({"name": "x", **changes})
    assert str(caught.value).startswith(f"study: {error}")


@pytest.mark.slow
def test_texts_together_with_other_columns_are_refused(texts):
    folder = texts[0]
    frame = pd.read_csv(folder / "a.csv").assign(weight=1)
    frame.to_csv(folder / "c.csv", index=False)
    content = text_content(tasks=[{"name": "kind"}], sources=[{"path": "c.csv"}])
    with pytest.raises(LabelweaveError) as error:
        Study(content, folder).first_split()
    assert str(error.value) == (
        "inputs: found 'weight' next to the texts of column 'remark', which go to the network as "
        "they are; exclude the others, or give the texts an encoder"
    )


@pytest.mark.slow
def test_folders_without_a_tokenizer_are_reported(texts, tmp_path):
    folder = texts[0]
    write_model(tmp_path / "bare", "bert")

    def refused(**text: object) -> str:
        content = text_content(inputs={"text": {"column": "remark", **text}})
        with pytest.raises(LabelweaveError) as error:
            Study(content, folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    bare = tmp_path / "bare"
    assert refused(tokenizer=str(bare)) == (
        f"{bare}: found no tokenizer, expected tokenizer.json or vocab.txt"
    )
    (bare / "tokenizer.json").write_text("{")
    assert refused(tokenizer=str(bare)).startswith(f"{bare}: its tokenizer cannot be read (")
    assert "found the architecture 'bert', expected the folder" in refused(tokenizer="bert")
    assert refused(tokenizer="modle").startswith("key 'inputs.text.tokenizer': 'hf:modle': found")


def test_prediction_of_many_rows_is_made_in_parts():
    from labelweave.networks import MultiTaskNetwork, backbone
    from labelweave.tasks import Multiclass

    made = backbone("hf:bert", Tokens(6, 20, 0), config=SMALL["bert"])
    network = MultiTaskNetwork(made, [Multiclass("kind", ["a", "b"])]).eval()
    seen = []
    made.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    rows = torch.randint(1, 20, (150, 6), dtype=torch.int32)
    whole = network.probabilities(rows)["kind"]
    assert seen == [64, 64, 22]
    torch.testing.assert_close(network.probabilities(rows, chunk=150)["kind"], whole)

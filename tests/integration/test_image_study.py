import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from command_line import CommandLine
from image_example import SIDE, image_content, write_image_study, write_images
from study_example import as_json

from labelweave.data._row_store import StoredInputs
from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study, parse_study
from labelweave.experiments._scheduler import plan_runs
from labelweave.model import Model
from labelweave.networks import backbone
from labelweave.tables import read_folder


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, object]]:
    study = Study.from_file(write_image_study(tmp_path_factory.mktemp("images")))
    return study, as_json(study.run(jobs=1, progress=False))


def refused(folder: Path, **changes: object) -> str:
    with pytest.raises(LabelweaveError) as error:
        Study(image_content(**changes), folder).first_split()
    return str(error.value)


def test_a_study_of_images_learns_what_they_show(ended):
    results = ended[1]
    assert results["methods"]["full"]["kind"]["accuracy"]["mean"] > 0.9


def test_inputs_stay_memory_mapped_and_are_images(ended):
    inputs = ended[0].first_split().train.inputs
    assert isinstance(inputs, StoredInputs)
    assert isinstance(inputs.blocks[0].array, np.memmap)
    assert inputs.shape == (80, 3, SIDE, SIDE)


def test_a_saved_model_reads_the_files_itself(ended, cli: CommandLine):
    study = ended[0]
    found = cli("predict", study.output, study.folder / "photos", "--method", "full")
    assert found.code == 0
    lines = found.out.splitlines()
    assert len(lines) == 61
    assert lines[1].startswith(f"{study.folder}/photos/bolt/0.bmp,bolt,")
    out = study.folder / "out.csv"
    assert cli("predict", study.output, study.folder / "lab" / "lab.csv", "--out", out).code == 0
    assert list(pd.read_csv(out)["kind predicted"][:3]) == ["bolt", "disc", "ring"]


def test_predictions_from_files_are_those_of_the_study(ended):
    study = ended[0]
    run = next(r for r in study._trained.runs["full"])
    names = read_folder(study.folder / "photos", "image")["image"].tolist()
    names = [str(study.folder / "photos" / name) for name in names]
    names += [
        str(study.folder / "lab" / p) for p in pd.read_csv(study.folder / "lab/lab.csv").image
    ]
    model = Model.load(run.folder / "model")
    given = model.predict_proba(pd.DataFrame({"image": np.array(names)[run.rows()]}))
    for name, expected in run.predictions().items():
        np.testing.assert_allclose(given[name], expected, atol=1e-6)


def test_runs_are_found_again_and_redone_when_an_image_changes(tmp_path):
    study = Study.from_file(write_image_study(tmp_path, rows=30, training={"steps": 2}))
    study.compare(jobs=1, progress=False)
    keys = {run.key for run in study._trained.runs["full"]}
    moved = Study.from_file(shutil.copytree(tmp_path, tmp_path / "copy") / "study.yaml")
    found = planned(moved)
    assert {run.key for run in found} == keys
    assert all(run.done for run in found)
    (tmp_path / "photos/bolt/0.bmp").write_bytes((tmp_path / "photos/disc/4.bmp").read_bytes())
    changed = Study.from_file(tmp_path / "study.yaml")
    assert not any(run.done for run in planned(changed))


def planned(study):
    return plan_runs({"full": [study.first_split()]}, study.config, study.output)["full"]


def test_the_same_content_on_both_sides_is_a_leak(tmp_path):
    write_images(tmp_path)
    data = (tmp_path / "photos/bolt/0.bmp").read_bytes()
    for number in range(0, 30, 6):
        (tmp_path / f"photos/bolt/{number}.bmp").write_bytes(data)
    split = Study(image_content(), tmp_path).first_split()
    assert any("same inputs" in str(note) for note in split.notes)


def test_damaged_files_stop_the_study_or_are_left_out_by_name(tmp_path):
    write_images(tmp_path)
    bad = tmp_path / "lab" / "files" / "60.bmp"
    bad.write_bytes(b"?")
    (tmp_path / "lab" / "files" / "61.png").unlink()
    assert refused(tmp_path) == (
        f"lab/lab.csv: row 1: {bad}: not an image in PNG, JPEG, WebP, BMP, PGM or PPM "
        "(and 1 more such row); 'on_error: skip' leaves such rows out"
    )
    study = Study(image_content(inputs={"image": {"size": 8, "on_error": "skip"}}), tmp_path)
    collection = study.data.collection
    assert len(collection) == 118
    assert collection.place(60) == "row 3 of source 'lab'"
    note = next(note for note in map(str, study.first_split().notes) if "left out" in note)
    assert note == (
        f"lab/lab.csv: 2 rows are left out, not readable: '{bad}', "
        f"'{tmp_path / 'lab' / 'files' / '61.png'}'"
    )
    listed = pd.read_csv(tmp_path / "runs" / "cache" / "damaged.csv")
    assert listed["reason"].tolist() == [
        "not an image in PNG, JPEG, WebP, BMP, PGM or PPM",
        "no such file",
    ]


def test_an_empty_path_is_reported(tmp_path):
    write_images(tmp_path)
    table = pd.read_csv(tmp_path / "lab" / "lab.csv")
    table.loc[4, "image"] = None
    table.to_csv(tmp_path / "lab" / "lab.csv", index=False)
    assert refused(tmp_path) == (
        "lab/lab.csv: row 5: column 'image' is empty, expected a path; 'on_error: skip' leaves "
        "such rows out"
    )


def test_wrong_settings_give_one_line(tmp_path):
    write_images(tmp_path)
    sources = image_content()["sources"]
    lab = {"path": "lab/lab.csv"}
    assert refused(tmp_path, sources=[sources[0], lab]) == (
        "inputs: found 'weight' next to the images of column 'image', which go to the network as "
        "they are; exclude the others, or give the images an encoder"
    )
    assert refused(tmp_path, sources=[{**lab, "folders": "kind"}]) == (
        f"{tmp_path}/lab/lab.csv: found 'folders' for it, expected a folder of images"
    )
    assert refused(tmp_path, inputs={"image": {"column": "imag"}}, sources=[lab]) == (
        "lab/lab.csv: no column 'imag', found 'image', 'round', 'hole', 'weight'; did you mean "
        "'image'?"
    )
    (tmp_path / "lab.parquet").mkdir()
    assert refused(tmp_path, sources=[{"path": "lab.parquet"}]) == (
        f"{tmp_path}/lab.parquet: found a folder, expected a table ('.csv', '.tsv', '.jsonl', "
        "'.ndjson', "
        "'.txt', '.parquet', '.feather', '.arrow' and 3 more)"
    )
    plain = {"inputs": None, "network": None}
    assert refused(tmp_path, **plain) == (
        f"{tmp_path}/photos: a folder of images, expected a key 'inputs.image' that says what "
        "they become, such as 'inputs: {image: {size: 224}}'"
    )
    assert refused(tmp_path, methods=["strong_single_task"]) == (
        "key 'methods': method 'strong_single_task' needs inputs that are columns, or images with "
        "an 'encoder', found none"
    )


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({}, "key 'network': the backbone 'mlp' takes columns, found images; expected 'cnn'"),
        (
            {"backbone": "cnn", "shape": [3, 8, 8]},
            "key 'network.shape': images bring their own, see 'inputs.image.size'",
        ),
    ],
)
def test_a_backbone_must_fit_images(network, message):
    with pytest.raises(LabelweaveError) as error:
        parse_study(image_content(network=network))
    assert str(error.value) == f"study: {message}"


def test_folders_become_columns(tmp_path):
    for name in ("a/x/1.PNG", "a/y/deep/2.jpg", "b/x/3.bmp", "b/x/.hidden.png", "b/x/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = read_folder(tmp_path, "file", ["site", "kind"])
    assert found.to_dict("list") == {
        "file": ["a/x/1.PNG", "a/y/deep/2.jpg", "b/x/3.bmp"],
        "site": ["a", "a", "b"],
        "kind": ["x", "y", "x"],
    }
    with pytest.raises(LabelweaveError) as error:
        read_folder(tmp_path, "file", ["site", "kind", "day"])
    assert str(error.value) == (
        f"{tmp_path}/a/x/1.PNG: lies in 2 folders below '{tmp_path.name}', expected 3, for "
        "'site', 'kind', 'day'"
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelweaveError, match=r"empty: found no image, expected files '\.png', "):
        read_folder(tmp_path / "empty", "file")


def test_the_estimator_takes_paths(tmp_path):
    write_images(tmp_path)
    folder = tmp_path / "photos"
    table = read_folder(folder, "file", ["kind"])
    X = pd.DataFrame({"file": [str(folder / name) for name in table["file"]]})
    model = MultiTaskClassifier(
        method="full", image={"column": "file", "size": SIDE}, backbone="cnn",
        channels=(8, 8), hidden=(16,), steps=60, batch_size=32,
    ).fit(X, table[["kind"]])  # fmt: skip
    assert model.score(X, table[["kind"]]) > 0.9
    model.save(tmp_path / "model")
    again = MultiTaskClassifier.load(tmp_path / "model")
    assert (again.predict(X)["kind"] == model.predict(X)["kind"]).all()
    Path(X["file"][13]).write_bytes(b"?")
    with pytest.raises(LabelweaveError, match=r"photos/bolt/45\.png: not an image in PNG"):
        model.predict(X)


def test_a_cnn_sees_pixels_and_columns_alike():
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (5, 3, 6, 7), dtype=torch.uint8)
    images = backbone("cnn", (3, 6, 7), channels=[4], hidden=[5], dropout=0.0)
    columns = backbone("cnn", 126, shape=[3, 6, 7], channels=[4], hidden=[5], dropout=0.0)
    columns.load_state_dict(images.state_dict())
    same = (pixels.float() / 255 - 0.5) / 0.25
    torch.testing.assert_close(images(pixels), columns(same.flatten(1)))


def test_the_model_says_how_images_are_read(ended):
    # a model's description says how its images are read, in JSON
    run = ended[0]._trained.runs["full"][0]
    said = json.loads((run.folder / "model" / "model.json").read_text(encoding="utf-8"))
    assert said["encoder"]["media"] == [
        {
            "kind": "image",
            "column": "image",
            "form": {"height": SIDE, "width": SIDE, "mode": "rgb", "fit": "stretch"},
        }
    ]

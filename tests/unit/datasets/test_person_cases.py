"""CelebA and LFW on tiny files, generated in the exact layout of the official ones."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from persons_example import ATTRIBUTES, PEOPLE, write_celeba, write_lfw, write_lfwa
from study_example import as_json

from labelweave.datasets._faces import CELEBA, LFW
from labelweave.datasets._official import most_frequent, shared_parts
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study


def message(call, *arguments, **options) -> str:
    with pytest.raises(LabelweaveError) as error:
        call(*arguments, **options)
    return str(error.value)


def test_every_person_of_five_images_is_on_both_sides() -> None:
    owner = pd.Series([person for i in range(10) for person in "abc" if person != "c" or i < 4])
    parts = shared_parts(owner)
    assert parts[owner == "a"].tolist() == [
        *["train"] * 4, "test", *["train"] * 3, "validation", "test",
    ]  # fmt: skip
    assert set(parts[owner == "c"]) == {"train"}
    assert owner[most_frequent(owner, 2)].unique().tolist() == ["a", "b"]
    assert most_frequent(owner, None).all()


def test_celeba_is_read_with_its_official_parts(tmp_path: Path) -> None:
    data = CELEBA(write_celeba(tmp_path))
    table = data.table
    assert len(table) == 48
    assert table["image"][0] == "img_align_celeba/000001.jpg"
    assert table["part"].value_counts().to_dict() == {"train": 24, "validation": 12, "test": 12}
    assert table.loc[5, list(ATTRIBUTES)].tolist() == [1, 0, 0]  # the file says 1 -1 -1
    assert data.group == "person"
    assert not set(table["person"][table["part"] == "test"]) & set(table["identity"].dropna())
    assert table["identity"][table["part"] != "train"].isna().all()
    assert data.tasks[0] == {"name": "identity", "classes": ["2880", "2881"]}
    assert data.tasks[1]["labels"] == list(ATTRIBUTES)


def test_celeba_with_persons_on_both_sides(tmp_path: Path) -> None:
    data = CELEBA(write_celeba(tmp_path), protocol="shared", identities=3)
    assert sorted(data.table["identity"].unique()) == ["2880", "2881", "2882"]
    both = data.table.groupby("identity")["part"].nunique()
    assert (both == 3).all()
    assert data.group is None


def test_the_folders_of_the_archive_of_celeba_will_do(tmp_path: Path) -> None:
    root = write_celeba(tmp_path)
    for name, place in (
        ("list_attr_celeba.txt", "Anno"),
        ("identity_CelebA.txt", "Anno"),
        ("list_eval_partition.txt", "Eval"),
        ("img_align_celeba", "Img"),
    ):
        (root / place).mkdir(exist_ok=True)
        (root / name).rename(root / place / name)
    assert CELEBA(root).table["image"][0] == "Img/img_align_celeba/000001.jpg"


def test_wrong_files_of_celeba_are_reported_by_name(tmp_path: Path) -> None:
    root = write_celeba(tmp_path / "c")
    lost = root / "img_align_celeba" / "000007.jpg"
    lost.rename(tmp_path / "x.jpg")
    path = root / "list_attr_celeba.txt"
    assert message(CELEBA, root) == f"{lost}: no such image, expected all 48 that {path} lists"
    text = path.read_text()
    path.write_text(text.replace("000002.jpg  1", "000002.jpg  0"))
    assert message(CELEBA, root) == (
        f"{path}: line 4: found '0 -1 -1', expected 3 numbers, each one of -1, 1"
    )
    path.write_text(text.replace("48\n", "49\n", 1))
    assert message(CELEBA, root) == (f"{path}: found 48 rows, expected 49, as its line 1 says")
    path.write_text(text.partition("\n")[2])
    assert message(CELEBA, root).startswith(f"{path}: line 1: found '5_o_Clock_Shadow")
    path.write_text(text)
    part = root / "list_eval_partition.txt"
    whole = part.read_text()
    part.write_text(whole.replace("000001.jpg 0", "000001.jpg 3"))
    assert message(CELEBA, root) == (
        f"{part}: line 1: found '000001.jpg 3', expected an image and one of 0, 1, 2"
    )
    part.write_text(whole.replace("000001.jpg 0\n", ""))
    assert message(CELEBA, root) == f"{part}: found no line of the image '000001.jpg'"
    part.unlink()
    assert message(CELEBA, root) == (
        f"{part}: no such file or folder (nor Eval/list_eval_partition.txt), expected the official "
        "parts of CelebA; did you mean 'list_attr_celeba.txt'?"
    )


def test_lfw_is_read_with_the_scores_of_kumar(tmp_path: Path) -> None:
    data = LFW(write_lfw(tmp_path))
    assert data.table["image"][0] == "lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg"
    assert data.table["part"].tolist() == ["train"] * 20 + ["test"] * 10
    assert data.tasks[1]["labels"] == ["Male", "No_Beard"]  # the names of CelebA
    on = data.table.drop_duplicates("person").set_index("person")[["Male", "No_Beard"]]
    assert on.loc[list(PEOPLE)].to_numpy().tolist() == [[0, 0], [1, 0], [0, 1]]
    shared = LFW(tmp_path, protocol="shared")
    assert shared.table.groupby("identity")["part"].nunique().tolist() == [3, 3, 3]


def test_lfw_is_read_with_the_attributes_of_lfwa(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    root = write_lfwa(write_lfw(tmp_path))
    data = LFW(root, attributes="lfwa-40")
    assert data.table["part"].tolist() == ["train"] * 20 + ["test"] * 10
    assert data.table.loc[25, ["image", "Male", "No_Beard", "Smiling"]].tolist() == [
        "lfw/Zoe_Ball/Zoe_Ball_0006.jpg", 0, 1, 1,
    ]  # fmt: skip
    path = root / "lfw_att_40.mat"
    path.write_bytes(b"MATLAB 5.0")
    assert (
        message(LFW, root, attributes="lfwa-40")
        == f"{path}: not a MATLAB file of version 7.3 (HDF5)"
    )
    (root / "indices_train_test.mat").rename(path)
    assert message(LFW, root, attributes="lfwa-40") == (
        f"{path}: found 'indices_img_test', 'indices_img_train', expected 'name' among them"
    )


def test_wrong_files_of_lfw_are_reported_by_name(tmp_path: Path) -> None:
    root = write_lfw(tmp_path)
    path = root / "lfw_attributes.txt"
    text = path.read_text()
    path.write_text(text.replace("Aaron Eckhart\t2\t", "Aaron Eckhart\t"))
    assert message(LFW, root).startswith(f"{path}: line 4: found 'Aaron Eckhart")
    path.write_text(text.replace("#\tperson", "#\tname"))
    assert message(LFW, root).endswith("expected '#', 'person', 'imagenum' and the attributes")
    path.write_text(text)
    (root / "peopleDevTest.txt").write_text(f"1\n{PEOPLE[0]}\t10\n")
    data = LFW(root)  # a person is in one part only: the last that names it
    assert set(data.table["person"]) == {PEOPLE[0], PEOPLE[1]}
    (root / "peopleDevTest.txt").unlink()
    assert message(LFW, root) == (
        f"{root / 'peopleDevTest.txt'}: no such file or folder, expected the persons of the test "
        "part of LFW; did you mean 'peopleDevTrain.txt'?"
    )
    (root / "lfw").rename(root / "faces")
    assert message(LFW, root) == (
        f"{root / 'lfw'}: no such file or folder (nor lfw_funneled) (nor lfw-deepfunneled), "
        "expected the images of LFW, in a folder a person"
    )


def test_celeba_and_lfw_join_from_the_command_line_to_results(
    tmp_path: Path, cli: CommandLine
) -> None:
    celeba, lfw = write_celeba(tmp_path / "celeba"), write_lfw(tmp_path / "lfw")
    out = tmp_path / "study"
    answer = cli("case", "celeba", "--root", celeba, "--join", f"lfw={lfw}", "--out", out)
    assert (answer.code, answer.err) == (0, "")
    text = yaml.safe_load((out / "study.yaml").read_text())
    text |= {
        "methods": ["single_task", "full"], "seeds": 1, "inputs": {"image": {"size": 16}},
        "network": {"backbone": "cnn", "channels": [4, 4], "hidden": [8]},
        "training": {"steps": 20, "batch_size": 16}, "relatedness": {"folds": 0},
        "statistics": {"replicates": 100},
    }  # fmt: skip
    (out / "study.yaml").write_text(yaml.safe_dump(text))
    study = Study.from_file(out / "study.yaml")
    fold = study.first_split()
    attributes = next(task for task in fold.train.annotations.tasks if task.name == "attributes")
    assert attributes.labels == (*ATTRIBUTES, "No_Beard")  # 'Male' is one label of both
    assert not set(fold.train.groups) & set(fold.test.groups)
    results = as_json(study.compare(jobs=1, progress=False))
    assert results["failures"] == []
    assert results["methods"]["full"]["attributes"]["accuracy"]["n"] > 0

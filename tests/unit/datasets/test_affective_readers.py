"""The readers of faces on tiny files, generated in the exact layout of the official ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faces_example import (
    CLASS_HEAD,
    UNIT_HEAD,
    write_aff_wild2,
    write_affectnet_csv,
    write_affectnet_npy,
    write_bp4d,
    write_disfa,
    write_emotionet,
    write_text,
)

from labelweave.datasets import DataSet, find_reader
from labelweave.errors import LabelweaveError
from labelweave.relations import known_table


def read(name: str, root: Path, **options: Any) -> DataSet:
    data = find_reader(name)(root, **options)
    assert all((root / image).is_file() for image in data.table["image"])
    return data


def message(name: str, root: Path, **options: Any) -> str:
    with pytest.raises(LabelweaveError) as error:
        find_reader(name)(root, **options)
    return str(error.value)


@pytest.mark.parametrize("name", ["aff-wild2", "disfa", "bp4d", "emotionet"])
def test_the_units_are_those_of_the_published_vocabulary(tmp_path: Path, name: str) -> None:
    write = {
        "aff-wild2": write_aff_wild2, "disfa": write_disfa, "bp4d": write_bp4d,
        "emotionet": write_emotionet,
    }[name]  # fmt: skip
    units = read(name, write(tmp_path)).tasks[-1]
    table = known_table("du-tao-martinez-2014", vocabulary=name)
    assert units["labels"] == list(table.frame.columns[1:])


@pytest.mark.parametrize("newer", [False, True])
def test_aff_wild2(tmp_path: Path, newer: bool) -> None:
    data = read("aff-wild2", write_aff_wild2(tmp_path, newer=newer), every=1)
    table = data.table[data.table["image"].str.contains("video0_left")].set_index("image")
    assert len(table) == 12
    assert set(table["video"]) == {"video0"}
    first, second, fourth = (table.iloc[i] for i in (0, 1, 3))
    assert first["expression"] is np.nan or first.isna()["expression"]
    assert (second["expression"], second["AU26"]) == ("neutral", 1)
    assert (fourth["expression"], fourth.isna()["AU1"]) == ("disgust", True)
    assert table.index[0] == "cropped_aligned/video0_left/00001.jpg"
    assert dict(data.table.groupby("part")["video"].nunique()) == {"test": 2, "train": 2}
    assert data.notes == ("4 annotated frames have no image and are left out",)
    assert len(read("aff-wild2", tmp_path, labels="expression", every=2).tasks) == 1


def test_a_video_in_two_parts_is_tested_on_only(tmp_path: Path) -> None:
    write_aff_wild2(tmp_path)
    path = tmp_path / "AU_Set" / "Train_Set" / "video0_left.txt"
    path.rename(tmp_path / "AU_Set" / "Validation_Set" / path.name)
    table = read("aff-wild2", tmp_path).table
    assert set(table.loc[table["video"] == "video0", "part"]) == {"test"}


def test_wrong_files_of_aff_wild2(tmp_path: Path) -> None:
    root = write_aff_wild2(tmp_path)
    path = root / "EXPR_Set" / "Train_Set" / "video0_left.txt"
    write_text(path, CLASS_HEAD, "3", "8")
    assert message("aff-wild2", root) == (
        f"{path}: line 3: found '8', expected a class from 0 to 7, or -1"
    )
    write_text(path, "3")
    assert message("aff-wild2", root).startswith(f"{path}: line 1: found '3', expected a head 'Neu")
    write_text(path, CLASS_HEAD, "3")
    units = root / "AU_Set" / "Validation_Set" / "video1_left.txt"
    write_text(units, UNIT_HEAD, "1,0,2" + ",0" * 9)
    assert message("aff-wild2", root).endswith("expected 12 times 0, 1 or -1")
    (root / "cropped_aligned").rename(root / "cropped")
    assert message("aff-wild2", root) == (
        f"{root / 'cropped_aligned'}: no such file or folder, expected a folder with frames for "
        "every video; did you mean 'cropped'?"
    )
    (root / "AU_Set").rename(root / "VA_Set")
    assert message("aff-wild2", root, frames="cropped").startswith(
        f"{root / 'AU_Set'}: no such file or folder (nor annotations/AU_Set)"
    )
    assert message("aff-wild2", root, every=0) == (
        "option 'every': found 0, expected a whole number from 1 to 1,000,000"
    )


@pytest.mark.parametrize("head", [True, False])
def test_affectnet_of_lists(tmp_path: Path, head: bool) -> None:
    data = read("affectnet", write_affectnet_csv(tmp_path, head))
    assert dict(data.table["part"].value_counts()) == {"train": 16, "test": 8}
    assert data.table.iloc[5].tolist() == [
        "Manually_Annotated_Images/2/training5.jpg", "disgust", "train"
    ]  # fmt: skip
    assert data.notes == ("9 images of other classes are left out",)
    seven = read("affectnet", tmp_path, classes=7)
    assert "contempt" not in set(seven.table["expression"]) | set(seven.tasks[0]["classes"])


def test_affectnet_of_arrays(tmp_path: Path) -> None:
    data = read("affectnet", write_affectnet_npy(tmp_path))
    assert dict(data.table["part"].value_counts()) == {"train": 16, "test": 8}
    assert data.table.iloc[10].tolist() == ["train_set/images/10.jpg", "sadness", "train"]


def test_wrong_files_of_affectnet(tmp_path: Path) -> None:
    root = write_affectnet_csv(tmp_path / "csv")
    path = root / "Manually_Annotated_file_lists" / "training.csv"
    text = path.read_text()
    path.write_text(text.replace("3.0,5,", "3.0,11,", 1))
    assert message("affectnet", root).endswith("expected 9 cells, the seventh a class from 0 to 10")
    path.write_text(text.replace("training4.jpg", "lost.jpg"))
    lost = root / "Manually_Annotated_Images" / "1" / "lost.jpg"
    assert message("affectnet", root) == f"{lost}: no such image, but {path}, line 6, names it"
    path.unlink()
    assert message("affectnet", root) == (
        f"{path}: no such file or folder (nor training.csv), expected the train list of AffectNet"
        "; did you mean 'validation.csv'?"
    )
    root = write_affectnet_npy(tmp_path / "npy")
    wrong = root / "train_set" / "annotations" / "3_exp.npy"
    np.save(wrong, np.array([{"class": 3}]), allow_pickle=True)
    assert message("affectnet", root) == f"{wrong}: not a NumPy file with one whole number"
    np.save(wrong, np.array("12"))
    assert message("affectnet", root) == f"{wrong}: found 12, expected a class from 0 to 10"
    wrong.unlink()
    assert message("affectnet", root) == (f"{wrong}: no such file, expected the class of the image")


def test_disfa(tmp_path: Path) -> None:
    data = read("disfa", write_disfa(tmp_path), every=1, fold=2)
    assert dict(data.table.groupby("person")["part"].unique().map(list)) == {
        "SN001": ["train"], "SN006": ["test"]
    }  # fmt: skip
    first = data.table.iloc[0]
    assert first["image"] == "frames/SN001/00001.jpg"
    assert [first[name] for name in ("AU1", "AU2", "AU4", "AU5")] == [1, 1, 1, 0]  # 2, 3, 5, 0
    assert data.notes == ("2 labelled frames have no image and are left out",)
    assert read("disfa", tmp_path).part is None
    assert len(read("disfa", tmp_path, every=5).table) == 6


def test_frames_may_have_the_name_of_the_video_before_their_number(tmp_path: Path) -> None:
    root = write_disfa(tmp_path)
    folder = root / "frames" / "LeftVideoSN006_comp"
    for path in list(folder.iterdir()):
        path.rename(folder / f"LeftVideoSN006_comp_{path.name}")
    assert read("disfa", root).table["image"].str.endswith("SN006_comp_00006.jpg").sum() == 1
    (folder / "6.jpg").touch()
    assert message("disfa", root) == (
        f"{folder / 'LeftVideoSN006_comp_00006.jpg'}: found the number of '6.jpg', expected one "
        "file a frame"
    )


def test_wrong_files_of_disfa(tmp_path: Path) -> None:
    root = write_disfa(tmp_path)
    path = root / "ActionUnit_Labels" / "SN006" / "SN006_au9.txt"
    write_text(path, "1,0", "2,6")
    assert message("disfa", root) == (
        f"{path}: line 2: found '2,6', expected 'frame,intensity', with intensities from 0 to 5"
    )
    path.unlink()
    assert message("disfa", root).startswith(
        f"{path}: no such file or folder, expected the intensities of unit 9; did you mean 'SN006_"
    )
    (root / "frames" / "SN001").rename(root / "frames" / "SN01")
    assert message("disfa", root).startswith(
        f"{root / 'frames' / 'SN001'}: no such file or folder (nor LeftVideoSN001_comp)"
    )


def test_bp4d(tmp_path: Path) -> None:
    data = read("bp4d", write_bp4d(tmp_path), every=1, protocol="fera2015")
    assert dict(data.table.groupby("person")["part"].unique().map(list)) == {
        "F001": ["train"], "F002": ["test"], "M003": ["train"]
    }  # fmt: skip
    first = data.table.iloc[0]
    assert first["image"] == "BP4D/F001/T1/2440.jpg"
    assert (first["AU1"], first["AU2"], first.isna()["AU24"]) == (1, 0, True)
    (tmp_path / "AUCoding" / "AU_OCC").mkdir()
    for path in list((tmp_path / "AUCoding").glob("*.csv")):
        path.rename(path.parent / "AU_OCC" / path.name)
    assert list(read("bp4d", tmp_path, units=[5, 9]).table.columns[2:]) == ["AU5", "AU9"]


def test_wrong_files_of_bp4d(tmp_path: Path) -> None:
    root = write_bp4d(tmp_path)
    assert message("bp4d", root, units=[3]).endswith("a head with a column of action unit 3")
    path = root / "AUCoding" / "F002_T1.csv"
    head = path.read_text().splitlines()[0]
    write_text(path, head, "2440" + ",1" * 13)
    assert message("bp4d", root).endswith("expected the number of a frame and 14 values")
    write_text(path, head, "2440" + ",5" * 14)
    assert message("bp4d", root).endswith("expected 0, 1 or 9 = unknown for each action unit")
    path.rename(path.with_name("notes.csv"))
    assert message("bp4d", root).endswith("found this name, expected one such as F001_T1.csv")


def test_emotionet(tmp_path: Path) -> None:
    data = read("emotionet", write_emotionet(tmp_path))
    assert dict(data.table["part"].value_counts()) == {"train": 5, "test": 3}
    first = data.table.iloc[0]
    assert first["image"] == "Images/0001/N_0001_00001.jpg"
    assert (first["AU1"], first["AU12"], first.isna()["AU2"]) == (1, 1, True)
    assert data.table.iloc[1]["image"] == "Images/N_0001_00002.jpg"
    assert data.notes == ("2 annotated images are not there and are left out",)
    folder = "emotioNet_challenge_files_server_challenge_1.2"
    one = read("emotionet", tmp_path, annotations=[f"{folder}/dataFile_1000.txt"], units=[12])
    assert one.part is None
    assert list(one.table.columns) == ["image", "part", "AU12"]


def test_wrong_files_of_emotionet(tmp_path: Path) -> None:
    root = write_emotionet(tmp_path)
    path = root / "emotioNet_challenge_files_server_challenge_1.2" / "dataFile_0001.txt"
    path.write_text(path.read_text().replace("\t999", "", 1))
    assert message("emotionet", root).endswith(
        "expected two addresses and 60 times 0, 1 or 999, with tabs"
    )
    write_text(path, "\t".join(["http://x/../../../etc/passwd", "y", *["1"] * 60]))
    assert len(read("emotionet", root).table) == 3
    assert message("emotionet", root, units=[61]) == "option 'units': found 61, expected 1 to 60"
    assert message("emotionet", root, annotations=["a.txt"]).startswith(
        f"{root / 'a.txt'}: no such"
    )

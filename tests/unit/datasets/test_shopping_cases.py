"""The data sets of shops on tiny files, generated in the exact layout of the official ones."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import CommandLine
from scipy.io import savemat
from shopping_example import (
    CLOTHES,
    MARKS,
    TYPES,
    write_clothing_attributes,
    write_deepfashion,
    write_shoes,
    write_ut_zappos,
)
from test_person_cases import message

from labelweave.datasets._shopping import (
    BINARY,
    CLOTHING_ATTRIBUTES,
    DEEPFASHION,
    MULTICLASS,
    SHOES,
    UT_ZAPPOS,
)
from labelweave.experiments import Study

WRITERS = {
    "ut-zappos": write_ut_zappos,
    "shoes": write_shoes,
    "clothing-attributes": write_clothing_attributes,
    "deepfashion": write_deepfashion,
}


def test_ut_zappos_finds_images_by_their_number(tmp_path: Path) -> None:
    data = UT_ZAPPOS(write_ut_zappos(tmp_path))
    table = data.table
    assert table["image"][0] == ("ut-zap50k-images-square/Shoes/Oxfords/Brand & Co./100627.70.jpg")
    assert data.tasks[0]["classes"] == ["Boots/Ankle", "Shoes/Oxfords", "Slippers/Boot"]
    assert [task["name"] for task in data.tasks[1:]] == [
        "heel_height", "insole", "closure", "gender", "material", "toe_style",
    ]  # fmt: skip
    assert data.tasks[3]["labels"] == ["Closure.Lace.up", "Closure.Zipper"]
    heel = table["HeelHeight.Flat"]
    assert np.flatnonzero(heel.isna()).tolist() == [0, 10, 20]  # neither height is on
    assert table["Closure.Lace.up"].tolist() == [1] * 10 + [0] * 20
    assert table["product"].value_counts().tolist() == [2] * 15  # two colours each
    assert UT_ZAPPOS(tmp_path, kind="category").tasks[0]["classes"] == [
        "Boots", "Shoes", "Slippers",
    ]  # fmt: skip


def test_wrong_files_of_ut_zappos_are_reported_by_name(tmp_path: Path) -> None:
    root = write_ut_zappos(tmp_path)
    meta, binary = (root / "ut-zap50k-data" / f"meta-data{part}.csv" for part in ("", "-bin"))
    whole = binary.read_text()
    binary.write_text(whole.replace("Gender.Men,Gender.Women,", "Men,Women,"))
    assert message(UT_ZAPPOS, root).endswith("expected columns 'Gender. ...'")
    lines = whole.splitlines()
    binary.write_text("\n".join([*lines[:5], *lines[6:]]) + "\n")
    assert message(UT_ZAPPOS, root) == (
        f"{binary}: found no row of the CID '{lines[5].partition(',')[0]}' of {meta}"
    )
    binary.write_text(whole.replace("Zipper,", "Zipper,", 1).replace(",1\n", ",3\n", 1))
    assert message(UT_ZAPPOS, root) == (
        f"{binary}: column 'ToeStyle.Round.Toe': expected only 0 and 1"
    )
    binary.write_text(whole)
    next(root.rglob("100628.71.jpg")).unlink()
    assert message(UT_ZAPPOS, root) == (
        f"{root / 'ut-zap50k-images-square'}: found no image 100628.71.jpg, expected one for every "
        f"CID of {meta}"
    )
    meta.write_text(meta.read_text().replace("SubCategory", "Sub"))
    assert message(UT_ZAPPOS, root).endswith("expected 'SubCategory'")
    meta.unlink()
    assert message(UT_ZAPPOS, root).startswith(f"{meta}: no such file or folder")


def test_shoes_have_the_attributes_in_which_their_type_ranks_high(tmp_path: Path) -> None:
    data = SHOES(write_shoes(tmp_path))
    table = data.table
    assert table["image"][0] == (
        "attributedata/womens_athletic_shoes/0/img_womens_athletic_shoes_0.jpg"
    )
    on = table.groupby("shoe_type")[["pointy at the front", "open"]].agg(["min", "max"])
    assert on.loc[list(TYPES)].to_numpy().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    (knowledge,) = data.knowledge.values()
    assert knowledge.to_numpy().tolist() == [
        ["athletic shoes", 1, 0], ["boots", 0, 0], ["clogs", 0, 1],
    ]  # fmt: skip
    assert table["part"].value_counts().to_dict() == {"train": 18, "validation": 6, "test": 3}
    assert data.notes[1] == "3 images are in no official part and left out"


def test_wrong_files_of_shoes_are_reported_by_name(tmp_path: Path) -> None:
    root = write_shoes(tmp_path)
    path = root / "shoes_attributes.mat"
    next(root.rglob("img_womens_clogs_4.jpg")).unlink()
    assert message(SHOES, root) == (
        f"{root}: found no image img_womens_clogs_4.jpg in any folder below, expected all 30 that "
        f"{path} lists"
    )
    savemat(path, {"im_names": np.zeros(3)})
    assert message(SHOES, root) == (f"{path}: found 'im_names', expected 'class_names' among them")
    path.write_bytes(b"nothing")
    assert message(SHOES, root) == f"{path}: not a MATLAB file of version 5 to 7"


def test_clothing_attributes_keep_what_is_missing(tmp_path: Path) -> None:
    data = CLOTHING_ATTRIBUTES(write_clothing_attributes(tmp_path))
    table = data.table
    assert table["image"][29] == "ClothingAttributeDataset/images/000030.jpg"
    assert table["category"].isna().tolist() == [True] + [False] * 29
    assert table["category"].tolist()[1:3] == ["category 2", "category 3"]
    assert [len(task.get("classes", ())) for task in data.tasks] == [7, 3, 3, 0]
    assert data.tasks[3]["labels"] == list(BINARY)
    assert table[list(BINARY)].isna().sum().tolist() == [1] * 23
    # the first binary attribute is the fourth file: (i % 7 + 3) % 2, on where the file says 2
    assert table["black"].tolist()[:5] == [1, 0, 1, pytest.approx(np.nan, nan_ok=True), 1]
    path = tmp_path / "ClothingAttributeDataset" / "labels" / "scarf_GT.mat"
    savemat(path, {"GT": np.full((30, 1), 3.0)})
    assert message(CLOTHING_ATTRIBUTES, tmp_path) == (
        f"{path}: expected numbers from 1 to 2, or NaN"
    )
    savemat(path, {"GT": np.ones((29, 1))})
    assert message(CLOTHING_ATTRIBUTES, tmp_path) == (
        f"{path}: found 29 rows, expected 30, as in category_GT.mat"
    )
    path.unlink()
    assert message(CLOTHING_ATTRIBUTES, tmp_path).startswith(
        f"{path}: no such file or folder, expected the attribute 'scarf'"
    )
    assert set(MULTICLASS) == {"category", "neckline", "sleevelength"}


def test_deepfashion_takes_the_most_frequent_attributes(tmp_path: Path) -> None:
    data = DEEPFASHION(write_deepfashion(tmp_path))
    table = data.table
    assert table["image"][0] == "Img/img/Item_0/img_00000001.jpg"
    assert table["part"].tolist()[:5] == ["train", "train", "train", "validation", "test"]
    assert data.tasks[0]["classes"] == [name for name, _ in CLOTHES]
    assert data.tasks[1]["labels"] == list(MARKS)
    assert table[MARKS[0]].tolist() == [1] * 10 + [0] * 20
    assert table[MARKS[2]].notna().tolist() == [True] + [False] * 29  # 0 = unknown
    assert DEEPFASHION(tmp_path, attributes=1).tasks[1]["labels"] == [MARKS[1]]
    assert DEEPFASHION(tmp_path, attributes=None).notes == (
        "3 of 3 attributes, the most frequent ones",
    )


def test_wrong_files_of_deepfashion_are_reported_by_name(tmp_path: Path) -> None:
    root = write_deepfashion(tmp_path)
    path = root / "Anno_coarse" / "list_attr_img.txt"
    whole = path.read_text()
    path.write_text(whole.replace(" 1 -1  1", " 1 -1  2"))
    assert message(DEEPFASHION, root) == (
        f"{path}: line 3: found '1 -1 2', expected 3 numbers, each one of -1, 0, 1"
    )
    path.write_text(whole.replace("Item_2/img_00000010", "Item_2/img_00000011"))
    assert message(DEEPFASHION, root) == (
        f"{path}: line 32: found 'img/Item_2/img_00000011.jpg', expected an image that "
        f"{path.with_name('list_category_img.txt')} lists"
    )
    path.write_text(whole)
    parts = root / "Eval" / "list_eval_partition.txt"
    parts.write_text(parts.read_text().replace(" val\n", " valid\n", 1))
    assert message(DEEPFASHION, root) == (
        f"{parts}: line 6: found 'img/Item_0/img_00000004.jpg valid', expected an image and train "
        "or val or test"
    )
    (root / "Anno_coarse").rename(root / "Anno_fine")
    assert message(DEEPFASHION, root) == (
        f"{root / 'Anno_coarse'}: no such file or folder (nor Anno), expected the annotations of "
        "DeepFashion; did you mean 'Anno_fine'?"
    )


@pytest.mark.parametrize("name", WRITERS)
def test_every_data_set_becomes_a_study(tmp_path: Path, cli: CommandLine, name: str) -> None:
    root, out = WRITERS[name](tmp_path / "data"), tmp_path / "study"
    assert cli("case", name, "--root", root, "--k", 2, "--out", out).code == 0
    text = yaml.safe_load((out / "study.yaml").read_text())
    text |= {"inputs": {"image": {"size": 16}}, "network": {"backbone": "cnn"}}
    if name == "shoes":
        assert text["relations"] == [{"table": "shoes_attributes.csv", "source": "shoe_type"}]
    else:
        assert text["relations"][0]["source"] in ("shoe_type", "category")  # counted
    text["methods"] = [method for method in text["methods"] if method != "strong_single_task"]
    (out / "study.yaml").write_text(yaml.safe_dump(text))
    fold = Study.from_file(out / "study.yaml").first_split()
    assert fold.train.annotations.counts(text["relations"][0]["source"]).max() == 2

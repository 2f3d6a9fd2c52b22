from pathlib import Path

import pytest
from faces_example import write_raf_db

from labelweave.datasets._expressions import RAF_DB
from labelweave.errors import LabelweaveError


def message(*arguments, **options) -> str:
    with pytest.raises(LabelweaveError) as error:
        RAF_DB(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("labels", ["basic", "compound"])
def test_the_official_layout_is_read(tmp_path: Path, labels: str) -> None:
    data = RAF_DB(write_raf_db(tmp_path, labels=labels), labels=labels)
    assert data.table["part"].value_counts().to_dict() == {"train": 42, "test": 14}
    first = data.table.iloc[0]
    assert first["image"] == f"{labels}/Image/aligned/train_00001_aligned.jpg"
    name = {"basic": "expression", "compound": "compound_expression"}[labels]
    assert first[name] == {"basic": "fear", "compound": "happily disgusted"}[labels]
    (task,) = data.tasks
    assert (task["name"], len(task["classes"])) == (name, {"basic": 7, "compound": 11}[labels])
    assert all((tmp_path / image).is_file() for image in data.table["image"])


def test_the_folder_of_the_basic_part_itself_will_do(tmp_path: Path) -> None:
    root = write_raf_db(tmp_path) / "basic"
    (root / "EmoLabel/list_patition_label.txt").rename(root / "EmoLabel/list_partition_label.txt")
    assert RAF_DB(root).table["image"][0] == "Image/aligned/train_00001_aligned.jpg"


def test_wrong_files_are_reported_by_name(tmp_path: Path) -> None:
    assert message(tmp_path / "none") == (
        f"{tmp_path / 'none'}: no such folder, expected the one with the list of images and "
        "classes of RAF-DB (basic)"
    )
    root = write_raf_db(tmp_path) / "basic"
    assert message(root, images="original") == (
        f"{root / 'Image/original'}: no such file or folder, expected the original images of RAF-DB"
    )
    lost = root / "Image/aligned/train_00003_aligned.jpg"
    path = root / "EmoLabel" / "list_patition_label.txt"
    lost.unlink()
    assert message(root) == (f"{lost}: no such image, expected all 56 that {path} lists")
    for line in ("train_00001.jpg 8", "train_00001.jpg", "valid_1.jpg 3", "train_1.jpg ²"):
        path.write_text(f"train_00001.jpg 1\n{line}\n", encoding="utf-8")
        assert message(root) == (
            f"{path}: line 2: found {line!r}, expected 'train_...' or 'test_...' and a class from "
            "1 to 7"
        )
    path.write_bytes(b"\xff\xfe\n")
    assert message(root) == f"{path}: not a text file in UTF-8"
    path.write_text("\n")
    assert message(root) == f"{path}: found no line, expected one for every image"
    path.unlink()
    assert message(root) == (
        f"{path}: no such file or folder (nor EmoLabel/list_partition_label.txt), expected the "
        "list of images and classes of RAF-DB (basic)"
    )

"""CUB-200-2011 and AwA2 on tiny files, generated in the exact layout of the official ones."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import CommandLine
from species_example import ANIMALS, MARKS, PREDICATES, SPECIES, write_awa2, write_cub
from study_example import as_json
from test_person_cases import message

from labelweave.datasets._species import AWA2, CUB
from labelweave.experiments import Study


def test_cub_is_read_with_its_parts_and_the_table_of_the_species(tmp_path: Path) -> None:
    data = CUB(write_cub(tmp_path))
    table = data.table
    assert table["image"][0] == ("CUB_200_2011/images/001.Black_footed_Albatross/bird_0001.jpg")
    assert table["part"].tolist() == ["train", "test"] * 15
    assert table["species"].value_counts().to_dict() == dict.fromkeys(SPECIES, 10)
    on = table.groupby("species")[list(MARKS)].max()
    assert on.to_numpy().tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 0]]
    (knowledge,) = data.knowledge.values()
    assert knowledge["species"].tolist() == list(SPECIES)
    assert knowledge[MARKS[0]].tolist() == [0.975, 0, 0.975]


def test_what_was_not_visible_is_missing_and_odd_lines_are_read(tmp_path: Path) -> None:
    write_cub(tmp_path)
    data = CUB(tmp_path / "CUB_200_2011")
    assert np.flatnonzero(data.table[MARKS[2]].isna()).tolist() == [0, 10, 20]
    assert data.table[list(MARKS[:2])].notna().all(axis=None)
    assert data.notes[0] == (
        "3.3% of the attribute labels are less certain than 2 of 4 and left out; 2 lines with more "
        "than five fields were read by their first four"
    )
    assert CUB(tmp_path, certainty=1).table.notna().all(axis=None)


def test_wrong_files_of_cub_are_reported_by_name(tmp_path: Path) -> None:
    base = write_cub(tmp_path) / "CUB_200_2011"
    path = base / "attributes" / "image_attribute_labels.txt"
    whole = path.read_text()
    for line, found in (("1 4 0 4 5.0", "1 4 0 4"), ("99 1 0 4 5.0", "99 1 0 4")):
        path.write_text(whole.replace("1 2 0 4 27.708", line, 1))
        assert message(CUB, tmp_path) == (
            f"{path}: line 2: found '{found}', expected an image that images.txt lists, an "
            "attribute from 1 to 3, 0 or 1, and 1 to 4"
        )
    path.write_text("1 1 x 4 1\n")
    assert message(CUB, tmp_path) == (
        f"{path}: expected lines of an image, an attribute, 0 or 1, a certainty and a time"
    )
    path.write_text(whole)
    shares = base / "attributes" / "class_attribute_labels_continuous.txt"
    shares.write_text("97.5 0 0\n1 2\n")
    assert message(CUB, tmp_path) == (
        f"{shares}: line 2: found '1 2', expected 3 numbers (a row a species, a percentage an "
        "attribute)"
    )
    shares.write_text("97.5 0 0\n")
    assert message(CUB, tmp_path) == (
        f"{shares}: found 1 rows, expected 3 (a row a species, a percentage an attribute)"
    )
    split = base / "train_test_split.txt"
    split.write_text(split.read_text().replace("7 1\n", "7 2\n", 1))
    assert message(CUB, tmp_path) == (f"{split}: image 7: found '2', expected 0 or 1")
    (tmp_path / "attributes.txt").unlink()
    split.write_text(split.read_text().replace("7 2\n", "7 1\n", 1))
    assert message(CUB, tmp_path).startswith(
        f"{base / 'attributes/attributes.txt'}: no such file or folder (nor ../attributes.txt)"
    )
    assert message(CUB, tmp_path, certainty=5) == (
        "option 'certainty': found 5, expected a whole number from 1 to 4"
    )


@pytest.mark.parametrize("table", ["binary", "continuous"])
def test_awa2_is_read_with_the_table_of_its_classes(tmp_path: Path, table: str) -> None:
    data = AWA2(write_awa2(tmp_path), table=table)
    assert len(data.table) == 40
    assert data.table["image"][10] == (
        "Animals_with_Attributes2/JPEGImages/grizzly+bear/grizzly+bear_10001.jpg"
    )
    assert (data.table.groupby("animal")["part"].nunique() == 3).all()
    assert data.table.loc[25, ["animal", *PREDICATES]].tolist() == ["killer+whale", 1, 1, 0]
    (knowledge,) = data.knowledge.values()
    high = {"binary": 1.0, "continuous": 0.805}[table]
    assert knowledge.loc[2, list(PREDICATES)].tolist() == [high, high, 0]
    assert knowledge.loc[0, "black"] == 1 if table == "binary" else np.isnan(knowledge.iloc[0, 1])


def test_the_zero_shot_split_keeps_classes_apart(tmp_path: Path) -> None:
    data = AWA2(write_awa2(tmp_path), protocol="official")
    parts = data.table.groupby("animal")["part"].unique().str.join(",").to_dict()
    assert parts == dict.fromkeys(ANIMALS[:3], "train") | {ANIMALS[3]: "test"}


def test_wrong_files_of_awa2_are_reported_by_name(tmp_path: Path) -> None:
    base = write_awa2(tmp_path) / "Animals_with_Attributes2"
    (base / "testclasses.txt").write_text("beever\n")
    assert message(AWA2, tmp_path, protocol="official") == (
        f"{base / 'testclasses.txt'}: line 1: found 'beever', expected a class of classes.txt; did "
        "you mean 'beaver'?"
    )
    (base / "JPEGImages" / "beaver").rename(base / "JPEGImages" / "beavers")
    assert message(AWA2, tmp_path) == (
        f"{base / 'JPEGImages/beaver'}: no such file or folder, expected the images of 'beaver', a "
        "class of classes.txt; did you mean 'beavers'?"
    )
    (base / "JPEGImages" / "beaver").mkdir()
    assert message(AWA2, tmp_path) == (
        f"{base / 'JPEGImages/beaver'}: found no image, expected files that end in .jpg"
    )
    (base / "classes.txt").write_text("1\tantelope\n3\tbear\n")
    assert message(AWA2, tmp_path) == (
        f"{base / 'classes.txt'}: line 2: found '3\\tbear', expected the number 2 and a name"
    )


def test_cub_runs_from_the_command_line_to_results(tmp_path: Path, cli: CommandLine) -> None:
    root, out = write_cub(tmp_path / "cub"), tmp_path / "study"
    command = ("case", "cub", "--root", root, "--out", out, "--option", "certainty=3")
    assert cli.refused(*command, "--others", 4) == (
        "--others: found no --k, expected both, for few labels of a class"
    )
    assert cli(*command, "--k", 1, "--others", 9).code == 0
    text = yaml.safe_load((out / "study.yaml").read_text())
    assert text["relations"] == [{"table": "cub_attributes.csv", "source": "species"}]
    text |= {
        "methods": ["single_task", "full"], "seeds": 1, "inputs": {"image": {"size": 16}},
        "network": {"backbone": "cnn", "channels": [4, 4], "hidden": [8]},
        "training": {"steps": 20, "batch_size": 16}, "relatedness": {"from": "given"},
        "statistics": {"replicates": 100},
    }  # fmt: skip
    (out / "study.yaml").write_text(yaml.safe_dump(text))
    study = Study.from_file(out / "study.yaml")
    fold = study.first_split()
    assert fold.train.annotations.counts("species").tolist() == [1, 1, 1]
    assert len(fold.train.annotations) == 3 + 9
    assert len(fold.test.index) == 15
    assert [relation.name for relation in fold.relations] == ["species->attributes"]
    results = as_json(study.compare(jobs=1, progress=False))
    assert results["failures"] == []
    assert results["methods"]["full"]["species"]["accuracy"]["n"] == 15

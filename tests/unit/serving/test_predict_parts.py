"""`labelweave predict` of a long Parquet or CSV file, in parts."""

from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine

from labelweave import Binary, Multiclass
from labelweave.errors import LabelweaveError
from labelweave.fitting import FitConfig, fit_parquet
from labelweave.serving import _prediction

PART = 8192  # what a network predicts at a time


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 rows, with serial numbers, one of which is missing, as files, and a model."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 3)), columns=["a", "b", "c"])
    frame["colour"] = np.where(frame["a"] > 0, "red", "blue")
    frame["kind"] = np.array(["u", "v", "w"])[frame[["a", "b", "c"]].to_numpy().argmax(axis=1)]
    frame["high"] = (frame["b"] > 0).astype(int)
    frame["serial"] = pd.array(range(20_000), dtype="Int64")
    frame.loc[19_000, "serial"] = pd.NA
    frame["late"] = pd.Series([None] * 19_999 + ["=last"], dtype=object)
    made = tmp_path_factory.mktemp("parts")
    for name in ("rows.csv", "rows.csv.gz"):
        frame.to_csv(made / name, index=False, sep=";", encoding="utf-16")
    frame.to_parquet(made / "rows.parquet", row_group_size=3_000)
    config = {"network": {"hidden": [4]}, "training": {"steps": 3}}
    tasks = [Multiclass("kind"), Binary("high")]
    settings = FitConfig.model_validate(config)
    fit_parquet(made / "rows.parquet", tasks, settings, sample=10_000).save(made / "model")
    return made


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("rows.parquet", "csv"), ("rows.parquet", "parquet"), ("rows.csv", "csv"),
        ("rows.csv", "parquet"), ("rows.csv.gz", "csv"),
    ],
)  # fmt: skip
def test_a_file_in_parts_is_predicted_as_a_whole_one(
    name: str, suffix: str, folder: Path, tmp_path: Path, cli: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    kept = ["--keep", "serial", "--keep", "colour", "--keep", "late"]
    given = [folder / "model", folder / name, *kept]
    whole = cli("predict", *given, "--out", tmp_path / f"whole.{suffix}")
    monkeypatch.setattr(_prediction, "CHUNK", PART)
    monkeypatch.setattr(_prediction, "LONG_TEXT", 1)
    parts = cli("predict", *given, "--out", tmp_path / f"parts.{suffix}")
    assert (whole.code, parts.code) == (0, 0)
    if suffix == "csv":
        assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    else:
        read = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts")]
        pd.testing.assert_frame_equal(*read)
    assert f"warning: {given[1]}: rows 8,193 to 16,384: column 'c'" in parts.err
    assert {path.stem for path in tmp_path.iterdir()} == {"whole", "parts"}


def test_an_address_is_predicted_as_a_file(folder: Path, tmp_path: Path, cli: CommandLine) -> None:
    address = "memory://labelweave/parts.parquet"
    with fsspec.open(address, "wb") as file:
        file.write((folder / "rows.parquet").read_bytes())
    for name, table in (("here", folder / "rows.parquet"), ("there", address)):
        assert cli("predict", folder / "model", table, "--out", tmp_path / f"{name}.csv").code == 0
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_a_part_that_fails_leaves_no_file(
    folder: Path, tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _prediction.prediction_table

    def second_fails(model, inputs, **options):
        if len(inputs) and inputs.cells["serial"][0].as_py() == PART:
            raise LabelweaveError("no more")
        return made(model, inputs, **options)

    monkeypatch.setattr(_prediction, "CHUNK", PART)
    monkeypatch.setattr(_prediction, "prediction_table", second_fails)
    path = folder / "rows.parquet"
    answer = cli("predict", folder / "model", path, "--out", tmp_path / "parts.csv")
    assert answer.code == 2
    assert answer.err.endswith(f"{path}: counted from row 8,193: no more\n")
    assert list(tmp_path.iterdir()) == []

"""Tables at addresses of fsspec, by its file system in memory; no machine is contacted."""

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from study_example import write_study

from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.tables import read_cells
from labelweave.tables._addresses import fetched

STORE = "memory://labelweave-tables"
ROWS = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def put(name: str, content: bytes) -> str:
    address = f"{STORE}/{name}"
    with fsspec.open(address, "wb") as file:
        file.write(content)
    return address


WRITERS: dict[str, Callable[[Path], object]] = {
    "rows.csv": lambda path: ROWS.to_csv(path, index=False),
    "rows.csv.gz": lambda path: path.write_bytes(gzip.compress(b"a,b\n1,x\n2,y\n")),
    "rows.parquet": lambda path: ROWS.to_parquet(path),
    "rows.feather": lambda path: ROWS.to_feather(path),
    "rows.xlsx": lambda path: ROWS.to_excel(path, index=False),
    "rows of [a].jsonl": lambda path: path.write_text('{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_at_an_address_is_read_as_one_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    WRITERS[name](tmp_path / name)
    here = read_cells(tmp_path / name)
    there = read_cells(put(name, (tmp_path / name).read_bytes()))
    assert there.place == f"{STORE}/{name}"
    assert there.cells.equals(here.cells)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_study_reads_sources_and_joined_tables_at_addresses(tmp_path: Path) -> None:
    here = write_study(tmp_path / "here")
    there = write_study(tmp_path / "there")
    inputs, labels = tmp_path / "a-inputs.csv", tmp_path / "a-labels.csv"
    table = pd.read_csv(here.parent / "a.csv").assign(row=lambda t: [f"r{i}" for i in t.index])
    table.drop(columns="kind").to_csv(inputs, index=False)
    table[["row", "kind"]].to_csv(labels, index=False)
    text = there.read_text()
    for name, path in (("b.csv", there.parent / "b.csv"), ("a.csv", inputs)):
        text = text.replace(name, put(name, path.read_bytes()))
    there.write_text(text)
    (there.parent / "b.csv").unlink()
    study = Study.from_file(there)
    section = study.config.sources[0].model_dump(exclude_unset=True)
    join = {"path": put("labels.csv", labels.read_bytes()), "on": "row"}
    joined = type(study.config.sources[0]).model_validate(
        section | {"join": join, "identifier": ["row"]}
    )
    config = study.config.model_copy(update={"sources": [joined, study.config.sources[1]]})
    found = Study(config, there.parent).data.collection
    given = Study.from_file(here).data.collection
    for one, other in zip(found.sources, given.sources, strict=True):
        assert one.inputs.equals(other.inputs)
        for task in other.annotations.labels:
            assert (one.annotations.labels[task] == other.annotations.labels[task]).all()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "https://a/rows.csv",
            "https://a/rows.csv: found the protocol 'https', expected 's3', 'gs', 'memory', or a "
            "file of this machine",
        ),
        (f"{STORE}/none.csv", f"{STORE}/none.csv: no such file"),
        ("memory://a.csv::file:///etc/passwd", "memory://a.csv::file:///etc/passwd: no such file"),
        (f"{STORE}/rows.cvs", f"{STORE}/rows.cvs: unknown suffix '.cvs', expected "),
        (f"{STORE}/text.parquet", f"{STORE}/text.parquet: not a readable Parquet file"),
        (f"{STORE}/ragged.csv", f"{STORE}/ragged.csv: line 2 has "),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_address(address: str, message: str) -> None:
    for name in ("rows.cvs", "text.parquet", "ragged.csv"):
        put(name, b"a,b\n1,2,3\n")
    with pytest.raises(LabelweaveError) as caught:
        read_cells(address)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_store_without_its_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(LabelweaveError) as caught:
        read_cells("s3://bucket/rows.csv")
    assert str(caught.value) == (
        "s3://bucket/rows.csv: needs the package s3fs, which is not installed"
    )


def test_no_more_than_the_bound_is_fetched() -> None:
    address = put("long.csv", b"a\n" * 100)
    with fetched(address, 200) as path:
        assert path.stat().st_size == 200
    expected = f"{address}: found more than 199 bytes, expected at most that"
    with pytest.raises(LabelweaveError) as caught, fetched(address, 199):
        pass
    assert str(caught.value) == expected


@pytest.mark.parametrize("keys", [{"format": "label_studio"}, {"folders": "kind"}])
def test_exports_and_folders_are_of_this_machine(tmp_path: Path, keys: dict[str, str]) -> None:
    study = Study.from_file(write_study(tmp_path))
    section = study.config.sources[0].model_copy(update={"path": f"{STORE}/rows", **keys})
    config = study.config.model_copy(update={"sources": [section, study.config.sources[1]]})
    with pytest.raises(LabelweaveError) as caught:
        _ = Study(config, tmp_path).data
    assert str(caught.value) == (
        f"{STORE}/rows: found '{next(iter(keys))}' for it, expected a file of this machine"
    )

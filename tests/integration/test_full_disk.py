"""A full disk, files and folders that cannot be read or written: one line, nothing lost."""

import errno
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from study_example import as_json, write_study

from labelweave._files import make_folder, write_text
from labelweave.errors import LabelweaveError, WriteError
from labelweave.experiments import Study
from labelweave.experiments._scheduler import plan_runs

FULL = Path("/dev/full")  # whatever is written to it finds the disk full
CHANGES: dict[str, Any] = {
    "training": {"steps": 20, "batch_size": 16, "checkpoint_seconds": 1e-6},
    "methods": ["single_task", "multi_task"],
}
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")


def fill(file: Path) -> Path:
    """Let the next writing of a file meet a full disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    link = file.with_name(f".{file.name}.partial")
    link.symlink_to(FULL)
    return link


@needs_full
def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_text(file, "old")
    fill(file)
    with pytest.raises(WriteError) as error:
        write_text(file, "new")
    assert str(error.value) == f"{file}: cannot be written (No space left on device)"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of the study where the disk has room."""
    path = write_study(tmp_path_factory.mktemp("unbroken"), **CHANGES)
    return as_json(Study.from_file(path).compare(jobs=1, progress=False))


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("training/networks0/last.safetensors", 1),
        ("model/weights.safetensors", 1),
        ("predictions.safetensors", 1),
        ("run.json", 1),
        ("run.json", 2),
    ],
)
def test_a_disk_that_fills_in_training_ends_the_study_and_the_next_call_goes_on(
    file: str, jobs: int, tmp_path: Path, cli: CommandLine, unbroken: dict[str, Any]
) -> None:
    path = write_study(tmp_path, **CHANGES)
    study = Study.from_file(path)
    (run,) = plan_runs({"single_task": study.splits()}, study.config, study.output)["single_task"]
    meets = run.folder.with_name(f"{run.folder.name}.partial") / file
    fill(meets)
    assert cli.refused("run", path, "--jobs", jobs, begun=True) == (
        f"{meets}: cannot be written (No space left on device)"
    )
    assert not run.done
    assert not (study.output / "results.json").exists()
    results = as_json(study.run(jobs=1, progress=False))
    assert results["failures"] == []
    assert not list(tmp_path.rglob("*.partial"))
    assert results["methods"] == unbroken["methods"]


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize("name", ["results.json", "report.html", "summary.png", "runs.jsonl"])
def test_a_disk_that_fills_at_the_end_costs_no_run(
    name: str, tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path, **CHANGES)
    output = tmp_path / "runs" / "parts"
    fill(output / name)
    # what a killed process left would be removed: here it stands for the disk
    monkeypatch.setattr("labelweave.experiments._study.remove_unfinished", lambda folder: None)
    message = f"{output / name}: cannot be written (No space left on device)"
    assert cli.refused("run", path, "--jobs", 1, begun=True) == message
    assert not (output / name).exists()
    ended = {file: file.stat().st_mtime_ns for file in output.glob("runs/*/run.json")}
    assert cli("run", path, "--jobs", 1).code == 0
    assert (output / name).exists()
    assert (
        ended.items() <= {f: f.stat().st_mtime_ns for f in output.glob("runs/*/run.json")}.items()
    )


@pytest.mark.slow
@needs_full
def test_a_disk_that_fills_while_relations_are_found(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_study(tmp_path, relatedness={"from": "predictions", "folds": 2}, **CHANGES)
    assert cli("relate", path).code == 0
    (kept,) = tmp_path.glob("runs/parts/held_out/*")
    kept.unlink()
    shutil.rmtree(tmp_path / "runs/parts/relatedness")  # else nothing is to be found anew
    fill(kept)
    monkeypatch.setattr("labelweave.experiments._study.remove_unfinished", lambda folder: None)
    message = f"{kept}: cannot be written (No space left on device)"
    assert cli.refused("relate", path) == message
    assert cli("relate", path).code == 0
    assert kept.exists()


@pytest.fixture(name="small_disk")
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 KB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "labelweave-test", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only an administrator may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
def test_a_real_small_disk(small_disk: Path, cli: CommandLine) -> None:
    path = write_study(small_disk, **CHANGES | {"seeds": 4})
    filler = small_disk / "filler"
    filler.write_bytes(bytes(150_000))
    message = cli.refused("run", path, "--jobs", 1, begun=True)
    assert message.endswith(": cannot be written (No space left on device)")
    assert message.startswith(str(small_disk / "runs" / "parts" / "runs"))
    assert not list(small_disk.glob("runs/parts/results.*"))
    filler.unlink()
    message = cli.refused("run", path, "--jobs", 1, begun=True)  # now the report is too large
    assert message.startswith(str(small_disk / "runs" / "parts" / ""))
    assert message.endswith(": cannot be written (No space left on device)")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert cli("run", path, "--jobs", 1).code == 0


def test_an_output_that_cannot_be_written_is_reported_before_training(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "labelweave.experiments._runs.fit", lambda *args, **kwargs: pytest.fail("trained")
    )
    path = write_study(tmp_path, **CHANGES)
    (tmp_path / "runs").write_text("a file")
    runs = tmp_path / "runs"
    found = f"{runs / 'parts'}: cannot be written"
    assert cli.refused("run", path) == f"{found} ('{runs}' is no folder)"
    for command in ("ablate", "relate"):
        assert cli.refused(command, path).startswith(found)
    (tmp_path / "runs").unlink()

    def denied(folder: Path, *args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "mkdir", denied)
    assert cli.refused("run", path) == (
        f"{tmp_path / 'runs' / 'parts'}: cannot be written (Permission denied)"
    )
    with pytest.raises(WriteError, match=r"x: cannot be written \(Permission denied\)$"):
        make_folder(tmp_path / "x")


def test_a_study_file_that_cannot_be_read(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "broken.yaml").symlink_to(tmp_path / "nowhere.yaml")
    messages = {
        "folder.yaml": "a folder, expected a study file (YAML)",
        "broken.yaml": "no such study",
    }
    for name, line in messages.items():
        assert cli.refused("run", tmp_path / name).startswith(f"{tmp_path / name}: {line}")
    path = write_study(tmp_path)
    deny(path, monkeypatch)
    assert cli.refused("run", path) == f"{path}: cannot be read: Permission denied"


@pytest.mark.parametrize("name", ["a.csv", "knowledge.csv"])
def test_a_table_that_cannot_be_read(
    name: str, tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = write_study(tmp_path), tmp_path / name
    with monkeypatch.context() as patch:
        deny(file, patch)
        assert cli.refused("run", path) == f"{file}: cannot be read: Permission denied"
    file.unlink()
    file.symlink_to(tmp_path / "nowhere.csv")
    assert cli.refused("run", path).startswith(f"{file}: no such file")
    file.unlink()
    file.mkdir()
    assert cli.refused("run", path) == (
        f"{file}: found a folder, expected a table ('.csv', '.tsv', '.jsonl', '.ndjson', '.txt', "
        "'.parquet', '.feather', '.arrow' and 3 more)"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "damage"),
    [("run.json", b"{"), ("predictions.safetensors", b"\x00"), ("predictions.safetensors", None)],
)
def test_a_damaged_run_is_named_with_what_to_do(
    name: str, damage: bytes | None, tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path, **CHANGES)
    results = as_json(Study.from_file(path).compare(jobs=1, progress=False))
    (folder,) = tmp_path.glob("runs/parts/runs/multi_task-*")
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage)
    else:
        (folder / name).mkdir()
    message = cli.refused("run", path, "--jobs", 1, begun=True)
    assert message.startswith(f"{folder / name}: cannot be read (")
    assert message.endswith(f"; remove the folder {folder.name} to train the run again")
    for file in [*folder.rglob("*")][::-1]:
        file.rmdir() if file.is_dir() else file.unlink()
    folder.rmdir()
    assert (
        as_json(Study.from_file(path).compare(jobs=1, progress=False))["methods"]
        == results["methods"]
    )


def deny(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the opening of a file be denied; an administrator may open any file."""
    usual = io.open

    def open_(path: Any, *args: Any, **options: Any) -> Any:
        if str(path) == str(file):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return usual(path, *args, **options)

    monkeypatch.setattr("io.open", open_)
    monkeypatch.setattr("builtins.open", open_)
    plain = os.open

    def os_open(path: Any, *args: Any, **options: Any) -> Any:
        if str(path) == str(file):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, *args, **options)

    monkeypatch.setattr("os.open", os_open)


def test_a_write_error_is_bad_input_to_the_command_line() -> None:
    assert issubclass(WriteError, LabelweaveError)

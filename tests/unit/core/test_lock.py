import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import CommandLine
from study_example import write_study

from labelweave._files import check_free, locked
from labelweave.errors import LabelweaveError, LabelweaveWarning, WriteError

HOLD = (
    "import sys, pathlib\n"
    "from labelweave._files import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


@contextmanager
def held_elsewhere(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Hold a folder in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_process_is_refused_with_the_holder_named(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        holder = json.loads((tmp_path / ".locked_by").read_text())
        assert holder["process"] == process.pid
        expected = (
            f"{tmp_path}: in use by process {process.pid} on {holder['host']} since "
            f"{holder['since']}; wait until it ends, or end it"
        )
        for attempt in (lambda: check_free(tmp_path), locked(tmp_path).__enter__):
            with pytest.raises(LabelweaveError) as error:
                attempt()
            assert str(error.value) == expected


def test_a_killed_holder_frees_the_folder(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()
        with locked(tmp_path):
            assert json.loads((tmp_path / ".locked_by").read_text())["process"] == os.getpid()


def test_a_block_inside_a_block_may_enter_and_the_outer_one_keeps_the_folder(
    tmp_path: Path,
) -> None:
    with locked(tmp_path):
        with locked(tmp_path / "x" / ".."):
            pass
        assert refused_in_a_thread(tmp_path)
    assert not refused_in_a_thread(tmp_path)
    assert not (tmp_path / ".locked_by").exists()


def test_a_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert not refused_in_a_thread(tmp_path)


def test_checking_makes_no_file(tmp_path: Path) -> None:
    check_free(tmp_path / "new")
    check_free(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.warns(LabelweaveWarning) as warned, locked(tmp_path):
        pass
    assert [str(warning.message) for warning in warned] == [
        f"{tmp_path}: this file system has no locks (No locks available); make sure that no other "
        "process works in this folder"
    ]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match=r"file/a: cannot be written \(Not a directory\)$"):
        locked(tmp_path / "file" / "a").__enter__()
    (tmp_path / ".lock").mkdir()
    with pytest.raises(WriteError, match=r"\.lock: cannot be written \(Is a directory\)$"):
        locked(tmp_path).__enter__()


@pytest.mark.parametrize("command", ["run", "ablate", "relate"])
def test_commands_that_train_refuse_a_folder_in_use(
    command: str, tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path)
    output = tmp_path / "runs" / "parts"
    with held_elsewhere(output) as process:
        message = cli.refused(command, path)
    assert message.startswith(f"{output}: in use by process {process.pid} on ")
    assert sorted(file.name for file in output.iterdir()) == [".lock", ".locked_by"]


def test_the_report_is_written_while_another_process_works(
    trained_copy: Path, cli: CommandLine
) -> None:
    output = trained_copy.parent / "runs" / "parts"
    with held_elsewhere(output):
        assert cli("report", output).code == 0


def refused_in_a_thread(folder: Path) -> bool:
    found = []

    def attempt() -> None:
        try:
            with locked(folder):
                found.append(False)
        except LabelweaveError:
            found.append(True)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return found[0]

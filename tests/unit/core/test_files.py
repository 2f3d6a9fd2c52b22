import errno
import os

import pytest

from labelweave._files import check_regular, remove_empty, replacing, write_text
from labelweave.errors import LabelweaveError, WriteError


def test_a_file_is_replaced_whole(tmp_path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_middle_leaves_the_old_file_and_no_other(tmp_path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError):
        _half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_overwritten(tmp_path) -> None:
    (tmp_path / ".a.txt.partial").write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_is_not_there_gives_one_line(tmp_path) -> None:
    with pytest.raises(LabelweaveError, match=r"a\.txt: cannot be written \(No such file"):
        write_text(tmp_path / "no" / "a.txt", "x")


def _half(path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError


def test_an_error_keeps_its_reason_apart_from_the_place(tmp_path) -> None:
    error = LabelweaveError("found x, expected y", place="key 'a'")
    assert (str(error), error.reason) == ("key 'a': found x, expected y", "found x, expected y")
    assert LabelweaveError("so").reason == "so"
    large = tmp_path / "a.csv"
    large.write_bytes(b"x" * 100)
    with pytest.raises(LabelweaveError) as caught:
        check_regular(large, 10)
    assert str(caught.value) == f"{large}: {caught.value.reason}"


def test_empty_folders_are_removed_and_those_with_files_stay(tmp_path) -> None:
    for name in ("left/a/b", "left/c", "kept/d/e", "kept/f"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "kept" / "d" / "last.safetensors").touch()
    remove_empty(tmp_path / "left")
    remove_empty(tmp_path / "kept")
    remove_empty(tmp_path / "never there")
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*"))
    assert found == ["kept", "kept/d", "kept/d/last.safetensors"]


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EXDEV, errno.EIO])
def test_a_rename_that_a_network_drive_refuses_is_one_line(tmp_path, monkeypatch, number) -> None:
    """As on NFS: the old file stays, nothing half-written is left."""
    file = tmp_path / "results.json"
    write_text(file, "old")

    def refused(self, target):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(type(file), "replace", refused)
    with pytest.raises(WriteError) as error:
        write_text(file, "new")
    assert str(error.value) == f"{file}: cannot be written ({os.strerror(number)})"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]

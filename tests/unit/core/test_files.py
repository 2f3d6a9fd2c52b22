import pytest

from labelweave._files import replacing, write_text
from labelweave.errors import LabelweaveError


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

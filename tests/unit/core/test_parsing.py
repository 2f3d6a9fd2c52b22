"""JSON and YAML that would hang, fill the memory or end in a traceback."""

import os
import socket
import time
from itertools import pairwise
from pathlib import Path

import pytest

from labelweave._files import read_regular, read_text
from labelweave._parsing import DEEPEST, MOST_VALUES, parse_json, read_json_object
from labelweave._yaml import parse_yaml
from labelweave.errors import LabelweaveError, is_printable, printable


def doubled(levels: int, form: str) -> str:
    """Return YAML in which every section holds the one before it many times."""
    names = [chr(ord("a") + i) for i in range(levels)]
    lines = [f"{names[0]}: &a {{x: 1}}"]
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} {form.format(before=before, name=name)}")
    return "\n".join(lines)


YAML = {
    doubled(20, "[*{before}, *{before}, *{before}]"): f"holds more than {MOST_VALUES:,} values",
    doubled(20, "{{<<: [*{before}, *{before}, *{before}], k{name}: 1}}"): "merges more than 1000",
    "x: &x [*x]": f"nested deeper than {DEEPEST}",
    "[" * 5000: f"nested deeper than {DEEPEST}",
    "{a: " * 5000: f"nested deeper than {DEEPEST}",
    "[" + "a," * (MOST_VALUES + 1) + "]": f"more than {MOST_VALUES:,} values",
    "day: 2024-99-99": "line 1: cannot be read as YAML: found '2024-99-99', expected a value of",
    "n: !!int abc": "found 'abc', expected a value of the kind 'int'",
    "n: !!float [1]": "expected a value of the kind 'float'|expected a scalar node",
    "n: !!timestamp abc": "found 'abc', expected a value of the kind 'timestamp'",
    "n: !!bool maybe": "found 'maybe', expected a value of the kind 'bool'",
    "n: " + "9" * 5000: "a number that is too long",
    "n: 1" + ":1" * 5000: "a number that is too long",
    "n: 99999999999999999999": "found a number above 2",
    "? [a]\n: 1": "found unhashable key",
    "!!python/object/apply:os.system [id]": "could not determine a constructor",
    "a: 1\na: 2": "key 'a' appears twice",
    "x" * (1 << 21): "expected at most 1 MB",
}


@pytest.mark.parametrize("text", YAML, ids=lambda text: text[:12])
def test_a_yaml_bomb_is_one_line_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(LabelweaveError, match=YAML[text]):
        parse_yaml(text, "study.yaml")
    assert time.process_time() - started < 20


def test_anchors_and_merged_keys_still_work() -> None:
    found = parse_yaml("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: [*b, *a], y: 3}", "study.yaml")
    assert found == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 2, "y": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, f"m: nested deeper than {DEEPEST}"),
        ("[" * 99 + "]" * 99, f"m: nested deeper than {DEEPEST}"),
        ("9" * 5000, "m: holds a number that is too long"),
        ("9" * 50, "m: found a number above 2^63, expected a smaller one"),
        ("[1", "m: column 3: no JSON: Expecting ',' delimiter"),
        (b"\xff", "m: not a text in UTF-8"),
    ],
)
def test_a_json_bomb_is_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(LabelweaveError) as caught:
        parse_json(text, "m")
    assert str(caught.value) == message


def test_numbers_that_json_does_not_have_are_refused_on_request() -> None:
    assert parse_json("[NaN, 1]", "m")[1] == 1
    with pytest.raises(LabelweaveError, match="m: found nan, expected finite numbers"):
        parse_json("[NaN, 1]", "m", finite=True)


@pytest.mark.parametrize("content", ["[1]", "null", '"text"', "3"])
def test_json_that_is_no_object_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(LabelweaveError, match="expected an object of keys and values"):
        read_json_object(path)


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    pipe, plug = tmp_path / "pipe", tmp_path / "plug"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(plug))
        for path, kind in {
            pipe: "a named pipe", link: "a named pipe", plug: "a socket",
            Path("/dev/zero"): "a device",
        }.items():  # fmt: skip
            with pytest.raises(LabelweaveError) as caught:
                read_regular(path)
            assert str(caught.value) == f"{path}: found {kind}, expected a regular file"
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(3 << 20)  # a hole, which takes no room
    with pytest.raises(LabelweaveError, match=r"found 3\.0 MB, expected at most 1 MB"):
        read_regular(path, 1 << 20)
    endless = Path("/proc/self/mem")  # its size is said to be 0
    if endless.exists():
        with pytest.raises((LabelweaveError, OSError)):
            read_regular(endless, 100)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(LabelweaveError) as caught:
        read_regular(name)
    assert str(caught.value) == f"{printable(name)}: no file can have this name"


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(LabelweaveError, match="not a text file in UTF-8"):
        read_text(path)


ODD = "\x1b[31m", "\0", "\ud800", "a\nb", "\x85", "\u2028", "\u202e", "\x7f"


@pytest.mark.parametrize("text", ODD)
def test_an_error_is_one_printable_line(text: str) -> None:
    said = str(LabelweaveError(f"found '{text}', expected 1"))
    assert is_printable(said)
    said.encode()
    assert not is_printable(text)
    assert is_printable(printable(text))


@pytest.mark.parametrize("text", ["oak", "樫　の木", "Eiche, groß", "no\u00a0break", "👩‍🌾", "עץ"])
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert is_printable(text)


def test_found_values_are_cut() -> None:
    said = str(LabelweaveError(f"found '{'x' * 5_000_000}', expected 'oak'"))
    assert said == f"found '{'x' * 80}...', expected 'oak'"
    assert len(str(LabelweaveError("x" * 5_000_000))) < 3000

"""What docs/explanation/architecture.md promises of imports, counted by tools/house.py."""

import re
from functools import cache
from pathlib import Path

from tools.house import circles, edges, modules, repeated

ROOT = Path(__file__).parents[2]
PATHS = modules(ROOT / "src")
ABOVE = {"experiments", "cli", "report", "tracking", "serving"}  # what training does not know


@cache
def imports(anywhere: bool = True) -> frozenset[tuple[str, str]]:
    return frozenset(edges(PATHS, anywhere=anywhere))


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports(anywhere=False)) == []
    assert circles(imports()) == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    rooms = {(room(name), room(target)) for name, target in imports()}
    assert circles({(name, target) for name, target in rooms if name != target}) == []


def test_the_architecture_names_every_package_and_in_their_order() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.M)
    order = {name: place for place, row in enumerate(rows) for name in re.findall(r"\w+", row)}
    assert set(order) == {room(name) for name in PATHS} - {"", "__main__"}
    for name, target in imports():
        if room(name) in order and room(target) in order:
            assert order[room(target)] <= order[room(name)], (name, target)


def test_nothing_below_the_experiments_imports_them_or_the_report() -> None:
    assert not {
        (name, target)
        for name, target in imports()
        if room(name) not in ABOVE and room(target) in ABOVE and name != "labelweave.__main__"
    }


def test_the_report_only_renders_and_only_the_command_line_asks_for_it() -> None:
    rooms = {(room(name), room(target)) for name, target in imports()}
    known = {target for name, target in rooms if name == "report"}
    assert known <= {"report", "results", "errors", "_files", "_messages", "evaluation"}
    asking = {room(name) for name, target in imports() if room(target) == "report"}
    assert asking == {"report", "cli"}


def test_all_csv_is_written_by_one_function() -> None:
    # it keeps cells from starting a formula; `_text_files` writes to memory what it then reads
    by_hand = {
        name.removeprefix("labelweave.")
        for name, path in PATHS.items()
        if re.search(
            r"(?m)^(?! *(>>>|\.\.\.)).*(csv\.(Dict)?[wW]riter\(|\.to_csv\((?!save))",
            path.read_text(encoding="utf-8"),
        )
    }
    assert by_hand == {"_files", "tables._text_files"}


def test_circles_and_repeated_names_are_found_where_there_are_some(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("from typing import TYPE_CHECKING\n")
    (package / "a.py").write_text("from house import b\n\ndef door(): ...\n")
    (package / "b.py").write_text("from . import c\n\ndef door():\n    import house.a\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import door\n"
    )
    paths = modules(tmp_path)
    assert sorted(paths) == ["house", "house.a", "house.b", "house.c"]
    assert edges(paths) == {("house.a", "house.b"), ("house.b", "house.c")}
    assert circles(edges(paths)) == []
    assert circles(edges(paths, anywhere=True)) == [["house.a", "house.b"]]
    assert repeated(paths) == {"door": ["house.a", "house.b"]}
    (package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import door\n"
        "else:\n    __getattr__, __dir__ = lazy_face(__name__, {'a': ['door']})\n"
    )
    assert ("house", "house.a") in edges(paths)  # loaded at first use, but loaded

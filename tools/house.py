"""Counts what the package is built of: files, lines, imports, import circles, repeated names.

Run: python tools/house.py [--tree FOLDER] [--longest N]

An import edge is one pair of modules. "at the top" counts what runs when a module is imported;
"anywhere" counts imports inside functions as well. Imports for type checkers alone never run and
are not counted; neither is the import of a package that comes before that of its module.
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

FOLDERS = ("src", "tests", "benchmarks", "docs", "tools", "examples")
Edges = set[tuple[str, str]]


def modules(source: Path) -> dict[str, Path]:
    """Return the path of every module below a folder of packages, by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def edges(paths: Mapping[str, Path], anywhere: bool = False) -> Edges:
    """Return who imports whom; with `anywhere` also imports inside functions."""
    found = set()
    for name, path in paths.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in _statements(ast.parse(path.read_bytes()), anywhere):
            found |= {(name, target) for target in _targets(node, package, paths)}
    return {(name, target) for name, target in found if name != target}


def circles(pairs: Edges) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    after = defaultdict(set)
    for name, target in pairs:
        after[name].add(target)
    reached = {name: _reachable(name, after) for name in after}
    found = {
        tuple(sorted(other for other in seen if name in reached.get(other, ())))
        for name, seen in reached.items()
        if name in seen
    }
    return [list(circle) for circle in sorted(found)]


def repeated(paths: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the modules of every public function or class that several modules define."""
    homes = defaultdict(set)
    for name, path in paths.items():
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                homes[node.name].add(name)
    return {
        name: sorted(where)
        for name, where in sorted(homes.items())
        if len(where) > 1 and not name.startswith("_")
    }


def lines(path: Path) -> int:
    """Return the number of lines of a file."""
    return len(path.read_bytes().splitlines())


def _statements(node: ast.AST, anywhere: bool) -> Iterator[ast.AST]:
    """Give what runs at import, or everything; never what is for type checkers only.

    A face that loads its modules at first use names them for type checkers, and imports them all.
    """
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            lazy = any("lazy_face(" in ast.unparse(other) for other in child.orelse)
            parts = child.body if lazy else child.orelse
            yield from (part for other in parts for part in _with(other, anywhere))
        else:
            yield from _with(child, anywhere)


def _with(node: ast.AST, anywhere: bool) -> Iterator[ast.AST]:
    yield node
    inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if anywhere or not inside:
        yield from _statements(node, anywhere)


def _targets(node: ast.AST, package: str, paths: Mapping[str, Path]) -> Iterator[str]:
    """Give the known modules that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (_known(alias.name, paths) for alias in node.names if _known(alias.name, paths))
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")
        base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
        home = ".".join(filter(None, (base, node.module)))
        for alias in node.names:
            target = _known(f"{home}.{alias.name}", paths) or _known(home, paths)
            if target:
                yield target


def _known(name: str, paths: Mapping[str, Path]) -> str:
    return name if name in paths else ""


def _reachable(start: str, after: Mapping[str, set[str]]) -> set[str]:
    seen, open_ = set[str](), list(after.get(start, ()))
    while open_:
        name = open_.pop()
        if name not in seen:
            seen.add(name)
            open_ += after.get(name, ())
    return seen


def report(tree: Path, longest: int = 5) -> str:
    """Return the counts of one tree as text."""
    rows = []
    for folder in FOLDERS:
        files = sorted((tree / folder).rglob("*.py"))
        if files:
            rows.append(f"{folder:<12}{len(files):>5} files {sum(map(lines, files)):>7,} lines")
    paths = modules(tree / "src")
    for place, anywhere in (("at the top", False), ("anywhere", True)):
        pairs = edges(paths, anywhere)
        found = circles(pairs)
        rows.append(f"imports {place}: {len(pairs)} edges, {len(found)} circles")
        rows += [f"    {len(circle)} modules: {', '.join(circle)[:200]}" for circle in found]
    names = repeated(paths)
    rows.append(f"public names defined in several modules: {len(names)}")
    rows += [f"    {name}: {', '.join(where)}" for name, where in names.items()]
    sizes = sorted(((lines(path), name) for name, path in paths.items()), reverse=True)
    rows.append("longest modules: " + ", ".join(f"{name} {n}" for n, name in sizes[:longest]))
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Counts what the package is built of.")
    parser.add_argument("--tree", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--longest", type=int, default=5)
    arguments = parser.parse_args()
    print(report(arguments.tree, arguments.longest))

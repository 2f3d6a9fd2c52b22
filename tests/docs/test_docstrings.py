"""The examples in docstrings run; every name of `labelweave` itself has one."""

import ast
import doctest
import inspect
import os
from importlib import import_module
from pathlib import Path

import pytest

import labelweave
from docs import generate

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FINDER = doctest.DocTestFinder(recurse=False)


def examples(described: object, name: str) -> list[doctest.DocTest]:
    globs = dict(vars(inspect.getmodule(described) or labelweave))
    return [test for test in FINDER.find(described, name, globs=globs) if test.examples]


PUBLIC = {n: getattr(labelweave, n) for n in labelweave.__all__}


ROOT = Path(labelweave.__file__).parent
OWN = {"LabelweaveError", "TrainingError"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # `trust_packages` writes to it


@pytest.mark.parametrize("name", labelweave.__all__)
def test_the_example_of_a_name_of_labelweave_runs(name: str) -> None:
    tests = examples(PUBLIC[name], name)
    assert tests, f"labelweave.{name}: no example in its docstring"
    run(tests)


def test_every_other_example_of_a_public_name_runs() -> None:
    for module in generate.modules():
        described = import_module(module)
        for name in described.__all__:
            if name not in PUBLIC and inspect.getmodule(getattr(described, name)):
                run(examples(getattr(described, name), f"{module}.{name}"))


def run(tests: list[doctest.DocTest]) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in tests:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


def definitions(package: Path) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    files = package.glob("*.py") if package.is_dir() else [package]
    bodies = [ast.parse(path.read_text(encoding="utf-8")).body for path in files]
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for body in bodies for node in body if isinstance(node, kinds)}


def raises(node: ast.AST) -> bool:
    thrown = [each.exc for each in ast.walk(node) if isinstance(each, ast.Raise)]
    return any(isinstance(e, ast.Call) and getattr(e.func, "id", "") in OWN for e in thrown)


def silent(node: ast.FunctionDef | ast.ClassDef, name: str) -> list[str]:
    """Return the parts of a definition that raise an error and do not document it."""
    text = ast.get_docstring(node) or ""
    if isinstance(node, ast.FunctionDef):
        named = "Raises:" in text or "aise `LabelweaveError`" in text
        return [name] if raises(node) and not named else []
    found = []
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            made = part.name in ("__init__", "__post_init__")
            if made and raises(part) and "Raises:" not in text:
                found.append(name)
            elif not part.name.startswith("_"):
                found += silent(part, f"{name}.{part.name}")
    return found


def test_public_names_have_docstrings_that_name_their_errors() -> None:
    found = []
    for module in generate.modules():
        path = ROOT / module.removeprefix("labelweave.")
        known = definitions(path if path.is_dir() else path.with_suffix(".py"))
        for name in import_module(module).__all__:
            if name in known:
                assert ast.get_docstring(known[name]), f"{module}.{name}"
                found += silent(known[name], f"{module}.{name}")
    assert found == []


def test_an_error_that_is_not_documented_is_found() -> None:
    code = 'def f(x):\n    """Return x."""\n    raise LabelweaveError("no")\n'
    (node,) = ast.parse(code).body
    assert isinstance(node, ast.FunctionDef)
    assert silent(node, "f") == ["f"]

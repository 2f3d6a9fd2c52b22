"""The examples in docstrings run; every name of `labelweave` itself has one."""

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

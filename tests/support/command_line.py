"""Calls the command line as a terminal would, without a new process."""

import sys
from typing import NamedTuple

import pytest

from labelweave.cli import main


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class CommandLine:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Answer:
        self.monkeypatch.setattr(sys, "argv", ["labelweave", *map(str, arguments)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, captured.out, captured.err)

    def refused(self, *arguments: object, begun: bool = False) -> str:
        """Return the one line of an error, checked for form and exit code.

        Args:
            arguments: the command line.
            begun: whether the training had begun: then what its batches are made of is printed.
        """
        answer = self(*arguments)
        assert answer.code == 2
        assert answer.out.startswith("What a batch is made of:") if begun else answer.out == ""
        assert "Report: " not in answer.out
        assert answer.err.count("\n") == 1
        assert answer.err.startswith("labelweave: ")
        return answer.err.removeprefix("labelweave: ").rstrip("\n")

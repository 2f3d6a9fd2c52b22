"""Plain words: no banned habit in any text of the project; an example in every command's help."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from labelweave.cli import app

ROOT = Path(__file__).parents[2]
BANNED = {
    r"\b(told|tells?|telling)\b": "reported, shown, known, estimated",
    r"\bsays? of\b|\bsaid of\b|\bspeaks? (of|for)\b": "shows about, covers",
    r"\b(dealt|deal out)\b": "assigned, split",
    r"\blest\b": "so that ... not",
    r"\bof (its|their|our|your) own\b": "its own ..., separate, different",
    r"\brare and dear\b": "scarce and expensive",
    r"\bkept out\b": "held out, out-of-fold",
    r"\bbeside\b": "next to, in addition to, together with",
    r"\bwhat (it|that|joining|this) is worth\b": "its value, its gain",
    r"\ba \w+ so (found|made|chosen|trained|fitted)\b": "a task found in this way",
    r"\b(whence|thence|whereof|thereof|nought|betwixt)\b": "plain words",
}
# one verdict of a recommendation is a value of results.json; `tell` is a method of Optuna
ALLOWED = re.compile(r"cannot tell|\.tell\(", re.IGNORECASE)
FILES = sorted(
    path
    for pattern in (
        "*.md", "*.toml", "docs/**/*.md", "src/**/*.py", "src/**/*.j2", "src/**/*.json",
        "docs/**/*.py", "examples/*.py", "tests/**/*.py", "benchmarks/**/*.py",
        "benchmarks/**/*.md", "tools/*.py",
    )
    for path in ROOT.glob(pattern)
    if path != Path(__file__)  # it quotes the habits
)  # fmt: skip
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def habits(text: str) -> list[str]:
    """Return line number, word and a better one, for every banned habit in a text."""
    text = re.sub(r"def test_\w+", lambda name: name[0].replace("_", " "), text)  # a sentence, too
    lines = ALLOWED.sub("", text).splitlines()
    return [
        f"line {number}: '{hit[0]}', better: {better}"
        for number, line in enumerate(lines, start=1)
        for pattern, better in BANNED.items()
        if (hit := re.search(pattern, line, re.IGNORECASE))
    ]


def test_every_habit_is_found() -> None:
    for words in ("labels are told", "what it says of them", "beside it", "a name of its own",
                  "def test_an_error_is_told():"):  # fmt: skip
        assert len(habits(words)) == 1, words
    assert habits("cannot tell\nstudy.tell(trial)\nlabels are reported") == []


def test_words_are_plain() -> None:
    assert len(FILES) > 400
    found = {
        str(path.relative_to(ROOT)): lines
        for path in FILES
        if (lines := habits(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_and_describes_every_option(command: str) -> None:
    answer = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"})
    assert answer.exit_code == 0
    examples = answer.output.partition("Example")[2]
    assert f"labelweave {command}" in examples
    assert max(map(len, answer.output.splitlines())) <= 80
    assert "…" not in answer.output
    group = typer.main.get_command(app)
    for parameter in group.commands[command].params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), f"{command} {parameter.name}"

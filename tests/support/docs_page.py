"""Follows a page of the documentation: writes its files, runs its commands and Python, compares."""

import doctest
import re
import shlex
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from command_line import Answer, CommandLine

BLOCK = re.compile(r"^```(console|yaml|csv|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
Seen = Callable[[str, str, str], object]  # a command, what the page shows, what it printed


def check_output(command: str, shown: str, printed: str) -> None:
    """Raise unless every line that the page shows was printed; a line of ``...`` stands for any."""
    said = " ".join(printed.split())
    for line in shown.splitlines():
        if line.strip() not in ("", "..."):
            assert " ".join(line.split()) in said, (command, line, printed)


def follow(
    text: str,
    cli: CommandLine,
    *,
    skipped: Collection[str] = (),
    names: dict[str, Any] | None = None,
    seen: Seen = check_output,
) -> list[str]:
    """Follow a page in the current folder and return the commands that it ran.

    A ``yaml`` or ``csv`` block is written to the file that its first line names, ``# study.yaml``.
    A ``console`` block runs one command of labelweave, or several; where the page shows an error,
    ``labelweave: ...``, it has to end with code 2. A ``pycon`` block is a doctest, and all blocks
    share their names.

    Args:
        text: the page.
        cli: runs commands.
        skipped: commands that are not run.
        names: what the page's Python starts with.
        seen: looks at what a command printed.
    """
    ran, names = [], {} if names is None else names
    for kind, body in BLOCK.findall(text):
        if kind == "pycon":
            run_python(body, names)
        elif kind in ("yaml", "csv"):
            name = re.match(r"# (\S+)\n", body)
            if name:
                kept = body if kind == "yaml" else body[name.end() :]
                Path(name[1]).write_text(kept, encoding="utf-8")
        else:
            for part in re.split(r"^\$ labelweave ", body, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                asked = shlex.split(command, comments=True)
                if asked[0] in skipped:
                    continue
                answer: Answer = cli(*asked)
                wanted = 2 if shown.startswith("labelweave: ") else 0
                alarms = re.search(r"^exit code (\d)$", shown, re.MULTILINE)
                assert answer.code == (int(alarms[1]) if alarms else wanted), (command, answer)
                shown = re.sub(r"^exit code \d$", "", shown, flags=re.MULTILINE)
                seen(command, shown, answer.out + answer.err)
                ran.append(asked[0])
    return ran


def run_python(body: str, names: dict[str, Any]) -> None:
    """Run a block of ``>>>`` lines and compare what it prints."""
    test = doctest.DocTestParser().get_doctest(body, names, "page", None, 0)
    test.globs = names  # the next block sees what this one made
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test, out=said.append, clear_globs=False)
    assert runner.failures == 0, "".join(said)

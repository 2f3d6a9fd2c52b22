"""What reaches the terminal: printable, whatever names and values come from files."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from labelweave.errors import LabelweaveError, printable

if TYPE_CHECKING:
    from labelweave.results import Check

Formulas = Annotated[
    bool,
    typer.Option(
        "--formulas",
        help="Write cells and names that start with = + - @ as they are; default: with a ' in "
        "front, for spreadsheets run them.",
    ),
]


def lines(text: str) -> str:
    """Return a text with what cannot be printed as escapes; line ends and tabs stay."""
    return "\n".join(
        "\t".join(printable(part, None) for part in line.split("\t")) for line in text.split("\n")
    )


def say(text: object, *, err: bool = False) -> None:
    """Print a line."""
    typer.echo(lines(str(text)), err=err)


def keep_for_report(folder: Path, name: str, checks: Sequence["Check"]) -> None:
    """Keep what a check measured with the study of a model, and print how to see it there.

    Where it cannot be kept, one line says so: the check itself has ended, and so does its command.

    Args:
        folder: of the model, or of the study's results.
        name: of the check, see `keep_check`.
        checks: its figures.
    """
    from labelweave.results import keep_check

    here = folder.resolve()
    for place in (here, here.parent):
        try:
            kept = keep_check(place, name, checks)
        except LabelweaveError as error:
            say(f"note: not kept for the report: {error}", err=True)
            return
        if kept:
            say(f"Kept for the report: labelweave report {os.path.relpath(place)}")
            return


class PrintableConsole(Console):
    """Rich's console, without control characters of what is printed."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Give the parts of what is printed."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(lines(part.text), part.style)

    def on_broken_pipe(self) -> None:
        """End quietly: the reader, such as ``head``, has seen enough."""
        raise BrokenPipeError

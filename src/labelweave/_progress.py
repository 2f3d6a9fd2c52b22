"""The progress bar of a training run, silent when not on a terminal."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class StepBar:
    """A bar over the steps with the supervised loss of (the first few) tasks.

    Args:
        total: number of steps.
        title: text before the bar.
        enabled: False = no bar.
    """

    def __init__(self, total: int, title: str, enabled: bool) -> None:
        console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self.task = self.bar.add_task(title, total=total, losses="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def update(self, step: int, raw: Mapping[str, float]) -> None:
        """Show that `step` steps are done, with the tasks' losses."""
        tasks = [(name[11:], loss) for name, loss in raw.items() if name.startswith("supervised/")]
        text = "  ".join(f"{name} {loss:.3f}" for name, loss in tasks[:4])
        self.bar.update(self.task, completed=step, losses=text)


def items_bar(enabled: bool) -> Progress:
    """Return a bar over items, on standard error."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not (enabled and console.is_terminal),
    )


def runs_bar(enabled: bool) -> Progress:
    """Return a bar over runs; its tasks need the field ``last``, the run that ended last."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
        console=console,
        disable=not (enabled and console.is_terminal),
    )


@contextmanager
def fit_status(enabled: bool) -> Iterator[Callable[[str], None]]:
    """Show what is fitted now, on standard error; give what is called with each new text."""
    console = Console(stderr=True)
    if not (enabled and console.is_terminal):
        yield lambda text: None
        return
    with console.status("learners") as status:
        yield lambda text: status.update(text)

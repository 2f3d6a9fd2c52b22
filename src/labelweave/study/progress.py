"""The progress bar of a study, silent when not on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


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

"""The errors that a user can cause, each in one line."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = ["LabelweaveError", "LabelweaveWarning", "TrainingError", "WriteError"]


class LabelweaveError(ValueError):
    """Bad input: one line naming the place, what was found and what was expected.

    The command line prints the message and exits with code 2, without a traceback.
    """


class WriteError(LabelweaveError):
    """A file that cannot be written, for example because the disk is full.

    It ends a study at once, for no other run could be written either; the next call goes on.
    """


class LabelweaveWarning(UserWarning):
    """Something that a user should know, in one line, and that stops nothing."""


class TrainingError(RuntimeError):
    """Training cannot go on, for example because a loss is no longer finite."""


class Stopped(Exception):  # noqa: N818 - no error
    """Raised by who watches a training, to end it before its time."""


@contextmanager
def in_place(place: object) -> Iterator[None]:
    """Name a place, such as a file, in front of the bad input that is found inside."""
    try:
        yield
    except LabelweaveError as error:
        raise type(error)(f"{place}: {error}") from error.__cause__


def nearest(name: object, options: Iterable[object]) -> str:
    """Return ``"; did you mean 'x'?"`` for the option closest to `name`, or an empty string."""
    texts = {str(option).lower(): str(option) for option in options}
    found = get_close_matches(str(name).lower(), list(texts), n=1, cutoff=0.5)
    return f"; did you mean '{texts[found[0]]}'?" if found else ""


def listing(options: Iterable[object], limit: int = 8) -> str:
    """Return ``"'a', 'b', 'c'"``, cut after `limit` names with the count of the rest."""
    names = [f"'{option}'" for option in options]
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def missing_package(what: str, error: ImportError, extra: str) -> LabelweaveError:
    """Return the error of something whose package, of an extra, is not installed."""
    return LabelweaveError(
        f"{what} needs the package {error.name}, which is not installed: "
        f"pip install 'labelweave[{extra}]'"
    )

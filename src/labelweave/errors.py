"""The errors that a user can cause, each in one line."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = ["LabelweaveError", "LabelweaveWarning", "TrainingError", "WriteError"]

LONGEST_VALUE = 80  # characters of a found value in a message
LONGEST_MESSAGE = 2000
UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # control characters, half surrogate pairs, line ends
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of writing."""
QUOTED = re.compile(r"(?<!\w)'([^']*)'(?!\w)")


def is_printable(text: str) -> bool:
    """Return whether a text can be shown on one line of any terminal or page as it is."""
    return text.isprintable() or not any(map(_is_odd, text))


def printable(value: object, longest: int | None = LONGEST_VALUE) -> str:
    r"""Return a value as text for people, on one line.

    Control characters, line ends, half surrogate pairs and characters that turn the direction of
    writing stand as escapes such as ``\x1b``.

    Args:
        value: what was found.
        longest: characters after which the text is cut; None = not at all.
    """
    text = value if isinstance(value, str) else str(value)
    rest = longest is not None and len(text) > longest
    text = text[:longest]
    if not text.isprintable():
        text = "".join(_escaped(c) if _is_odd(c) else c for c in text)
    return f"{text}..." if rest else text


def _is_odd(character: str) -> bool:
    return unicodedata.category(character) in UNPRINTABLE or character in DIRECTIONS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _one_line(message: object) -> str:
    text = str(message)
    half = LONGEST_MESSAGE // 2
    if len(text) > LONGEST_VALUE:
        text = QUOTED.sub(lambda quoted: f"'{_cut(quoted[1])}'", text)
    if len(text) > LONGEST_MESSAGE:  # what was expected stands at the end
        text = f"{text[:half]} ... {text[-half:]}"
    return printable(text, None)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE + 3 else f"{text[:LONGEST_VALUE]}..."


class LabelweaveError(ValueError):
    """Bad input: one line naming the place, what was found and what was expected.

    The command line prints the message and exits with code 2, without a traceback. Found values
    in quotes are cut to 80 characters, and what cannot be printed is escaped.

    >>> from labelweave import Multiclass
    >>> try:
    ...     Multiclass("kind", ("box",))
    ... except LabelweaveError as error:
    ...     print(error)
    task 'kind': found 1 classes, expected at least 2

    Args:
        message: what was found and what was expected.
        place: where, in front of the message; "" = the message names it, or there is none.

    Attributes:
        reason: the message without the place, for who shows another place.
    """

    def __init__(self, message: object = "", *, place: object = "") -> None:
        super().__init__(_one_line(f"{place}: {message}" if str(place) else message))
        self.reason = _one_line(message)


class CellError(LabelweaveError):
    """A cell of a table that holds something else than its column.

    Args:
        row: of the cell, the first is 1.
        column: its name.
        found: what the cell holds.
        expected: what it should hold.

    Attributes:
        cell: these four.
    """

    def __init__(self, row: int, column: str, found: object, expected: str) -> None:
        self.cell = (row, column, str(found), expected)
        super().__init__(f"row {row}, column '{column}': found '{found}', expected {expected}")


class WriteError(LabelweaveError):
    """A file that cannot be written, for example because the disk is full.

    It ends a study at once, for no other run could be written either; the next call goes on.
    """


class LabelweaveWarning(UserWarning):
    """Something that a user should know, in one line, and that stops nothing."""

    def __init__(self, message: object = "") -> None:
        super().__init__(_one_line(message))


class TrainingError(RuntimeError):
    """Training cannot go on, for example because a loss is no longer finite.

    >>> str(TrainingError("step 12: the loss is not finite"))
    'step 12: the loss is not finite'
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(_one_line(message))


class Stopped(Exception):  # noqa: N818 - no error
    """Raised by who watches a training, to end it before its time."""


OUT_OF_MEMORY = (
    "out of memory; try fewer processes (--jobs 1), a smaller 'training.batch_size' or "
    "'network.hidden', or fewer rows"
)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no more memory.

    It comes of Python, of PyTorch, or of the system, which cannot load a library.
    """
    said = ("can't allocate memory", "out of memory", "failed to map segment")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and any(text in str(error) for text in said)
    )


@contextmanager
def in_place(place: object) -> Iterator[None]:
    """Name a place, such as a file, in front of the bad input that is found inside."""
    try:
        yield
    except LabelweaveError as error:
        error.reason = _one_line(f"{place}: {error}")
        error.args = (error.reason,)
        raise


def nearest(name: object, options: Iterable[object]) -> str:
    """Return ``"; did you mean 'x'?"`` for the option closest to `name`, or an empty string."""
    texts = {str(option).lower(): str(option) for option in options}
    found = get_close_matches(str(name)[:LONGEST_VALUE].lower(), list(texts), n=1, cutoff=0.5)
    return f"; did you mean '{texts[found[0]]}'?" if found else ""


def listing(options: Iterable[object], limit: int = 8) -> str:
    """Return ``"'a', 'b', 'c'"``, cut after `limit` names with the count of the rest."""
    names = [f"'{printable(option)}'" for option in options]
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def missing_package(what: str, error: ImportError, extra: str) -> LabelweaveError:
    """Return the error of something whose package, of an extra, is not installed."""
    return LabelweaveError(
        f"{what} needs the package {error.name}, which is not installed: "
        f"pip install 'labelweave[{extra}]'"
    )

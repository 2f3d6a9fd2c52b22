"""How a file is read: the options that its owner sets instead of those that are detected."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from labelweave.errors import LabelweaveError, listing, nearest

MISSING = ("", "NA", "NaN", "nan", "null")
DECIMALS = (".", ",")
THOUSANDS = ("", ",", ".", " ", "'", "\u00a0", "\u202f")


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read; what is None is detected from the file, and reported.

    >>> read_table("lab.csv", ReadOptions(sep=";", decimal=",", encoding="cp932"))  # doctest: +SKIP

    Args:
        sep: what separates the columns of a text file.
        decimal: the decimal mark of its numbers, ``.`` or ``,``.
        thousands: the mark between groups of three digits.
        encoding: its encoding, by a name that Python knows.
        sheet: of a workbook: the sheet's name, or its number from 1. Of a zip file: the file in it.
        missing: the texts that stand for a missing value.
        fallback: the encoding of a file that is not UTF-8, where `encoding` is None.
        handwritten: a small table that a person wrote: a line may be shorter than the header, and
            the first column may lack a name.

    Raises:
        LabelweaveError: a value that makes no sense.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    sheet: str | int | None = None
    missing: tuple[str, ...] = MISSING
    fallback: str | None = None
    handwritten: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "missing", tuple(self.missing))
        if self.sep is not None and (len(self.sep) != 1 or self.sep in '"\r\n'):
            raise LabelweaveError(f"sep: found {self.sep!r}, expected one character, such as ';'")
        if self.decimal not in (None, *DECIMALS):
            raise LabelweaveError(f"decimal: found {self.decimal!r}, expected {listing(DECIMALS)}")
        if self.thousands not in (None, *THOUSANDS):
            raise LabelweaveError(
                f"thousands: found {self.thousands!r}, expected a point, a comma, a blank or '"
            )
        if self.thousands and self.thousands == (self.decimal or "."):
            raise LabelweaveError(
                f"thousands: found {self.thousands!r}, expected another mark than the decimal one"
            )
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError:
                raise LabelweaveError(
                    f"encoding: found '{self.encoding}', expected a name such as utf-8, cp932 or "
                    f"latin-1{nearest(self.encoding, ('utf-8', 'cp932', 'latin-1', 'cp1252'))}"
                ) from None
        if isinstance(self.sheet, int) and self.sheet < 1:
            raise LabelweaveError(f"sheet: found {self.sheet}, expected a name, or 1 or more")

    @classmethod
    def of(cls, given: Mapping[str, Any], **more: Any) -> Self:
        """Return the options of a mapping, as in a study file's key ``read``.

        Raises:
            LabelweaveError: an unknown name, or a value that makes no sense.
        """
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise LabelweaveError(
                    f"found '{name}', expected {listing(names)}{nearest(name, names)}"
                )
        return cls(**{**given, **more})

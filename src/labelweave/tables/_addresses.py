"""Files of other machines by fsspec: opened where they are, or fetched and read as a file here."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError, listing, nearest

PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "memory": "fsspec"}  # with the package of each
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # one letter is a drive of Windows
UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
PIECE = 1 << 22  # bytes fetched at once


def is_address(place: object) -> bool:
    """Return whether a text is an address such as ``s3://bucket/rows.csv``, not a path."""
    return isinstance(place, str) and ADDRESS.match(place) is not None


def within(folder: Path, place: str) -> Path | str:
    """Return a path relative to a folder; an address stays what it is."""
    return place if is_address(place) else folder / place


def open_address(address: str) -> Any:
    """Return a file of another machine, opened to be read.

    Args:
        address: ``s3://``, ``gs://`` or ``memory://``; nothing else contacts another machine.

    Raises:
        LabelweaveError: another protocol, a package that is not installed, no such file, or no
            access.
    """
    found = ADDRESS.match(address)
    protocol = "" if found is None else found[1]
    if protocol not in PROTOCOLS:
        raise LabelweaveError(
            f"{address}: found the protocol '{protocol}', expected {listing(PROTOCOLS)}"
            f"{nearest(protocol, PROTOCOLS)}, or a file of this machine"
        )
    try:
        import fsspec

        # of this protocol only: fsspec.open would follow chains of addresses and patterns
        return fsspec.filesystem(protocol).open(address, "rb")
    except ImportError:
        raise LabelweaveError(
            f"{address}: needs the package {PROTOCOLS[protocol]}, which is not installed"
        ) from None
    except FileNotFoundError:
        raise LabelweaveError(f"{address}: no such file") from None
    except Exception as error:  # of the store's library, which may be of any kind
        raise _unreadable(address, error) from None


def _unreadable(address: str, error: Exception) -> LabelweaveError:
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()
    return LabelweaveError(f"{address}: cannot be read: {reason[0]}")


class _Fetched(type(Path())):  # type: ignore[misc]
    """The file here that a file of another machine was fetched to; messages name the address."""

    __slots__ = ("address",)
    address: str

    def __str__(self) -> str:
        return self.address

    def __fspath__(self) -> str:
        return str(super().__str__())


@contextmanager
def fetched(address: str, largest: int) -> Iterator[Path]:
    """Give a file of another machine as one of this machine, removed at the end.

    Args:
        address: see `open_address`.
        largest: bytes; no more are fetched.

    Raises:
        LabelweaveError: see `open_address`; or a larger file.
        OSError: no space for it here.
    """
    with tempfile.TemporaryDirectory(prefix="labelweave-") as folder:
        path = _Fetched(folder, "of-" + UNUSUAL.sub("_", address.rpartition("/")[2])[-100:])
        path.address = address
        with open_address(address) as source, path.open("wb") as file:
            size = 0
            while piece := _piece(address, source):
                size += file.write(piece)
                if size > largest:
                    raise LabelweaveError(
                        f"{address}: found more than {largest:,} bytes, expected at most that"
                    )
        yield path


def _piece(address: str, source: Any) -> bytes:
    try:
        return bytes(source.read(PIECE))
    except Exception as error:  # of the store's library, which may be of any kind
        raise _unreadable(address, error) from None

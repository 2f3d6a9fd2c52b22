"""What a service accepts."""

import re
from dataclasses import dataclass

from labelweave.errors import LabelweaveError

KEYS = "LABELWEAVE_API_KEYS"
LONGEST_KEY = 1024  # bytes of a key that are looked at
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Limits:
    """Bounds of the requests to a service.

    Attributes:
        body: bytes of a request.
        rows: rows of a request.
        seconds: until an answer must be there.
        requests: at a time; more are answered with 503.
        batch_rows: rows that are predicted together.
        batch_seconds: how long the first request of a batch waits for others.
    """

    body: int = 16_000_000
    rows: int = 10_000
    seconds: float = 30.0
    requests: int = 256
    batch_rows: int = 1024
    batch_seconds: float = 0.002


def checked_name(name: str) -> str:
    """Return the name of a served model: letters, digits, ``-``, ``_`` and ``.``.

    Raises:
        LabelweaveError: another character. A study's name may have one; give `--name` then.
    """
    if not re.fullmatch(r"[\w.-]{1,100}", name):
        raise LabelweaveError(
            f"--name: found '{name}', expected letters, digits, '-', '_' and '.' (an address)"
        )
    return name

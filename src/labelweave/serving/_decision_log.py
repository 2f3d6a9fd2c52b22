"""An append-only log of what the service decided: who asked, when, which version answered.

It holds no input, no identifier of a row and no address: per request the fingerprint of the API
key, the version, and how often each label was predicted. Every line carries the hash of the line
before it, so that a line that is changed or taken out later is seen.
"""

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave._files import check_regular, unreadable
from labelweave._parsing import parse_json
from labelweave.errors import LabelweaveError, printable
from labelweave.model import EncodedPredictor
from labelweave.tasks import Multiclass

START = "0" * 64  # what the first line names as the hash of the line before
LARGEST = 1 << 40  # bytes of a log
LONGEST = 1 << 20  # bytes of a line


class DecisionLog:
    """A file that lines are appended to; one process writes it.

    Args:
        path: the file, continued where it is there.

    Raises:
        LabelweaveError: it cannot be written, or its last line is not whole.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._before = check_decisions(self.path)[1] if self.path.exists() else START
        self._lock = threading.Lock()
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._file = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise LabelweaveError(f"{self.path}: cannot be written ({error.strerror})") from None

    def write(
        self,
        *,
        who: str,
        model: str,
        version: int,
        rows: int,
        labels: Mapping[str, Mapping[str, int]],
    ) -> None:
        """Append a line.

        Args:
            who: the fingerprint of the key (`fingerprint`).
            model: the model's name.
            version: that answered.
            rows: of the request.
            labels: by task how often each label was predicted.
        """
        with self._lock:
            entry = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "who": who,
                "model": model,
                "version": version,
                "rows": rows,
                "labels": labels,
                "before": self._before,
            }
            line = json.dumps(entry, ensure_ascii=False).encode()
            os.write(self._file, line + b"\n")
            self._before = hashlib.sha256(line).hexdigest()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def check_decisions(path: str | Path, noted: str | None = None) -> tuple[int, str]:
    """Return the number of lines of a log, and the hash of the last one.

    Args:
        path: the log.
        noted: the hash of the last line at an earlier check, kept elsewhere. Without it nothing
            shows that the last lines were changed or taken off, or that all were written again.

    Raises:
        LabelweaveError: it cannot be read, a line was changed, taken out or cut, or no line has the
            noted hash.
    """
    before, number = START, 0
    found = noted in (None, START)
    try:
        check_regular(Path(path), LARGEST)
        with Path(path).open("rb") as stream:
            while line := stream.readline(LONGEST):
                number += 1
                place = f"{path}, line {number}"
                if not line.endswith(b"\n"):
                    raise LabelweaveError(f"{place}: is not whole, expected a line of the log")
                entry = parse_json(line, place)
                if not isinstance(entry, dict) or entry.get("before") != before:
                    raise LabelweaveError(
                        f"{place}: does not follow the line before it; the log was changed"
                    )
                before = hashlib.sha256(line[:-1]).hexdigest()
                found = found or before == noted
    except OSError as error:
        raise unreadable(Path(path), error) from None
    if not found:
        raise LabelweaveError(
            f"{path}: no line has the noted hash '{printable(str(noted))}'; lines were changed or "
            "taken off"
        )
    return number, before


def fingerprint(key: bytes | None) -> str:
    """Return who asked: the first 12 digits of the key's SHA-256; ``-`` without keys."""
    return "-" if not key else hashlib.sha256(key).hexdigest()[:12]


def counts_to_log(
    model: EncodedPredictor, probabilities: Mapping[str, NDArray[Any]]
) -> dict[str, dict[str, int]]:
    """Return by task how often each label is predicted."""
    found = {}
    for task in model.tasks:
        p = probabilities[task.name]
        if isinstance(task, Multiclass):
            counts = np.bincount(p.argmax(axis=1), minlength=task.width).tolist()
        else:
            counts = model.marks(task, p).sum(axis=0).tolist()
        found[task.name] = {str(n): int(c) for n, c in zip(task.names, counts, strict=True) if c}
    return found

"""Which content a file had when it was last read, so that unchanged files need no second look."""

from pathlib import Path

import pandas as pd

from labelweave.files import replacing

State = tuple[int, int, str]  # size, time of the last change in nanoseconds, key


class FileIndex:
    """Paths with the keys of their contents, kept in a Parquet file.

    A file of the same size and time of last change counts as unchanged.

    Args:
        path: the Parquet file; one that is missing or damaged is an empty index.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._noted: dict[str, State] = {}
        self._known = _read(path)

    def key(self, path: str) -> str | None:
        """Return the key of a file's content; None = not known, or the file has changed."""
        found = self._known.get(path)
        if found is None:
            return None
        try:
            state = Path(path).stat()
        except OSError:
            return None
        return found[2] if found[:2] == (state.st_size, state.st_mtime_ns) else None

    def note(self, path: str, key: str) -> None:
        """Remember the key of a file that was just read."""
        try:
            state = Path(path).stat()
        except OSError:
            return
        self._noted[path] = state.st_size, state.st_mtime_ns, key

    def save(self) -> None:
        """Write what was noted, beside what others wrote meanwhile."""
        if not self._noted:
            return
        self._known = {**_read(self.path), **self._noted}
        frame = pd.DataFrame.from_dict(
            self._known, orient="index", columns=["size", "changed", "key"]
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            frame.rename_axis("path").reset_index().to_parquet(temporary, index=False)
        self._noted = {}


def _read(path: Path) -> dict[str, State]:
    try:
        frame = pd.read_parquet(path)
        columns = (frame[name].tolist() for name in ("size", "changed", "key"))
        return dict(zip(frame["path"], zip(*columns, strict=True), strict=True))
    except (OSError, ValueError, KeyError):  # it only saves time
        return {}

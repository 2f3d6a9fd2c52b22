"""The folder name of a study of some of its tasks."""

import hashlib
import re
from collections.abc import Sequence

LONGEST = 80


def stage_name(study: str, tasks: Sequence[str]) -> str:
    """Return ``<study>.<task>-<task>...`` in plain letters; what is cut or changed gets a hash."""
    text = "-".join(re.sub(r"[^A-Za-z0-9_]", "_", task) for task in tasks)
    plain = all(re.fullmatch(r"[A-Za-z0-9_]+", task) for task in tasks)
    if plain and len(text) <= LONGEST:
        return f"{study}.{text}"
    digest = hashlib.blake2b("\0".join(tasks).encode(), digest_size=4).hexdigest()
    return f"{study}.{text[:LONGEST]}-{digest}"

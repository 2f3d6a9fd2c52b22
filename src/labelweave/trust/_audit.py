"""The audit of a model's folder: what it is, how old, and whether a file changed since."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from labelweave._files import check_regular, unreadable, write_text
from labelweave._messages import Message
from labelweave._parsing import read_json_object
from labelweave.data import Source
from labelweave.errors import LabelweaveError
from labelweave.fitting._stack import load_model
from labelweave.fitting._versions import current_version
from labelweave.results import Check, MeanInterval
from labelweave.trust._licences import LicenceAnswer, licence_answers
from labelweave.trust._privacy_file import read_privacy

MANIFEST, FACTS = "manifest.json", "final.json"
FORMAT = 1
LARGEST = 1 << 40  # bytes of a file
UNCHECKED = {MANIFEST, "current.json"}  # a pointer to versions may move


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        folder: the model's folder, of its current version.
        kind: ``stack`` (learners) or ``network``.
        labelweave: the version that wrote it; None = not recorded.
        created: when; None = not recorded.
        age_days: days since then; None = not recorded.
        lineage: study, method, seed, sources, rows and labels, as far as recorded.
        files: by path its SHA-256.
        changed, added, missing: files that differ from the manifest, sorted; empty without one.
        manifest: whether there is a manifest to compare with.
        licences: by source whether its licence allows the declared use.
        forgotten: the sources that the model was fitted again without, or some of their rows.
        privacy: what a private model promises, a line a source.
    """

    folder: str
    kind: str
    labelweave: str | None
    created: str | None
    age_days: int | None
    lineage: dict[str, Any]
    files: dict[str, str]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    missing: tuple[str, ...]
    manifest: bool
    licences: tuple[LicenceAnswer, ...] = ()
    forgotten: tuple[str, ...] = ()
    privacy: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether every file is as the manifest says."""
        return self.manifest and not (self.changed or self.added or self.missing)

    def checks(self) -> tuple[Check, ...]:
        """Return what a study's report shows of it."""
        changed = len(self.changed) + len(self.added) + len(self.missing)
        against = "checks.manifest" if self.manifest else "checks.no_manifest"
        found = [
            Check(
                Message("checks.changed_files"), MeanInterval(changed) if self.manifest else None,
                len(self.files), Message(against),
            )
        ]  # fmt: skip
        if self.age_days is not None:
            found.append(Check(Message("checks.age"), MeanInterval(self.age_days)))
        found += [
            Check(
                Message("checks.licence", {"source": each.source}),
                note=Message(
                    f"checks.use_{each.allowed}" if each.use else "checks.no_use",
                    {"licence": each.licence or Message("checks.no_licence")},
                ),
            )
            for each in self.licences
        ]
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return asdict(self) | {"intact": self.intact}


def audit_model(folder: str | Path, *, now: datetime | None = None) -> Audit:
    """Return what a model's folder holds, and what changed since its manifest was written.

    The model is opened, which checks its files against each other.

    Args:
        folder: a folder that a model's `save` or ``labelweave finish`` wrote.
        now: the time that its age is counted to; None = now.

    Raises:
        LabelweaveError: no model there, or a damaged model or manifest.
    """
    path = current_version(Path(folder)).folder
    load_model(path)
    described = read_json_object(path / "model.json")
    facts: dict[str, Any] = {}
    if (path / FACTS).exists():
        facts = read_json_object(path / FACTS)
    files = hashes(path)
    known = _manifest(path)
    if (promised := read_privacy(path)) is not None:
        facts = {"created": promised.created, "study": promised.study, "method": "private",
                 "sources": list(promised.epsilons)}  # fmt: skip
    created = facts.get("created") if isinstance(facts.get("created"), str) else None
    return Audit(
        folder=str(path),
        kind="stack" if described.get("kind") == "stack" else "network",
        labelweave=str(described["labelweave"]) if "labelweave" in described else None,
        created=created,
        age_days=None if created is None else _age(created, now or datetime.now(UTC)),
        lineage={
            key: facts[key]
            for key in ("study", "method", "network", "seed", "sources", "rows", "labels")
            if key in facts
        },
        files=files,
        changed=tuple(sorted(n for n in known or {} if files.get(n, known[n]) != known[n])),  # type: ignore[index]
        added=tuple(sorted(set(files) - set(known))) if known is not None else (),
        missing=tuple(sorted(set(known) - set(files))) if known is not None else (),
        manifest=known is not None,
        licences=tuple(_licences(facts)),
        forgotten=tuple(_forgotten(facts)),
        privacy=tuple(promised.lines()) if promised is not None else (),
    )


def write_manifest(folder: str | Path) -> Path:
    """Write the SHA-256 of every file of a model's folder to ``manifest.json``; return its path.

    Args:
        folder: the model's folder. Keep the manifest, or its hash, elsewhere, too: who can change
            a file can change a manifest next to it.

    Raises:
        LabelweaveError: no model there, or a file that cannot be read or written.
    """
    path = current_version(Path(folder)).folder
    load_model(path)
    content = {"format": FORMAT, "files": hashes(path)}
    write_text(path / MANIFEST, json.dumps(content, indent=1))
    return path / MANIFEST


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there.

    Raises:
        LabelweaveError: something that is no regular file, or cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in UNCHECKED or name.startswith("versions/"):
            continue
        found[name] = file_hash(path)
    return found


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a regular file.

    Raises:
        LabelweaveError: it is none, or cannot be read.
    """
    try:
        check_regular(path, LARGEST)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None


def _licences(facts: dict[str, Any]) -> list[LicenceAnswer]:
    given, use = facts.get("licenses"), facts.get("use")
    named = given if isinstance(given, dict) else {}
    texts = {str(n): v if isinstance(v, str) else None for n, v in named.items()}
    return licence_answers(texts, use if use in ("commercial", "research") else None)


def _forgotten(facts: dict[str, Any]) -> list[str]:
    found = []
    given = facts.get("forgotten")
    for each in given if isinstance(given, list) else ():
        if isinstance(each, dict):
            rows = each.get("rows")
            count = f"{len(rows):,} rows of " if isinstance(rows, list) else ""
            found.append(f"{count}{each.get('source')}")
    return found


def _manifest(folder: Path) -> dict[str, str] | None:
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        files = read_json_object(path).get("files")
    except (OSError, ValueError) as error:
        raise LabelweaveError(f"{path}: cannot be read ({error})") from None
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise LabelweaveError(f"{path}: key 'files': expected a hash for each file")
    return files


def _age(created: str, now: datetime) -> int | None:
    try:
        then = datetime.fromisoformat(created)
    except ValueError:
        return None
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).days


def label_provenance(
    sources: Sequence[Source], files: dict[str, Path] | None = None
) -> pd.DataFrame:
    """Return where every label comes from: a line for each known label.

    Args:
        sources: the data sets that a model learns from.
        files: by source the file that it was read from, to be hashed.

    Returns:
        Columns ``source``, ``sha256`` of its file (None = not given), ``row`` in the file (from 1),
        ``task``, and ``label`` (of a multilabel task ``label=value``). All of them are annotated:
        what self-training and distillation infer is never kept as a label.

    Raises:
        LabelweaveError: a file that cannot be read.
    """
    parts = [pd.DataFrame({"source": [], "sha256": [], "row": [], "task": [], "label": []})]
    for source in sources:
        place = (files or {}).get(source.name)
        digest = None if place is None else file_hash(place)
        for task in source.annotations.tasks:
            codes = source.annotations.labels[task.name]
            if codes.ndim == 1:
                rows = (codes >= 0).nonzero()[0]
                labels = [str(value) for value in task.decode(codes[rows])]  # type: ignore[union-attr]
            else:
                rows, columns = (codes >= 0).nonzero()
                labels = [
                    f"{task.names[j]}={codes[i, j]}" for i, j in zip(rows, columns, strict=True)
                ]
            part = {"source": source.name, "sha256": digest, "row": source.numbers[rows],
                    "task": task.name, "label": labels}  # fmt: skip
            parts.append(pd.DataFrame(part, index=range(len(rows))))
    return pd.concat(parts[1:] or parts, ignore_index=True)

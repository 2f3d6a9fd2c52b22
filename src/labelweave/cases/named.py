"""Every case study by its name: those written as tables, and those read where they lie."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from labelweave.cases.case import Case
from labelweave.cases.digits import write_digits
from labelweave.cases.drawn_faces import write_drawn_faces
from labelweave.cases.fashion_mnist import ROOT as FASHION_MNIST
from labelweave.cases.fashion_mnist import write_fashion_mnist
from labelweave.cases.goemotions import write_goemotions
from labelweave.cases.leaves import write_leaves
from labelweave.cases.readers import READERS
from labelweave.cases.reading import Wanted, write_data_sets
from labelweave.errors import LabelweaveError, listing, nearest

CASES: dict[str, Case] = {
    "leaves": Case(write_leaves, k=2, title="Flavia leaves: species and attributes"),
    "digits": Case(write_digits, k=2, title="Digits of scikit-learn: digit and strokes"),
    "fashion-mnist": Case(
        write_fashion_mnist,
        k=5,
        reads_files=True,
        root=FASHION_MNIST,
        title="Fashion-MNIST: kind of clothing and attributes",
    ),
    "goemotions": Case(
        write_goemotions, k=10, reads_files=True, title="GoEmotions: emotions and groups of texts"
    ),
    "drawn-faces": Case(
        write_drawn_faces,
        k=5,
        title="Drawn faces, synthetic: expressions and action units",
        limited=True,
    ),
}


def described_cases() -> dict[str, str]:
    """Return the title of every case study, by name."""
    own = {name: case.title for name, case in CASES.items()}
    return own | {name: reader.title for name, reader in READERS.items()}


def write_named(
    name: str,
    folder: Path,
    seeds: int = 3,
    k: int | None = None,
    root: Path | None = None,
    rows: int | None = None,
    others: int | None = None,
    options: Sequence[str] = (),
    joined: Sequence[str] = (),
) -> Path:
    """Write a case study; return its study file.

    Args:
        name: the case study.
        folder: made where needed.
        seeds: number of seeds.
        k: labels of each class; None = the case's own, or all.
        root: folder of the data set's official files; None = where they usually are.
        rows: rows of the training part to use; None = all.
        others: with `k`, other rows that carry the other tasks' labels; None = the case's own, or
            all.
        options: options of the data set's reader, each ``key=value``.
        joined: further data sets in the study, each ``name=folder``.

    Raises:
        LabelweaveError: an unknown name or option, or files that are missing or damaged.
    """
    if name in CASES:
        for flag, given in {"--option": options, "--join": joined}.items():
            if given:
                raise LabelweaveError(f"{flag}: '{name}' takes none, expected {listing(READERS)}")
        return CASES[name].write(folder, seeds, k, root, rows, others)
    if name not in READERS:
        known = [*CASES, *READERS]
        raise LabelweaveError(
            f"no case '{name}', expected {listing(known, 40)}{nearest(name, known)}"
        )
    if others is not None and k is None:
        raise LabelweaveError("--others: found no --k, expected both, for few labels of a class")
    if root is None:
        raise LabelweaveError("--root: found none, expected the folder of the official files")
    chosen = {key: _value(key, text) for key, text in _pairs("--option", options)}
    wanted = [Wanted(name, root, chosen)]
    wanted += [Wanted(other, Path(place).expanduser()) for other, place in _pairs("--join", joined)]
    return write_data_sets(folder, wanted, seeds, k, rows, others)


def _pairs(flag: str, given: Sequence[str]) -> list[tuple[str, str]]:
    for text in given:
        if "=" not in text:
            expected = "key=value" if flag == "--option" else "name=folder"
            raise LabelweaveError(f"{flag}: found '{text}', expected {expected}")
    return [(key, value) for key, _, value in (text.partition("=") for text in given)]


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise LabelweaveError(f"--option {key}: cannot be read as YAML: '{text}'") from None

"""Every case study by its name: those written as tables, and those read where they lie."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from labelweave._yaml import parse_yaml
from labelweave.data._frozen_encoders import is_installed
from labelweave.datasets._official import Case, DataSet, Reader, joined_tasks, option_words
from labelweave.datasets._writing import IMAGE_ENCODER, rows_of, write_case
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations import known_table, known_tables


def _reader(module: str, name: str) -> Callable[[], Reader]:
    return partial(_loaded, module, name)


def _case(module: str, name: str) -> Callable[[], Case]:
    return partial(_loaded, module, name)


def _loaded(module: str, name: str) -> Any:
    return getattr(import_module(f"labelweave.datasets.{module}"), name)


# a module is loaded once one of its data sets is used
READERS: dict[str, Callable[[], Reader]] = {
    # affective computing
    "raf-db": _reader("_expressions", "RAF_DB"),
    "affectnet": _reader("_expressions", "AFFECTNET"),
    "aff-wild2": _reader("_expressions", "AFF_WILD2"),
    "emotionet": _reader("_action_units", "EMOTIONET"),
    "disfa": _reader("_action_units", "DISFA"),
    "bp4d": _reader("_action_units", "BP4D"),
    # face recognition
    "celeba": _reader("_faces", "CELEBA"),
    "lfw": _reader("_faces", "LFW"),
    # species
    "cub": _reader("_species", "CUB"),
    "awa2": _reader("_species", "AWA2"),
    # shopping
    "ut-zappos": _reader("_shopping", "UT_ZAPPOS"),
    "shoes": _reader("_shopping", "SHOES"),
    "clothing-attributes": _reader("_shopping", "CLOTHING_ATTRIBUTES"),
    "deepfashion": _reader("_shopping", "DEEPFASHION"),
}
CASES: dict[str, Callable[[], Case]] = {
    "leaves": _case("_demos", "LEAVES"),
    "digits": _case("_demos", "DIGITS"),
    "fashion-mnist": _case("_demos", "FASHION_MNIST"),
    "goemotions": _case("_demos", "GOEMOTIONS"),
    "drawn-faces": _case("_drawn_faces", "DRAWN_FACES"),
}


def find_reader(name: str) -> Reader:
    """Return the reader of a published data set.

    Args:
        name: of the data set, such as ``"raf-db"``; `described_cases` lists all.

    Raises:
        LabelweaveError: no reader has that name.
    """
    if name not in READERS:
        raise LabelweaveError(
            f"no reader '{name}', expected {listing(READERS, 30)}{nearest(name, READERS)}"
        )
    return READERS[name]()


@dataclass(frozen=True)
class UsedSet:
    """A data set in a study.

    Attributes:
        name: of its reader.
        reader: the reader.
        root: the folder of its files, absolute.
        options: the reader's options.
        data: what was read.
        rows: use this many rows of the training part; None = all.
    """

    name: str
    reader: Reader
    root: Path
    data: DataSet
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None


def study_text(
    used: Sequence[UsedSet], seeds: int, k: int | None = None, other_rows: int | None = None
) -> str:
    """Return the text of the study file of one data set or several.

    Args:
        used: the data sets.
        seeds: number of seeds.
        k: labels of each class of the source task that stay; None = all.
        other_rows: with `k`, other rows that keep the labels of the other tasks; None = all.
    """
    tasks = joined_tasks((each.name, each.data.tasks) for each in used)
    source = next((name for name, task in tasks.items() if "classes" in task), None)
    others = [name for name in tasks if name != source]
    name = "-".join(each.name for each in used) + ("" if k is None else f"-k{k}")
    encoder = IMAGE_ENCODER if is_installed(IMAGE_ENCODER) else None
    relations = _relations(used, source, others)
    # post_hoc multiplies a table in: one that is given, or counted on rows that carry both labels
    tabled = k is None or any("table:" in line or "known:" in line for line in relations)
    blocks = [
        [*_head(used), f"name: {name}"],
        ["sources:   # read where they lie, with their official parts; nothing is copied"]
        + [line for each in used for line in _source(each)],
        _tasks(tasks),
        relations,
        [] if k is None or source is None else _scattered(source, others, k, other_rows),
        _settings(used, encoder, k),
        _methods(bool(source and others), tabled=tabled, encoded=encoder is not None, seeds=seeds),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(used: Sequence[UsedSet]) -> list[str]:
    lines = []
    for each in used:
        reader = each.reader
        lines += [
            f"# {reader.title} ({reader.paper}).",
            f"# Terms: {reader.licence}. Papers report: {reader.metric}.",
            *(f"# {note}" for note in each.data.notes),
        ]
    return lines


def _source(each: UsedSet) -> list[str]:
    lines = [f"  - case: {each.name}", f"    root: {json.dumps(str(each.root))}"]
    if each.options:
        lines.append(f"    options: {json.dumps(dict(each.options))}")
    if each.rows is not None:
        lines.append(f"    rows: {each.rows}   # of the training part, evenly spread")
    for name, option in each.reader.options.model_fields.items():
        if name not in each.options:
            words = option_words(option.rebuild_annotation())
            lines.append(f"    # option {name}: {words}; here {option.default!r}")
    return lines


def _tasks(tasks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["# tasks: left out = those that the data sets bring:"]
    for name, task in tasks.items():
        names = task.get("classes") or task.get("labels")
        kind = task.get("kind", "multiclass")
        lines.append(f"#   {name} ({kind}{f', {len(names)}' if names else ''})")
    return lines


def _relations(used: Sequence[UsedSet], source: str | None, others: Sequence[str]) -> list[str]:
    if source is None or not others:
        return ["# relations: none, for there is one task only; join a data set with others"]
    lines = ["relations:   # checked against the data, and corrected, before they couple"]
    labels = {label for each in used for t in each.data.tasks for label in t.get("labels", ())}
    for name in known_tables():
        known = known_table(name)
        if known.frame.columns[0] == source and labels & set(known.frame.columns[1:]):
            lines += [f"  # {known.citation}", f"  - {{known: {name}, source: {source}}}"]
    for each in used:
        for file, table in each.data.knowledge.items():
            lines.append(f"  - {{table: {json.dumps(file)}, source: {table.columns[0]}}}")
    if len(lines) == 1:
        lines.append(f"  - {{source: {source}, targets: {json.dumps(list(others))}}}")
    return lines


def _scattered(source: str, others: Sequence[str], k: int, other_rows: int | None) -> list[str]:
    lines = [
        f"# To see what few labels would do, hide those of {source} on all but {k} rows a class:",
        "scatter:",
        f"  - {{name: few_{source}, tasks: [{source}], per_class: {k}}}",
    ]
    if others:
        part = f"{{name: others, tasks: {json.dumps(list(others))}{rows_of(other_rows)}}}"
        lines.append(f"  - {part}   # other rows")
    return lines


def _settings(used: Sequence[UsedSet], encoder: str | None, k: int | None) -> list[str]:
    share = 0.0 if k is not None else 0.1
    without = [each.name for each in used if each.data.part is None]
    if len(without) == len(used):
        lines = [f"split: {{test: 0.2, validation: {share}}}   # persons stay on one side"]
    else:
        lines = [f"split: {{validation: {share}}}   # the official test rows stay separate"]
        if without:
            lines = [
                f"# No official parts, so no test rows: {', '.join(without)}. Take an option that",
                "# makes parts; or 'test: 0.2' here, which takes rows of all training parts.",
                *lines,
            ]
    if encoder:
        lines += [
            "# For a laptop: a frozen encoder, run once; heads and couplings train in seconds.",
            "# With a GPU, train the images themselves: no encoder, and a backbone for images.",
            f"inputs: {{image: {{encoder: {encoder}}}}}",
            "network: {backbone: mlp, hidden: [256], dropout: 0.2}",
        ]
    else:
        lines += [
            "# For a laptop: small images and a small network. Better: the frozen encoder",
            f"# {IMAGE_ENCODER} (pip install 'labelweave[vision]', then image: {{encoder: ...}}).",
            "inputs: {image: {size: 48}}",
            "network: {backbone: cnn, channels: [16, 32, 64], hidden: [128], dropout: 0.2}",
        ]
    return [
        *lines,
        "training: {steps: 800, batch_size: 128, sampling: equal, learning_rate: 0.005}",
        "# As in the paper, all terms weigh 1 (labelweave's own default is 0.3):",
        "couplings: {distribution_matching: {weight: 1}, co_annotation: {weight: 1}}",
    ]


def _methods(related: bool, *, tabled: bool, encoded: bool, seeds: int) -> list[str]:
    methods = ["single_task", "multi_task"]
    if related:
        methods += ["co_annotation", "distribution_matching", "full", *(["post_hoc"] * tabled)]
    note = ["# another method: strong_single_task, trees on the features, which takes long"]
    return [
        *(note if encoded else []),
        f"methods: [{', '.join(methods)}]",
        "label_curves: false   # without this line: what labels joining saves, for twice the time",
        f"seeds: {seeds}",
    ]


@dataclass(frozen=True)
class Wanted:
    """A data set to use in a study.

    Args:
        name: of its reader.
        root: the folder of its official files.
        options: the reader's options.
    """

    name: str
    root: Path
    options: Mapping[str, Any] = field(default_factory=dict)


def write_data_sets(
    folder: Path,
    wanted: Sequence[Wanted],
    seeds: int = 5,
    k: int | None = None,
    rows: int | None = None,
    others: int | None = None,
) -> Path:
    """Read data sets, and write the study of all of them; images stay where they are.

    Args:
        folder: where to write the study file, and the tables that the data sets ship.
        wanted: the data sets.
        seeds: number of seeds.
        k: labels of each class that stay; None = all.
        rows: rows of each training part to use; None = all.
        others: with `k`, other rows that keep the labels of the other tasks; None = all.

    Returns:
        The path of the study file.

    Raises:
        LabelweaveError: a reader does not exist, an option is wrong, or files are missing.
    """
    used = []
    for each in wanted:
        reader = find_reader(each.name)
        reader.check_options(each.options)
        data = reader(each.root, **each.options)
        used.append(UsedSet(each.name, reader, each.root.absolute(), data, each.options, rows))
    tables = {name: table for each in used for name, table in each.data.knowledge.items()}
    return write_case(folder, tables, study_text(used, seeds, k, others))


def described_cases() -> dict[str, str]:
    """Return the title of every case study, by name."""
    own = {name: load().title for name, load in CASES.items()}
    return own | {name: load().title for name, load in READERS.items()}


def write_named(
    name: str,
    folder: Path,
    seeds: int = 5,
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
        return CASES[name]().write(folder, seeds, k, root, rows, others)
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
    return parse_yaml(text, f"--option {key}")

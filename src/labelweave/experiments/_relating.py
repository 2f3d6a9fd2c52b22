"""The relatedness of a split's tasks, from its uncoupled multi-task run; found once, and kept."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from labelweave._files import (
    LARGEST_TENSORS,
    check_regular,
    make_folder,
    replacing,
    write_csv,
)
from labelweave.errors import TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._context import StudyContext
from labelweave.experiments._engines import Plan
from labelweave.experiments._runs import Run
from labelweave.fitting._relating import (
    ByOrigin,
    Predictions,
    RelationQuery,
    out_of_fold_predictions,
    relate_split,
)
from labelweave.fitting._split import Split, content_hash, relations_hash
from labelweave.model import Model
from labelweave.relations import Relatedness, load_relatedness, save_relatedness
from labelweave.relations._relate import Origin
from labelweave.tables._findings import yaml_line, yaml_value

TASK = "task/"


def _out_of_fold(path: Path, split: Split, config: StudyConfig) -> Predictions:
    """Return out-of-fold predictions, kept in a file."""
    if path.exists():
        try:
            check_regular(path, LARGEST_TENSORS)
            return {name.removeprefix(TASK): p for name, p in load_file(path).items()}
        except (SafetensorError, OSError, ValueError):  # damaged from outside: made anew
            pass
    found = out_of_fold_predictions(split, config)
    make_folder(path.parent)
    with replacing(path) as temporary:
        # safetensors' own writing raises other errors on a full disk
        temporary.write_bytes(save({f"{TASK}{name}": p for name, p in found.items()}))
    return found


FORMAT = 2  # part of every kept relatedness' name: raised when what is found changes


def relate_runs(
    context: StudyContext,
    splits: Sequence[Split],
    bases: Sequence[Run],
    origins: Sequence[Sequence[Origin]],
    query: RelationQuery,
) -> Iterator[tuple[int, ByOrigin]]:
    """Give the number of every split and its relatedness, each made in its own process.

    What was kept comes first; only what is not there is looked for.

    Args:
        context: the study at work.
        splits: the data of every seed.
        bases: their finished runs of the method ``multi_task``.
        origins: of every split, which evidence enters the tables.
        query: what is asked.

    Raises:
        TrainingError: the system killed processes again and again.
    """
    config, waiting = context.config, list[int]()
    for number, (split, base, wanted) in enumerate(zip(splits, bases, origins, strict=True)):
        paths = _paths(split, base, config, wanted, query)
        kept = {origin: load_relatedness(path) for origin, path in paths.items()}
        found = {origin: each for origin, each in kept.items() if each is not None}
        if len(found) == len(paths):
            yield number, found
        else:
            waiting.append(number)
    given = [(splits[i], bases[i], config, origins[i], query) for i in waiting]
    names = [f"relations-{bases[i].folder.name}" for i in waiting]
    title = f"study '{config.name}': {{}}; the relations of {{}} seeds"
    plan = Plan(title, context.folder, names)
    try:
        for number, found in context.engine.calls(relate_run, given, plan):
            yield waiting[number], found
    except TrainingError as error:
        raise TrainingError(f"relations: {error}") from None


def relate_run(
    split: Split,
    base: Run,
    config: StudyConfig,
    origins: Sequence[Origin],
    query: RelationQuery,
) -> ByOrigin:
    """Return by origin the relatedness of the tasks, estimated on a split's training rows.

    Args:
        split: the data of one seed.
        base: its finished run of the method ``multi_task``.
        config: the study's settings.
        origins: which evidence enters the tables.
        query: what is asked.
    """
    paths = _paths(split, base, config, origins, query)
    kept = {origin: load_relatedness(path) for origin, path in paths.items()}
    found: ByOrigin = {origin: each for origin, each in kept.items() if each is not None}
    if len(found) == len(paths):
        return found
    model = Model.load(base.folder / "model")
    missing = [origin for origin in origins if origin not in found]
    # all that they depend on is in the run's key
    kept_in = base.folder.parent.parent / "held_out"
    path = kept_in / f"{base.key}-{config.relatedness.folds}.safetensors"
    for origin, each in relate_split(
        split, model, config, missing, query,
        out_of_fold=lambda: _out_of_fold(path, split, config),
    ).items():  # fmt: skip
        found[origin] = each
        save_relatedness(each, paths[origin])
    return {origin: found[origin] for origin in origins}


def _paths(
    split: Split,
    base: Run,
    config: StudyConfig,
    origins: Sequence[Origin],
    query: RelationQuery,
) -> dict[Origin, Path]:
    """Return by origin where the relatedness is kept, named by all that it depends on."""
    settings = repr((FORMAT, base.key, query.pairs, config.relatedness.strength, query.noise))
    splits = config.relatedness.folds
    groups = content_hash([split.train.groups])
    content = f"{settings} {splits} {groups} {relations_hash(query.known)}"
    folder = base.folder.parent.parent / "relatedness"
    return {
        origin: folder
        / f"{origin}-seed{split.seed}-{content_hash([content.encode()])[:12]}.safetensors"
        for origin in origins
    }


def write_mislabelled(table: pd.DataFrame, folder: Path, *, formulas: bool = False) -> Path:
    """Write ``mislabelled.csv`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mislabelled.csv"
    write_csv(path, table.round({"probability": 4}), formulas=formulas)
    return path


def study_lines(found: Relatedness, folder: Path, files: Sequence[Path] = ()) -> list[str]:
    """Return the lines of a study file that use what was found, with a heading.

    Args:
        found: the relatedness.
        folder: the study file's folder; paths are relative to it.
        files: the saved tables, in the order of `Relatedness.found`; none = the methods estimate
            the tables anew.
    """
    used = {relation.name for relation in found.relations}
    if not used:
        return ["No relation holds on held-out rows: there is nothing to paste."]
    lines = ["Lines to paste into the study file:", "relations:"]
    if files:
        for relation, path in zip(found.found, files, strict=True):
            if relation.name in used:
                table = Path(os.path.relpath(path, folder)).as_posix()
                entry = {"table": table, "source": relation.source.name}
                lines.append(f"  - {yaml_value(entry | {'targets': [relation.target.name]})}")
        lines.append("relatedness: {from: given}   # these tables as they are; all = corrected")
    else:
        targets: dict[str, list[str]] = {}
        for relation in found.relations:
            targets.setdefault(relation.source.name, []).append(relation.target.name)
        lines += [
            f"  - {yaml_value({'source': name, 'targets': each})}" for name, each in targets.items()
        ]
        lines.append("relatedness: {from: all}   # every run estimates the tables of these pairs")
    if found.proposal.tasks:
        start = yaml_line("only", list(found.proposal.tasks))
        lines.append(f"{start}   # to start with these tasks; leave it out to learn all")
    return lines

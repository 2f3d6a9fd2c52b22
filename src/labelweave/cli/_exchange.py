"""``labelweave exchange``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labelweave.cli._output import Formulas, keep_for_report, say

if TYPE_CHECKING:
    from labelweave.relations import AnyRelation
    from labelweave.tasks import Task

ENDING, GROUP = ".json", "shared_row"


def exchange(
    given: Annotated[
        Path, typer.Argument(help="To write: folder of this site's model. To read: the file.")
    ],
    shared: Annotated[
        Path, typer.Argument(help="Table of the rows that both sites have, with no labels.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="To write: the file. To read: a folder, made where needed.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="To write: the name of this site; default: the file's.")
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(help="Column that identifies a shared row; default: rows go by their number."),
    ] = None,
    labelled: Annotated[
        Path | None,
        typer.Option(help="To write: table of this site's labelled rows, whose labels to count."),
    ] = None,
    relation: Annotated[
        list[str] | None,
        typer.Option(help="To write: an expert's table, TASK=FILE; once for each table."),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="To write: tasks, separated by commas; default: all.")
    ] = None,
    cells: Annotated[
        int, typer.Option(min=2, max=1_000_000, help="To write: hide counts below this.")
    ] = 10,
    epsilon: Annotated[
        float | None,
        typer.Option(help="To write: noise all counts instead, for this epsilon of privacy."),
    ] = None,
    only_labels: Annotated[
        bool, typer.Option("--only-labels", help="To write: labels instead of probabilities.")
    ] = False,
    decimals: Annotated[
        int, typer.Option(min=1, max=3, help="To write: decimals of the probabilities.")
    ] = 3,
    draws: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            help="To read: repeat each row so often, with labels drawn from the probabilities; "
            "0 = once, with the likeliest.",
        ),
    ] = 0,
    least: Annotated[
        float,
        typer.Option(min=0, max=1, help="To read: leave out labels of a lower probability."),
    ] = 0.0,
    formulas: Formulas = False,
) -> None:
    """Join two sites without pooling rows: tables and predictions for shared rows, nothing else.

    One site writes a file with what its model predicts for rows that both have, its experts' tables
    and protected counts of its labels. The other reads it: the shared rows with these labels become
    a source of its study, and the tables its relations.

    **Examples**

    - `labelweave exchange model shared.csv --ids part --labelled mine.csv --out plant_a.json`
    - `labelweave exchange model shared.csv --relation species=species.csv --epsilon 1 --out a.json`
    - `labelweave exchange plant_a.json shared.csv --ids part --out from_plant_a`
    """
    from labelweave.errors import LabelweaveError

    if out is None:
        raise LabelweaveError("--out: found none, expected a file to write or a folder to read to")
    if given.suffix == ENDING and not given.is_dir():
        for option, value in (
            ("--name", name), ("--labelled", labelled), ("--relation", relation),
            ("--tasks", tasks), ("--epsilon", epsilon), ("--only-labels", only_labels),
        ):  # fmt: skip
            if value:
                raise LabelweaveError(f"{option}: found it with a file to read, expected a model")
        _read(given, shared, out, ids, least, draws, formulas=formulas)
        return
    if out.suffix != ENDING:
        raise LabelweaveError(f"--out: found '{out}', expected the name of a .json file")
    from labelweave.fitting._opening import find_model, read_inputs
    from labelweave.trust import make_exchange, write_exchange
    from labelweave.trust._reading import column_texts, labels_of

    model = find_model(given)
    own = None if labelled is None else labels_of(read_inputs(labelled, model), model.tasks)
    rows = read_inputs(shared, model)
    made = make_exchange(
        model,
        model.typed(rows),
        name or out.stem,
        labels=own,
        relations=_relations(relation or [], model.tasks),
        ids=None if ids is None else column_texts(rows, ids),
        tasks=None if tasks is None else [each.strip() for each in tasks.split(",")],
        least=cells,
        epsilon=epsilon,
        answers="labels" if only_labels else "probabilities",
        decimals=decimals,
    )
    write_exchange(made, out)
    say(f"predictions of {len(made):,} shared rows: {', '.join(t.name for t in made.tasks)}")
    say(f"tables: {', '.join(each.name for each in made.known_relations) or 'none'}")
    say(made.protection or "no counts")
    say(f"Exchange: {out}")
    keep_for_report(given, "exchange", made.checks())


def _relations(given: list[str], tasks: "tuple[Task, ...]") -> "list[AnyRelation]":
    from labelweave.errors import LabelweaveError
    from labelweave.relations import read_relations

    found: list[AnyRelation] = []
    for each in given:
        task, mark, path = each.partition("=")
        if not (task and mark and path):
            raise LabelweaveError(f"--relation: found '{each}', expected TASK=FILE")
        found += read_relations(path, task, tasks)
    return found


def _read(
    path: Path,
    shared: Path,
    out: Path,
    ids: str | None,
    least: float,
    draws: int,
    *,
    formulas: bool,
) -> None:
    import pandas as pd

    from labelweave._files import make_folder, write_csv
    from labelweave.errors import LabelweaveError, in_place
    from labelweave.tables import read_cells
    from labelweave.trust import read_exchange
    from labelweave.trust._exchange import labels_as_columns, tables_of_relations
    from labelweave.trust._reading import column_texts

    received, table = read_exchange(path), read_cells(shared)
    frame = pd.DataFrame({name: column_texts(table, name) for name in table.columns})
    with in_place(shared):
        source = received.source(
            frame, None if ids is None else column_texts(table, ids), least=least, draws=draws
        )
        labels = labels_as_columns(source)
        for name in labels:
            if name in frame:
                raise LabelweaveError(f"column '{name}' is a label of the exchange, expected none")
    make_folder(out)
    options: dict[str, Any] = {"formulas": formulas}
    content, group = source.inputs.join(labels), ""
    if draws:
        if GROUP in content:
            raise LabelweaveError(f"column '{GROUP}' names the copies of a row, expected none")
        content, group = content.assign(**{GROUP: source.groups}), f", group: {GROUP}"
    write_csv(out / "shared.csv", content, **options)
    say("For the study file, besides your own sources and relations:")
    say(f"sources:\n  - {{path: {out / 'shared.csv'}, name: {received.name}, split: train{group}}}")
    tables = tables_of_relations(received.known_relations)
    if tables:
        say("relations:")
    for number, (name, content) in enumerate(tables.items(), 1):
        file = out / f"table{number}.csv"
        write_csv(file, content, index=True, index_label=name, **options)
        say(f"  - {{table: {file}, source: {name}}}")

"""``labelweave init``."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labelweave.cli._output import Formulas, PrintableConsole, say


def init(
    tables: Annotated[list[Path], typer.Argument(help="Tables: CSV, Excel, Parquet, ...")],
    out: Annotated[Path, typer.Option(help="Study file to write.")] = Path("study.yaml"),
    labels: Annotated[
        str | None,
        typer.Option(help="Label columns, separated by commas; default: guessed from the values."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite an existing study file.")] = False,
) -> None:
    """Read tables and write a commented study file that runs as it is.

    Prints what it takes for a label, a group and an input, and why. Writes labelweave.schema.json
    next to the study file, for editors that complete and check keys.

    **Examples**

    - `labelweave init plant_a.csv plant_b.csv`
    - `labelweave init plant_a.csv plant_b.csv --labels defect,surface --out defects.yaml`
    """
    from labelweave._files import write_text
    from labelweave._validation import documented_schema
    from labelweave.errors import LabelweaveError
    from labelweave.experiments import StudyConfig
    from labelweave.experiments._scaffold import SCHEMA, propose_study

    if out.exists() and not force:
        raise LabelweaveError(f"{out}: exists already; give --out or --force")
    if not out.parent.is_dir():
        raise LabelweaveError(f"{out}: no folder '{out.parent}' to write to")
    names = [name.strip() for name in labels.split(",") if name.strip()] if labels else None
    proposal = propose_study(tables, out.parent, names)
    write_text(out, proposal.text)
    write_text(out.parent / SCHEMA, json.dumps(documented_schema(StudyConfig), indent=2) + "\n")
    for line in proposal.decisions:
        say(line)
    say(f"Wrote {out}. Review it, then: labelweave check {out}")


def check(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where a finding is serious.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON only.")
    ] = False,
) -> None:
    """Check a study file and look for faults in its data. Nothing is trained.

    Prints how many labels each task has, then the findings: what looks wrong, where, the evidence,
    and the line of the study file that mends it.

    **Examples**

    - `labelweave check study.yaml`
    - `labelweave check study.yaml --strict --json`
    """
    from labelweave.experiments import Inspection, read_study_file
    from labelweave.experiments._inspecting import finding_lines

    seen = Inspection(read_study_file(study), study.parent)
    if as_json:
        found = [finding.to_dict() for finding in seen.findings]
        error = str(seen.error) if seen.error else None
        say(json.dumps({"error": error, "findings": found}, indent=2, ensure_ascii=False))
    else:
        console = PrintableConsole()
        shown = finding_lines(seen.findings)
        for line in [*seen.described, *[""] * bool(seen.described and shown), *shown]:
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    if seen.error is not None:
        raise seen.error
    if not as_json:
        say(f"{seen.verdict} Next: labelweave run {study}")
    if strict and seen.serious:
        raise typer.Exit(1)


def schema(
    out: Annotated[Path | None, typer.Option(help="File to write; default: print.")] = None,
) -> None:
    """Print the JSON schema of study files, for editors that complete and check them.

    **Example**

    - `labelweave schema --out labelweave.schema.json`
    - first line of a study file, for editors with the YAML language server:
      `# yaml-language-server: $schema=labelweave.schema.json`
    """
    from labelweave._validation import documented_schema
    from labelweave.experiments import StudyConfig

    text = json.dumps(documented_schema(StudyConfig), indent=2)
    if out is None:
        say(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")


def case(
    name: Annotated[
        str | None, typer.Argument(help="Name of the data set; --list shows all.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the data set's official files.")
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(min=1, help="Labels to keep for each class; all others are hidden."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Use only this many rows of the training part.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="An option of the data set's reader; may be repeated."
        ),
    ] = None,
    join: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Add another data set and the folder of its files; may be repeated.",
        ),
    ] = None,
    others: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of further rows, which keep the labels of the other tasks."
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of seeds: repeated splits and trainings.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the study file; default: labelweave-cases/NAME."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List all data sets and exit.")] = False,
) -> None:
    """Write a study of a published data set; --k hides most of its labels.

    Nothing is downloaded, and images stay where they are. A second call with another --k replaces
    the study file and keeps the tables.

    **Examples**

    - `labelweave case --list`
    - `labelweave case leaves --k 1`
    - `labelweave case fashion-mnist --k 5` : after `apt install dataset-fashion-mnist`
    - `labelweave case fashion-mnist --k 500 --others 50` : the reverse, few attributes
    - `labelweave case goemotions --root ~/data/goemotions` : needs `labelweave[text]`
    - `labelweave case raf-db --root ~/data/RAF-DB --join disfa=~/data/DISFA` : faces, two data sets
    """
    from labelweave.datasets import described_cases, write_named

    if listed:
        for each, title in described_cases().items():
            say(f"{each:22} {title}")
        return
    if name is None:
        raise typer.BadParameter("expected the name of a data set; --list shows all")
    folder = out or Path("labelweave-cases") / name
    study = write_named(name, folder, seeds, k, root, rows, others, option or (), join or ())
    say(f"Study: {study}")
    say(f"Next: labelweave check {study}")
    say(f"      labelweave run {study}")
    say(f"      labelweave ablate {study}")


class Origins(StrEnum):
    """Which evidence enters the tables."""

    all = "all"
    knowledge = "knowledge"
    annotations = "annotations"
    predictions = "predictions"


def relate(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    origin: Annotated[
        Origins, typer.Option("--from", help="Evidence to estimate the tables from.")
    ] = Origins.all,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the tables, as CSV files to edit and reuse, and as pictures."
        ),
    ] = None,
    tables: Annotated[bool, typer.Option(help="Print the tables as heat maps.")] = True,
    formulas: Formulas = False,
) -> None:
    """Show how the tasks relate: the tables, the evidence for them, and which tasks to join.

    Trains one network without coupling on the study's first seed, and estimates the
    tables from its predictions, from rows with labels of both tasks, and from the expert's tables.
    Where the share of wrong labels can be estimated, it lists likely ones in mislabelled.csv.

    **Examples**

    - `labelweave relate study.yaml`
    - `labelweave relate study.yaml --from predictions --save tables`
    """
    from labelweave.experiments import Study
    from labelweave.experiments._relating import study_lines, write_mislabelled
    from labelweave.report import print_relatedness, write_heat_map

    opened = Study.from_file(study)
    related = opened.relate(origin.value)
    paths = [] if save is None else related.to_csv(save, formulas=formulas)
    console = PrintableConsole()
    split = opened.first_split()
    console.print(split.coverage())
    print_relatedness(related.summary(), console, tables=tables, sources=split.source_names)
    if opened.mislabelled is not None and len(opened.mislabelled):
        path = write_mislabelled(opened.mislabelled, opened.output, formulas=formulas)
        say(f"{len(opened.mislabelled):,} labels that are likely wrong: {path}")
    if save is not None:
        for relation, path in zip(related.found, paths, strict=True):
            write_heat_map(related.table(relation.name), path.with_suffix(".svg"))
        say(f"Tables and pictures: {save}")
    say("\n".join(["", *study_lines(related, study.parent, paths)]))

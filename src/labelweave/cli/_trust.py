"""``labelweave fairness``, ``explain``, ``audit`` and ``card``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labelweave.cli._output import keep_for_report, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from labelweave.relations import AnyRelation
    from labelweave.trust import Predictions
    from labelweave.trust._reading import Texts

STUDY_ENDINGS = (".yaml", ".yml")


def fairness(
    model: Annotated[
        Path,
        typer.Argument(help="Folder of a model, with a table of labelled rows; or a study file."),
    ],
    table: Annotated[
        Path | None,
        typer.Argument(help="Of a model: labelled rows that it was not trained on."),
    ] = None,
    by: Annotated[str, typer.Option(help="The column whose values are the groups.")] = "",
    group: Annotated[
        str | None,
        typer.Option(help="Of a table: the column that ties rows together, such as a person."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write in addition.")] = None,
) -> None:
    """Show what a model does to each group: accuracy, selection, recall, false alarms, calibration.

    Intervals come from a bootstrap over groups of rows. Cells of fewer than 10 labels are not
    shown. For a study: the recommended method on the test rows of all seeds, and, for each group,
    whether joining helped or hurt it against single tasks. Check before use whether you may
    process the column, and whether people chose its value themselves.

    **Examples**

    - `labelweave fairness study.yaml --by sex`
    - `labelweave fairness model test_rows.csv --by site --group patient`
    - `labelweave fairness model test_rows.csv --by sex --out fairness.json`
    """
    from labelweave._files import write_text
    from labelweave.errors import LabelweaveError
    from labelweave.trust import compare_groups
    from labelweave.trust import fairness as measure

    if not by:
        raise LabelweaveError("--by: found none, expected the name of a column")
    joined = methods = None
    place = model
    if model.suffix in STUDY_ENDINGS:
        if table is not None:
            raise LabelweaveError(f"found the table '{table}' with a study file, expected none")
        rows, single, names, methods, place = _of_study(model, by)
        say(f"method {methods[0]}, test rows of all seeds")
        joined = compare_groups(rows, single, names)
    else:
        if table is None:
            raise LabelweaveError("found a model without a table, expected a table of rows, too")
        rows, names = _of_table(model, table, by, group)
    report = measure(rows, names, column=by)
    say(f"groups of '{by}': " + ", ".join(_sizes(report.sizes)))
    say(_shown(report.groups.dropna(subset="value")))
    hidden = int(report.groups["value"].isna().sum())
    if hidden:
        say(f"{hidden} cells with fewer than 10 labels are not shown")
    say("\ngaps between the lowest and the highest group:")
    say(_shown(report.gaps))
    content = report.to_dict()
    if joined is not None and methods is not None:
        say(f"\naccuracy of {methods[0]} against {methods[1]}, each group:")
        say(_shown(joined))
        content["joined"] = json.loads(joined.to_json(orient="records"))
    if out is not None:
        write_text(out, json.dumps(content, indent=1))
    keep_for_report(place, "fairness", report.checks())


def explain(
    model: Annotated[Path, typer.Argument(help="Folder of a model, or results folder of a study.")],
    table: Annotated[
        Path,
        typer.Argument(
            help="Table of rows to explain. Where it has label columns, the page also shows which "
            "inputs matter to each task, and what each part of a coupled model brought."
        ),
    ],
    labelled: Annotated[
        Path | None,
        typer.Option(help="Table of labelled rows; the nearest ones are named for each row."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Explain the first rows only.")] = 20,
    gradients: Annotated[
        bool,
        typer.Option(
            "--gradients",
            help="Integrated gradients of the columns, in place of leaving out their values; for "
            "networks.",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for explain.html and explain.json; made where needed.")
    ] = Path("explained"),
) -> None:
    """Show why rows got their answers, as a page and as JSON.

    For each row and task: the answer, its probability by the task's own learners, what each
    relation alone says, how far it falls without each relation, the value of a column, a word of a
    text or a region of an image, and the nearest labelled rows.

    **Examples**

    - `labelweave explain model rows.csv`
    - `labelweave explain model rows.csv --labelled train.csv --rows 50 --out explained`
    - `labelweave explain model rows.csv --gradients`
    """
    from labelweave._files import make_folder, write_text
    from labelweave.errors import in_place
    from labelweave.fitting._opening import find_model, read_inputs
    from labelweave.fitting._stack import StackModel
    from labelweave.trust import explain_rows, gain_sources, input_importance
    from labelweave.trust._explanation_page import explanation_page
    from labelweave.trust._reading import label_columns_in, labels_of, read_labelled

    found = find_model(model)
    given = read_inputs(table, found)
    with in_place(table):
        frame = found.typed(given)
        known = None
        if labelled is not None:
            other = read_labelled(labelled, found)
            known = (found.typed(other[1]), other[0].annotations)
        explained = explain_rows(
            found, frame.iloc[:rows], known, relations=_kept_relations(model), gradients=gradients
        )
        importance = gains = None
        if label_columns_in(given, found.tasks):
            labels = labels_of(given, found.tasks)
            importance = input_importance(found, frame, labels)
            gains = gain_sources(found, frame, labels) if isinstance(found, StackModel) else None
    make_folder(out)
    tables = {"importance": importance, "gains": gains}
    content = {
        "rows": [each.to_dict() for each in explained],
        **{
            name: None if made is None else json.loads(made.to_json(orient="records"))
            for name, made in tables.items()
        },
    }
    write_text(out / "explain.json", json.dumps(content, indent=1))
    write_text(out / "explain.html", explanation_page(table.name, explained, importance, gains))
    say(f"{min(rows, len(frame))} of {len(frame)} rows explained")
    say(f"Page: {out / 'explain.html'}")


def audit(
    model: Annotated[Path, typer.Argument(help="Folder of a model.")],
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write manifest.json, the hash of every file, to compare with later."
        ),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(help="Log of decisions of the service (serve --log), to check as well."),
    ] = None,
    noted: Annotated[
        str | None,
        typer.Option(help="Hash of the log's last line at an earlier audit; it must be there."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Show what a model is, how old, what it was made of, and whether a file changed since.

    The model is opened, which checks its files. For each source it shows the licence that the study
    file gave, and whether that allows the use that the file declares. Exits with 1 where a file
    differs from the manifest, or a licence does not allow the use.

    **Examples**

    - `labelweave audit model --write` : when the model is approved
    - `labelweave audit model` : later, or on the machine where it is used
    - `labelweave audit model --log decisions.jsonl` : note the hash that it prints
    - `labelweave audit model --log decisions.jsonl --noted HASH`
    - `labelweave audit model --json`
    """
    from labelweave.errors import LabelweaveError
    from labelweave.serving._decision_log import check_decisions
    from labelweave.trust import audit_model, write_manifest

    if write:
        write_manifest(model)
    found = audit_model(model)
    if not json_:
        keep_for_report(model, "audit", found.checks())
    if noted is not None and log is None:
        raise LabelweaveError("--noted: found it without --log, expected the log")
    lines, end = (None, None) if log is None else check_decisions(log, noted)
    if json_:
        content = found.to_dict() | ({} if lines is None else {"decisions": lines, "end": end})
        say(json.dumps(content, indent=1))
    else:
        unknown = "not recorded"
        say(f"{found.folder}: {found.kind}, labelweave {found.labelweave or unknown}")
        age = "" if found.age_days is None else f" ({found.age_days} days ago)"
        say(f"created: {found.created or unknown}{age}")
        for promise in found.privacy:
            say(f"differential privacy, {promise}")
        for key in ("study", "method", "network", "seed", "sources", "rows", "labels"):
            say(f"{key}: {found.lineage.get(key, unknown)}")
        if not found.licences:
            say("licences: not recorded")
        for answer in found.licences:
            say(f"licence of {answer}")
        if found.forgotten:
            say(f"forgotten: {', '.join(found.forgotten)}")
        if lines is not None:
            say(f"{log}: {lines:,} decisions, none changed or taken out before the last")
            say(f"hash of its last line, to note elsewhere: {end}")
        for word in ("changed", "added", "missing"):
            for name in getattr(found, word):
                say(f"{word}: {name}")
        if found.intact:
            say(f"{len(found.files)} files are as the manifest says")
        elif not found.manifest:
            say(f"{len(found.files)} files; no manifest to compare with (--write)")
    denied = any(answer.allowed == "no" for answer in found.licences)
    if denied or (found.manifest and not found.intact):
        raise typer.Exit(1)


def card(
    model: Annotated[Path, typer.Argument(help="Folder of a model, or results folder of a study.")],
    table: Annotated[
        Path | None, typer.Argument(help="Labelled test rows, new to the model; default: none.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("README.md"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model; default: its folder's.")
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="Licence of the model, such as apache-2.0.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Column of groups to show gaps of.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column that ties rows together, such as a person.")
    ] = None,
) -> None:
    """Write a model card: tasks, test results with intervals, calibration, groups.

    What was not measured is named. The head is what the Hugging Face Hub reads.

    **Examples**

    - `labelweave card model test_rows.csv --license apache-2.0 --out README.md`
    - `labelweave card model test_rows.csv --by site --group patient`
    """
    from labelweave._files import write_text
    from labelweave.errors import LabelweaveError, in_place
    from labelweave.fitting._opening import find_model
    from labelweave.trust import fairness as measure
    from labelweave.trust import model_card
    from labelweave.trust._privacy_file import read_privacy
    from labelweave.trust._reading import column_texts, read_labelled

    if table is None and (by or group):
        raise LabelweaveError("found --by or --group without a table of rows, expected one")
    found = find_model(model)
    rows = report = None
    if table is not None:
        rows, given = read_labelled(table, found, group)
        if by is not None:
            with in_place(table):
                report = measure(rows, column_texts(given, by), column=by)
    shown = model_card(
        found, rows, name=name or model.resolve().name, license=license_, groups=report,
        privacy=read_privacy(model),
    )  # fmt: skip
    write_text(out, shown)
    say(f"Card: {out}")


def croissant(
    study: Annotated[Path, typer.Argument(help="The study file.")],
    url: Annotated[str, typer.Option(help="Address of the page of the data.")],
    creator: Annotated[str, typer.Option(help="Organisation that made the data.")],
    description: Annotated[
        str | None, typer.Option(help="What the data are; default: the tasks, in words.")
    ] = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="Licence of the whole; default: those of the sources."),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("croissant.json"),
) -> None:
    """Describe the training data as Croissant (JSON-LD): files, hashes, columns, labels, licence.

    Nothing of the rows is written. Sources that are one file are described; folders of images and
    published data sets are left out.

    **Examples**

    - `labelweave croissant study.yaml --url https://example.org/parts --creator "Example Ltd"`
    - `labelweave croissant study.yaml --url https://example.org --creator Lab --license CC-BY-4.0`
    """
    from labelweave._files import write_text
    from labelweave.experiments import Study
    from labelweave.experiments._described import data_files
    from labelweave.trust import croissant as described

    opened = Study.from_file(study)
    files, left_out = data_files(opened)
    names = ", ".join(task.name for task in opened.data.tasks)
    content = described(
        opened.config.name,
        files,
        description=description or f"Rows with labels of the tasks {names}.",
        url=url,
        creator=creator,
        license=license_,
    )
    write_text(out, json.dumps(content, indent=1, ensure_ascii=False))
    for name in left_out:
        say(f"left out, no single file: {name}", err=True)
    say(f"Croissant: {out}")


def _kept_relations(model: Path) -> "tuple[AnyRelation, ...] | None":
    """Return the relations of a finished network; None of a model that brings its own, or none."""
    from labelweave.fitting._stack import StackModel
    from labelweave.serving import load

    if not (model / "final.json").exists() and not (model / "current.json").exists():
        return None
    final = load(model)
    return None if isinstance(final.model, StackModel) else final.relations


def _sizes(sizes: "Mapping[str, int]") -> list[str]:
    return [f"{name} {size if size >= 10 else 'fewer than 10'}" for name, size in sizes.items()]


def _shown(table: "pd.DataFrame") -> str:
    return table.to_string(index=False, float_format=lambda x: f"{x:.3f}", na_rep="")


def _of_table(
    model: Path, table: Path, by: str, group: str | None
) -> tuple["Predictions", "Texts"]:
    from labelweave.errors import in_place
    from labelweave.fitting._opening import find_model
    from labelweave.trust._reading import column_texts, read_labelled

    rows, given = read_labelled(table, find_model(model), group)
    with in_place(table):
        return rows, column_texts(given, by)


def _of_study(
    path: Path, by: str
) -> tuple["Predictions", "Predictions", "Texts", tuple[str, str], Path]:
    """Return recommended and single-task predictions of a study's test rows, and its folder."""
    from labelweave.experiments import Study
    from labelweave.experiments._groups import finished_runs, test_rows
    from labelweave.results import read_results
    from labelweave.trust._reading import column_texts

    study = Study.from_file(path)
    results = read_results(study.output)
    single, method = results.baseline, results.recommended.method
    if method == single:
        # nothing is joined: the groups are those of the first joint method
        method = next(iter(results.coupled_methods), method)
    (joined, rows), (alone, _) = (
        test_rows(study.data, finished_runs(study.output, results, name))
        for name in (method, single)
    )
    names = column_texts(study.data.collection.inputs.iloc[rows], by)
    return joined, alone, names, (method, single), study.output

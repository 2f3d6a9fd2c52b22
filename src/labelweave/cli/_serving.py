"""The final model in use: finish, export, serve, update, rollback, monitor."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labelweave.cli._output import keep_for_report, say


class ExportFormat(StrEnum):
    """What a model can be written as."""

    onnx = "onnx"
    torch = "torch"
    mlflow = "mlflow"


def finish(
    study: Annotated[
        Path, typer.Argument(help="The study file, or the results folder of a study: runs/NAME.")
    ],
    method: Annotated[
        str | None,
        typer.Option(help="Method of the study; default: the one that its report recommends."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Keep the stack of learners, too, in model/full; needs more space."
        ),
    ] = False,
    new_version: Annotated[
        bool,
        typer.Option(
            "--new-version", help="Keep a model that is there; make this its next version."
        ),
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=WISH",
            help="When labels count as on: f1, precision:0.9, recall:0.95 or cost:5 (a miss costs "
            "5 false alarms); may be repeated.",
        ),
    ] = None,
) -> None:
    """Fit the recommended method on all labelled rows and write the final model.

    The study must have run. Test rows are used for the fit, too. What to expect on new rows is kept
    with the model: the figures that the study measured, or for a network that it did not train,
    those of three fits on the rows that each left out. The folder `model` predicts without the
    training data.

    **Examples**

    - `labelweave finish study.yaml` : writes `runs/NAME/model`
    - `labelweave finish study.yaml --full`
    - `labelweave finish runs/leaves --method multi_task --new-version`
    - `labelweave finish study.yaml --threshold faults=recall:0.95`
    - `labelweave predict runs/leaves/model new.csv --out predicted.csv` : uses it
    """
    from labelweave.errors import LabelweaveError
    from labelweave.serving import finish as fit_all
    from labelweave.serving import load

    wishes = {}
    for each in threshold or ():
        task, equals, wish = each.rpartition("=")
        if not equals:
            raise LabelweaveError(f"--threshold: found '{each}', expected TASK=WISH, as in a=f1")
        wishes[task] = wish
    folder = fit_all(
        study, method, full=full, new_version=new_version, thresholds=wishes, progress=True
    )
    facts = load(folder).facts
    counts = ", ".join(f"{name} {count:,}" for name, count in facts.labels.items())
    taught = f", taught by '{facts.method}'" if facts.network != facts.method else ""
    say(f"Model: {folder}")
    say(f"Network: '{facts.network}'{taught}; fitted on {facts.rows:,} rows; labels: {counts}")
    say(f"To expect, measured by '{facts.measured}' on {facts.measured_on}:")
    for figure in facts.expected:
        say(f"  {figure}")
    say("Calibration, measured out-of-fold:")
    for calibrated in facts.calibration:
        say(f"  {calibrated}")
    say(f"Next: labelweave predict {folder} NEW.csv --out predicted.csv")


def export(
    model: Annotated[Path, typer.Argument(help="Folder of a model: runs/NAME/model.")],
    format_: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="A graph for ONNX Runtime, a program of torch.export, or of MLflow."
        ),
    ] = ExportFormat.onnx,
    full: Annotated[
        bool,
        typer.Option("--full", help="The stack that taught the network (`finish --full`)."),
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(help="Table of rows to compare on; default: those of the model's study."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: model.onnx, .pt2 or .mlflow in it.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Write a smaller graph, too, and measure what it loses."),
    ] = False,
) -> None:
    """Write a model as a file or folder that other programs run, and compare it with the original.

    Encoding, class prior and thresholds are inside the file. Columns, classes and versions are in
    its metadata. Nothing is written where a probability differs by more than 0.0001.

    **Examples**

    - `labelweave export runs/leaves/model --format onnx`
    - `labelweave export runs/leaves/model --format onnx --int8`
    - `labelweave export runs/leaves/model --format onnx --full`
    - `labelweave export runs/leaves/model --format torch --rows new.csv --out leaves.pt2`
    - `labelweave export runs/leaves/model --format mlflow`
    """
    from labelweave.serving import export_model

    made = export_model(model, format_.value, full=full, rows=rows, out=out, int8=int8)
    say(f"Written: {made.path}")
    say(f"Largest difference from the original, {made.rows:,} rows:")
    for name, difference in made.differences.items():
        say(f"  {name}: {difference:.1e}")
    if made.int8_path is not None:
        say(f"Written: {made.int8_path}")
        say("Labels that change with weights of 8 bits:")
    for name, loss in made.int8.items():
        scores = ""
        if loss.accuracy is not None:
            scores = (
                f"; accuracy {loss.accuracy:.3f} -> {loss.accuracy_int8:.3f} "
                f"on {loss.labels:,} labels of the study"
            )
        say(f"  {name}: {100 * loss.changed:.2f}%{scores}")


def serve(
    model: Annotated[Path, typer.Argument(help="Folder of a final model: runs/NAME/model.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in addresses; default: the study's.")
    ] = None,
    max_body: Annotated[
        int, typer.Option(min=1000, max=1 << 30, help="Bytes of a request at most.")
    ] = 16_000_000,
    max_rows: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Rows of a request at most.")
    ] = 10_000,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds of a request at most.")
    ] = 30,
    max_requests: Annotated[
        int, typer.Option(min=1, max=10_000, help="Requests at a time at most.")
    ] = 256,
    open_: Annotated[
        bool, typer.Option("--open", help="Serve other machines without API keys.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            help="File to append a line a request to: fingerprint of the key, time, version, "
            "counts of labels; no input and no address. `labelweave audit --log` checks it."
        ),
    ] = None,
) -> None:
    """Answer requests for predictions over HTTP, until Ctrl-C or SIGTERM.

    Rows come as JSON or CSV (`/predict`), or by the Open Inference Protocol (`/v2`). `/` is a page
    to try a row, `/metrics` is for Prometheus, `/openapi.json` describes everything. The variable
    `LABELWEAVE_API_KEYS` holds the keys that are accepted, separated by commas. A new version of
    the model is taken up within a second. Needs `labelweave[serve]`.

    **Examples**

    - `labelweave serve runs/leaves/model`
    - `labelweave serve runs/leaves/model --host 0.0.0.0 --port 80 --max-rows 1000`
    - `curl --data-binary @new.csv -H "Content-Type: text/csv" http://127.0.0.1:8000/predict`
    """
    from labelweave.errors import missing_package
    from labelweave.serving._service_limits import Limits

    try:
        from labelweave.serving._service import run_service
    except ImportError as error:
        raise missing_package("serve", error, "serve") from None
    limits = Limits(max_body, max_rows, max_seconds, max_requests)
    say(f"Serving {model} on http://{host}:{port} (page to try a row: /)", err=True)
    run_service(model, host, port, name=name, limits=limits, open_=open_, decisions=log)


def update(
    model: Annotated[Path, typer.Argument(help="Folder of a final model: runs/NAME/model.")],
    source: Annotated[Path, typer.Option(help="Table with new rows: inputs and labels.")],
    study: Annotated[
        Path | None,
        typer.Option(help="Study file; default: the study whose results the model lies in."),
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="Source of the study that the table is read like.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="The table is an export of a tool: label_studio, prodigy, ..."
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Earlier rows that stay, of every class; default: all."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, max=20, help="Folds of the comparison.")] = 3,
    warm: Annotated[
        bool,
        typer.Option(
            "--warm",
            help="Start networks from those without the new labels, with half the steps.",
        ),
    ] = False,
) -> None:
    """Fit a final model again with new labels; hand it over where no task gets worse.

    Every task is compared on rows that the fits have not seen, with and without the new labels, on
    earlier rows and on new ones. Where a task falls beyond its interval, the version in use stays,
    and the exit code is 1.

    **Examples**

    - `labelweave update runs/leaves/model --source june.csv`
    - `labelweave update runs/leaves/model --source june.xlsx --like site_b`
    - `labelweave update runs/leaves/model --source done.json --format label_studio`
    """
    from labelweave.errors import listing
    from labelweave.serving import update as fit_again

    found = fit_again(
        model, source, study=study, like=like, format=format_, keep=keep, folds=folds, warm=warm,
        progress=True,
    )  # fmt: skip
    say(f"Earlier rows of the fit: {found.kept:,}")
    if found.left_out:
        say(f"Left out, no inputs of the model: {listing(found.left_out)}")
    for each in found.tasks:
        say(f"{'falls' if each.falls else 'holds'}: {each}")
    if found.handed_over:
        if warm and not found.warm:
            say("Fitted anew: columns, classes or architecture of the version in use differ")
        say(f"Handed over: version {found.version} of {model} (back: labelweave rollback {model})")
        return
    say(f"Refused, version {found.version} stays in use: {found.reason}", err=True)
    raise typer.Exit(1)


def forget(
    model: Annotated[Path, typer.Argument(help="Folder of a final model: runs/NAME/model.")],
    source: Annotated[str | None, typer.Option(help="Name of the source to forget.")] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="Table with the columns source and row, the number in its file from 1."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(help="Study file; default: the study whose results the model lies in."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, max=20, help="Folds of the comparison.")] = 3,
) -> None:
    """Fit a final model again without a source or some rows, and show what each task loses.

    The fit without them becomes the next version. Later updates leave them out, too. Earlier
    versions still hold what they learnt from them: their folders are named.

    **Examples**

    - `labelweave forget runs/leaves/model --source site_b`
    - `labelweave forget runs/leaves/model --rows withdrawn.csv`
    """
    from labelweave.serving import forget as fit_without

    found = fit_without(model, source=source, rows=rows, study=study, folds=folds, progress=True)
    labels = ", ".join(f"{name} {count:,}" for name, count in found.labels.items())
    say(f"Forgotten: {found.rows:,} rows; labels: {labels}")
    for each in found.tasks:
        say(f"{'falls' if each.falls else 'holds'}: {each}")
    say(f"In use: version {found.version} of {model}")
    for former in found.former:
        say(f"An earlier version still holds what it learnt from them: {former}")


def rollback(
    model: Annotated[Path, typer.Argument(help="Folder of a final model: runs/NAME/model.")],
    to: Annotated[
        int | None, typer.Option(min=1, help="Version; default: the one before that in use.")
    ] = None,
) -> None:
    """Put a former version of a model in use. A service takes it up within a second.

    **Examples**

    - `labelweave rollback runs/leaves/model`
    - `labelweave rollback runs/leaves/model --to 3`
    """
    from labelweave.serving import rollback as go_back

    found = go_back(model, to)
    say(f"In use: version {found.number} ({found.folder})")


def monitor(
    model: Annotated[Path, typer.Argument(help="Folder of a final model: runs/NAME/model.")],
    batch: Annotated[Path, typer.Option(help="Table of new rows; labels are not needed.")],
    page: Annotated[Path | None, typer.Option(help="Page to write, such as june.html.")] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="JSON file to write, such as june.json.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="File for Prometheus to write, such as leaves.prom.")
    ] = None,
    false_alarms: Annotated[
        float, typer.Option(min=1e-6, max=0.5, help="Share of healthy batches that raise one.")
    ] = 0.01,
) -> None:
    """Compare new rows with those of the fit, without labels; exit code 1 = alarm.

    Inputs: values and missing shares. Tasks: predicted labels, confidence, expected accuracy.
    Relations: whether the predictions of related tasks contradict each other more than before.
    Where the batch has labels, in columns named as tasks: the share of them that is predicted.

    **Examples**

    - `labelweave monitor runs/leaves/model --batch june.csv`
    - `labelweave monitor runs/leaves/model --batch june.csv --page june.html --json june.json`
    - `labelweave monitor runs/leaves/model --batch june.csv --metrics leaves.prom`
    """
    from labelweave._files import write_text
    from labelweave.serving import load
    from labelweave.serving import monitor as compare_rows
    from labelweave.serving._monitor_files import write_metrics, write_monitor_page

    final = load(model)
    found = compare_rows(final, batch, false_alarms=false_alarms)
    if json_ is not None:
        write_text(json_, found.to_json())
    if page is not None:
        write_monitor_page(found, final.facts.study, page)
    if metrics is not None:
        write_metrics(found, final.facts.study, metrics)
    for task in found.tasks:
        if task.accuracy is not None and task.accuracy_before is not None:
            before = f"{task.accuracy_before:.3f} on the fit's rows, out-of-fold"
            say(f"{task.task}: expected accuracy {task.accuracy:.3f} ({before})")
        if task.measured is not None:
            say(f"{task.task}: accuracy {task.measured:.3f} on {task.labels:,} labels of the batch")
    for note in found.notes:
        say(f"note: {note}")
    for signal in found.alarms:
        say(f"ALARM: {signal} (p {signal.p_adjusted:.1g})")
    keep_for_report(model, "monitoring", found.checks())
    count = f"{len(found.signals)} comparisons of {found.rows:,} rows"
    if found.alarms:
        say(f"{len(found.alarms)} alarms, {count}")
        raise typer.Exit(1)
    say(f"No alarm, {count}")

"""The command line. Heavy imports stay inside the commands, so that --help answers at once."""

import errno
import io
import os
import sys
import warnings
from typing import Annotated

import typer

import labelweave
from labelweave._trust import trust_packages
from labelweave.cli._exchange import exchange
from labelweave.cli._model import predict
from labelweave.cli._output import say
from labelweave.cli._prepare import case, check, init, relate, schema
from labelweave.cli._private import private
from labelweave.cli._serving import export, finish, forget, monitor, rollback, serve, update
from labelweave.cli._study import ablate, compare, demo, report, run, tune
from labelweave.cli._trust import audit, card, croissant, explain, fairness
from labelweave.errors import (
    OUT_OF_MEMORY,
    LabelweaveError,
    LabelweaveWarning,
    TrainingError,
    nearest,
    out_of_memory,
)

INTERRUPTED = 130
HINTS = {errno.EMFILE: "; try 'ulimit -n 1024'", errno.ENFILE: "; try fewer processes (--jobs 1)"}

app = typer.Typer(
    name="labelweave",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo,
    case,
    init,
    check,
    relate,
    run,
    tune,
    compare,
    report,
    ablate,
    predict,
    explain,
    fairness,
    audit,
    card,
    croissant,
    exchange,
    finish,
    private,
    export,
    serve,
    update,
    forget,
    rollback,
    monitor,
    schema,
):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        say(f"labelweave {labelweave.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    trusted: Annotated[
        str | None,
        typer.Option(
            "--trust",
            metavar="PACKAGES",
            help="Installed packages, separated by commas, whose code may be used.",
        ),
    ] = None,
) -> None:
    """Learn several tasks from scattered labels, and measure what joining them gains.

    **Examples**

    - `labelweave demo` : first try, on data that comes with the package
    - `labelweave init plant_a.csv plant_b.csv` : your tables, writes `study.yaml`
    - `labelweave check study.yaml`
    - `labelweave run study.yaml`
    - `labelweave finish study.yaml` : the final model, fitted on all labelled rows
    """
    if trusted:
        trust_packages(*(name.strip() for name in trusted.split(",")))


def _study_key(error: Exception) -> str:
    """Return which key of the study file an option that does not exist is, in words; else ""."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if not option or context is None or getattr(error, "possibilities", None):
        return ""
    if "study" not in {parameter.name for parameter in context.command.params}:
        return ""
    from labelweave.experiments import StudyConfig

    fields = StudyConfig.model_fields.items()
    key = nearest(option.strip("-").replace("-", "_"), [f.alias or name for name, f in fields])
    where = f"option '{option}': 'labelweave {context.info_name}' has none"
    return f"{where}, expected a key of the study file{key}" if key else ""


_as_python_does = warnings.formatwarning


def _one_line(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    if issubclass(category, LabelweaveWarning):
        return f"labelweave: {message}\n"
    return _as_python_does(message, category, filename, lineno, line)


def main() -> None:
    """Run the command line: exit 0 = done, 1 = some runs failed, 2 = bad input, 130 = Ctrl-C."""
    warnings.formatwarning = _one_line
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal in latin-1 has no Japanese
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="labelweave", standalone_mode=False)
        sys.stdout.flush()  # here, where a broken pipe is caught
    except LabelweaveError as error:
        say(f"labelweave: {error}", err=True)
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except TrainingError as error:
        say(f"labelweave: {error}", err=True)
        code = 1
    except BrokenPipeError:  # the reader of the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = f"{error.strerror or error}{HINTS.get(error.errno or 0, '')}"
        say(f"labelweave: {LabelweaveError(place + reason)}", err=True)
        code = 2
    except Exception as error:
        if out_of_memory(error):
            say(f"labelweave: {OUT_OF_MEMORY}", err=True)
            sys.exit(1)
        show = getattr(error, "show", None)  # a usage error of the command line itself
        if show is None:
            raise
        if hint := _study_key(error):
            say(f"labelweave: {hint}", err=True)
        else:
            show()
        code = 2
    if code == INTERRUPTED:  # which is also what newer versions of typer return for Ctrl-C
        say("labelweave: interrupted; run the same command to resume", err=True)
    sys.exit(code if isinstance(code, int) else 0)

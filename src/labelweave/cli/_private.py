"""``labelweave private``."""

from pathlib import Path
from typing import Annotated

import typer

from labelweave.cli._output import keep_for_report, say


def private(
    study: Annotated[Path, typer.Argument(help="The study file; the study need not have run.")],
    public: Annotated[
        Path,
        typer.Option(help="Table of rows that are not private, with the study's input columns."),
    ],
    epsilon: Annotated[
        list[str],
        typer.Option(
            metavar="[SOURCE=]EPSILON",
            help="What may be spent on each row, 0.01 to 100; smaller is more private. Once for "
            "all sources, again for some.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: private in the results folder.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Steps of the training.")] = 300,
) -> None:
    """Train one network of all tasks with differential privacy: no single row shows in it.

    It learns from all rows but the study's test rows, which measure it. Types, ranges and
    categories of columns come from the public table. An expert's tables couple the tasks. The
    folder predicts as any other; `labelweave card` and `audit` show its epsilon for each source.
    Every further fit on the same rows spends its epsilon, too. Needs `labelweave[private]`.

    **Examples**

    - `labelweave private study.yaml --public shared.csv --epsilon 4`
    - `labelweave private study.yaml --public shared.csv --epsilon 8 --epsilon site_b=1`
    - `labelweave predict runs/NAME/private new.csv --out predicted.csv`
    """
    from labelweave.experiments import Study
    from labelweave.serving import finish_private

    opened = Study.from_file(study)
    names = opened.data.collection.names
    made = finish_private(opened, public, _epsilons(epsilon, names), folder=out, steps=steps)
    say(f"Model: {made.folder}; fitted on {made.rows:,} rows")
    for line in made.privacy.lines():
        say(f"  {line}")
    if made.rows_of_a_group > 1:
        say(
            f"The promise is for one row, and a group here has up to {made.rows_of_a_group}: "
            "for all rows of a group epsilon is so many times larger"
        )
    for name in made.left_out:
        say(f"left out, counted on the rows: {name}")
    say("On the study's test rows:")
    for name, (metric, each) in made.scores.items():
        ends = "" if each.low is None else f" ({each.low:.3f} to {each.high:.3f})"
        value = "not measured" if each.mean is None else f"{each.mean:.3f}{ends}"
        say(f"  {name}: {metric} {value}")
    keep_for_report(opened.output, "private", made.checks())
    say(f"Next: labelweave predict {made.folder} NEW.csv --out predicted.csv")


def _epsilons(given: list[str], names: tuple[str, ...]) -> dict[str, float]:
    """Return the epsilon of every source."""
    from labelweave.errors import LabelweaveError

    every: float | None = None
    own: dict[str, float] = {}
    for each in given:
        name, equals, text = each.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            raise LabelweaveError(
                f"--epsilon: found '{each}', expected a number or SOURCE=NUMBER"
            ) from None
        if equals:
            own[name] = value
        else:
            every = value
    general = {} if every is None else dict.fromkeys(names, every)
    return general | own

"""``labelweave init``."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    tables: Annotated[list[Path], typer.Argument(help="CSV, TSV or Parquet tables.")],
    out: Annotated[Path, typer.Option(help="Study file to write.")] = Path("study.yaml"),
    labels: Annotated[
        str | None, typer.Option(help="Label columns, with commas; default: guessed.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an existing study file.")] = False,
) -> None:
    """Look at tables and write a commented study file that runs.

    **Examples**

    - `labelweave init plant_a.csv plant_b.csv`
    - `labelweave init plant_a.csv plant_b.csv --labels defect,surface --out defects.yaml`
    """
    from labelweave.errors import LabelweaveError
    from labelweave.study.proposal import propose

    if out.exists() and not force:
        raise LabelweaveError(f"{out}: exists already; give --out or --force")
    if not out.parent.is_dir():
        raise LabelweaveError(f"{out}: no folder '{out.parent}' to write to")
    names = [name.strip() for name in labels.split(",") if name.strip()] if labels else None
    text = propose(tables, out.parent, names)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {out}. Look it over, then: labelweave check {out}")

"""``labelweave schema``."""

import json
from pathlib import Path
from typing import Annotated

import typer


def schema(
    out: Annotated[Path | None, typer.Option(help="File to write; default: print.")] = None,
) -> None:
    """Print the JSON schema of study files, for editors that complete and check them.

    **Example**

    - `labelweave schema --out labelweave.schema.json`
    """
    from labelweave.study import StudyConfig

    text = json.dumps(StudyConfig.model_json_schema(), indent=2)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")

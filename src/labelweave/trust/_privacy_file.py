"""What a model with differential privacy promises, as a file in its folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from labelweave._files import write_text
from labelweave._saved import Saved, read_description

FORMAT, FILE = 1, "privacy.json"


class Privacy(Saved):
    """The promise of `labelweave.serving.finish_private`.

    Attributes:
        format: of the file.
        labelweave: the version that wrote it.
        created: when.
        study: the study's name.
        epsilons: by source the epsilon that was spent on each of its rows.
        delta: chance that the promise fails.
        noises: by source the standard deviation of the noise over the largest gradient of a row.
        rate: chance of a row to be in a step.
        steps: of the training.
        relations: names of the given tables that coupled the tasks.
    """

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    labelweave: str
    created: str
    study: str
    epsilons: Mapping[str, Annotated[float, Field(gt=0, le=1000)]]
    delta: Annotated[float, Field(gt=0, lt=1)]
    noises: Mapping[str, Annotated[float, Field(gt=0, le=1e9)]]
    rate: Annotated[float, Field(gt=0, le=1)]
    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    relations: list[str]

    def lines(self) -> list[str]:
        """Return the promise in words, a line a source."""
        return [
            f"{name}: epsilon {value:.2f} for a row, delta {self.delta:.1g}"
            for name, value in self.epsilons.items()
        ]

    def write(self, folder: Path) -> None:
        """Write ``privacy.json`` to a folder."""
        write_text(folder / FILE, json.dumps(self.model_dump(), indent=1))


def read_privacy(folder: Path) -> Privacy | None:
    """Return what the model in a folder promises; None = nothing.

    Raises:
        LabelweaveError: a damaged file.
    """
    path = folder / FILE
    return read_description(path, Privacy, FORMAT) if path.exists() else None

"""The section of a study file on trackers."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from labelweave.errors import listing, nearest
from labelweave.study.section import Section
from labelweave.tracking import TRACKERS


class TrackerSection(Section):
    """Where finished runs are shown, besides in the file runs.jsonl ([runs.md](runs.md)).

    An entry is a tracker's name, or a section.

    Attributes:
        tracker: tensorboard or mlflow.
        uri: the store of mlflow, for example ``sqlite:///all.db`` (relative to the study file) or
            ``http://host:5000``; default: the SQLite file ``mlflow.db`` beside the results.
        experiment: the experiment of mlflow; default: the study's name.
    """

    tracker: str
    uri: str | None = Field(default=None, min_length=1)
    experiment: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _fits_tracker(self) -> Self:
        known_tracker(self.tracker)
        for option in self.chosen():
            if option not in TRACKERS[self.tracker].options:
                raise ValueError(f"the tracker {self.tracker} has no '{option}'")
        return self

    def chosen(self) -> dict[str, str]:
        """Return the options that are given."""
        found = {"uri": self.uri, "experiment": self.experiment}
        return {name: value for name, value in found.items() if value is not None}


def known_tracker(name: str) -> str:
    """Return the name, or raise ``ValueError`` naming the trackers."""
    if name not in TRACKERS:
        raise ValueError(
            f"no such tracker '{name}', expected {listing(TRACKERS)}{nearest(name, TRACKERS)}"
        )
    return name


def _distinct(trackers: list[str | TrackerSection]) -> list[str | TrackerSection]:
    names = [known_tracker(e) if isinstance(e, str) else e.tracker for e in trackers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"found the tracker '{name}' twice, expected it once")
    return trackers


Trackers = Annotated[list[str | TrackerSection], AfterValidator(_distinct)]

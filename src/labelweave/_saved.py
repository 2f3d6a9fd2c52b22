"""What the JSON files of a saved model may say: typed, bounded, and of lengths that fit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from labelweave._parsing import check_values, read_json_object
from labelweave._validation import reason_of
from labelweave.errors import LabelweaveError, listing, nearest, printable
from labelweave.tasks import Multiclass, Task, check_distinct, task_from_dict

LARGEST = 1e39  # above the numbers of 32 bits, which inputs have
MOST_TASKS = 1000
MOST_CLASSES = 50_000
SUM_TOLERANCE = 1e-3

Name = Annotated[str, Field(min_length=1)]
Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Field(gt=0, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=1e-6, le=1e6)]
Strength = Annotated[float, Field(ge=0, le=1e6)]
Shares = Mapping[str, list[Share]]


class Saved(BaseModel):
    """A part of a file; keys that it does not know are left alone."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow", frozen=True)


class SavedNumbers(Saved):
    """What an encoder learnt about numeric columns."""

    names: list[str]
    median: list[Finite]
    mean: list[Finite]
    scale: list[Positive]
    varies: list[bool]
    gaps: list[bool]

    @model_validator(mode="after")
    def _as_long(self) -> Self:
        for key in ("median", "mean", "scale", "varies", "gaps"):
            if len(getattr(self, key)) != len(self.names):
                raise ValueError(
                    f"found {len(getattr(self, key))} numbers '{key}' for {len(self.names)} columns"
                )
        return self


class SavedTable(Saved):
    """A table encoder."""

    clip: Annotated[float, Field(gt=0, le=1e6)]
    max_categories: Annotated[int, Field(ge=1, le=100_000)]
    categorical: list[str]
    scale: Literal["each", "together"] = "each"
    numeric: SavedNumbers
    categories: dict[str, list[str]]
    notes: list[Any]


class SavedMedia(Saved):
    """An encoder of images or texts."""

    media: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]
    statistics: dict[str, list[list[Finite]]]
    table: SavedTable | None
    notes: list[Any]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for name, parts in self.statistics.items():
            if (
                len(parts) != 2
                or len(parts[0]) != len(parts[1])
                or not all(v > 0 for v in parts[1])
            ):
                raise ValueError(f"statistics of '{name}': expected means and deviations above 0")
        for each in self.media:
            check_values(each, "media")
            for key, value in [*each.items(), *_pairs(each.get("form"))]:
                if isinstance(value, int | float) and not 0 <= value <= 10_000_000:
                    raise ValueError(f"'{key}': found {value}, expected 0 to 10,000,000")
        return self


class SavedPrior(Saved):
    """The class prior that predictions assume."""

    name: Literal["training", "population", "uniform", "rows"] = "training"
    given: Shares = {}


class SavedMap(Saved):
    """How the probabilities of one question are calibrated."""

    kind: Literal["none", "temperature", "vector", "isotonic"]
    scale: Annotated[list[Finite], Field(max_length=MOST_CLASSES)]
    shift: Annotated[list[Finite], Field(max_length=MOST_CLASSES)]
    curves: Annotated[list[list[list[Share]]], Field(max_length=MOST_CLASSES)]


class SavedModel(Saved):
    """The part of ``model.json`` that every kind of model has."""

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    encoder: SavedTable | SavedMedia
    has_schema: bool
    thresholds: Mapping[str, list[Share]]
    prior: SavedPrior = SavedPrior()
    priors: Mapping[Literal["training", "population", "drawn"], Shares] = {}
    calibration: Mapping[str, SavedMap] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_encoder(cls, given: Any) -> Any:
        # of the two readings, the one that is meant, for the sake of the error
        if isinstance(given, dict) and isinstance(given.get("encoder"), dict):
            kind = SavedMedia if "media" in given["encoder"] else SavedTable
            return given | {"encoder": kind.model_validate(given["encoder"])}
        return given

    def check(self, tasks: Sequence[Task]) -> None:
        """Check the tasks, and that thresholds and priors have one number a class or label.

        Raises:
            LabelweaveError: they do not fit.
        """
        check_tasks(tasks)
        groups = {"thresholds": self.thresholds, "prior": self.prior.given}
        groups |= {f"priors, {kind}": shares for kind, shares in self.priors.items()}
        for place, by_task in groups.items():
            check_lengths(place, by_task, tasks)


class SavedBackbone(Saved):
    """Name and options of a backbone."""

    name: Name
    options: dict[str, Any]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        check_values(self.options, "options")
        return self


class SavedNetworks(SavedModel):
    """The contents of ``model.json`` for a model of networks."""

    backbone: SavedBackbone
    networks: Annotated[
        list[Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_TASKS)]],
        Field(min_length=1, max_length=MOST_TASKS),
    ]
    own_trunks: list[Annotated[list[Name], Field(max_length=MOST_TASKS)]] = []

    def check_trunks(self, by_network: Sequence[Sequence[Task]]) -> None:
        """Check that trunks are those of tasks that are there; none = all tasks share one.

        Raises:
            LabelweaveError: they do not fit.
        """
        if self.own_trunks and len(self.own_trunks) != len(by_network):
            raise LabelweaveError(
                f"key 'own_trunks': found {len(self.own_trunks)} lists, expected "
                f"{len(by_network)}, one a network"
            )
        for names, tasks in zip(self.own_trunks, by_network, strict=False):
            known = [task.name for task in tasks]
            for name in names:
                if name not in known:
                    raise LabelweaveError(
                        f"key 'own_trunks': no task '{printable(name)}', expected "
                        f"{listing(known)}{nearest(name, known)}"
                    )
            if len(set(names)) != len(names):
                raise LabelweaveError("key 'own_trunks': found a task twice, expected it once")


class SavedPart(Saved):
    """One fit of a learner."""

    classes: list[Annotated[int, Field(ge=0, le=MOST_CLASSES)]]
    floor: list[Share]
    share: Share
    classifier: Annotated[int, Field(ge=0, le=10**6)] | None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.classes != sorted(set(self.classes)) or max(self.classes, default=0) >= len(
            self.floor
        ):
            raise ValueError("'classes' and 'floor' do not fit each other")
        return self


class SavedLearner(Saved):
    """A learner, fitted to one task."""

    key: Name
    multiclass: bool
    parts: Annotated[list[SavedPart], Field(min_length=1)]


class SavedMember(Saved):
    """A learner's place in a mixture."""

    key: Name
    weight: Share
    temperature: Temperature


class SavedCandidate(Saved):
    """One way to predict a task, in the average."""

    name: Name
    weight: Share
    temperature: Temperature
    likelihood: Finite


class SavedLink(Saved):
    """A relation with its strengths."""

    source: Name
    target: Name
    table: list[list[Share]]
    known: list[list[bool]]
    to_source: Strength
    to_target: Strength
    target_rate: list[Share]
    spoken_rate: list[Share]


class SavedStack(Saved):
    """What ``stack.json`` says."""

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    tasks: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_TASKS)]
    centre: list[Finite]
    scale: list[Positive]
    models: dict[str, SavedLearner]
    joint: list[Name]
    rates: Shares
    strengths: list[dict[str, Any]]
    history: list[dict[str, Any]]
    links: list[SavedLink]
    self_links: list[SavedLink]
    guards: Mapping[str, Annotated[list[SavedCandidate], Field(min_length=1)]]
    alone: Mapping[str, list[SavedMember]]
    self_trained: Mapping[str, list[SavedMember]]

    def check(self, tasks: Sequence[Task]) -> None:
        """Check the tasks, and that everything about them has their lengths.

        Raises:
            LabelweaveError: it has not.
        """
        check_tasks(tasks)
        if len(self.centre) != len(self.scale):
            raise LabelweaveError(
                f"found {len(self.centre)} numbers 'centre' and {len(self.scale)} 'scale'"
            )
        check_lengths("rates", self.rates, tasks)
        known = {task.name: task for task in tasks}
        for key in ("guards", "alone"):
            if missing := [name for name in known if not getattr(self, key).get(name)]:
                raise LabelweaveError(f"'{key}': found nothing of task '{missing[0]}'")
        for name in (*self.guards, *self.alone, *self.self_trained):
            if name not in known:
                raise LabelweaveError(f"found the task '{name}', expected one of 'tasks'")
        for kind, stacks in (("alone", self.alone), ("self_trained", self.self_trained)):
            for name, members in stacks.items():
                _check_sum(f"'{kind}' of task '{name}'", [each.weight for each in members])
                for member in members:
                    model = self.models.get(f"{kind}/{name}/{member.key}")
                    if model is None and member.key not in self.joint:
                        raise LabelweaveError(f"found no learner '{member.key}' of task '{name}'")
                    if model is not None:
                        _check_learner(f"learner '{member.key}'", model, known[name])
        for name, candidates in self.guards.items():
            _check_sum(f"'guards' of task '{name}'", [each.weight for each in candidates])
            made = {"alone", "coupled", *self.joint}
            made |= {"self_trained_coupled"} if self.self_trained else set()
            made |= {"self_trained"} if name in self.self_trained else set()
            for each in candidates:
                if each.name not in made:
                    raise LabelweaveError(f"'guards' of task '{name}': no candidate '{each.name}'")
        for link in (*self.links, *self.self_links):
            _check_link(link, known)


T = TypeVar("T", bound=Saved)


def read_description(path: Path, kind: type[T], newest: int) -> T:
    """Return the typed content of a model's JSON file.

    Args:
        path: the file.
        kind: what it should hold.
        newest: the greatest format that is known.

    Raises:
        LabelweaveError: a newer format, a key that is missing, or a value that cannot be.
        FileNotFoundError: there is no such file.
    """
    content = read_json_object(path)
    found = content.get("format")
    if isinstance(found, int | float) and found > newest:
        raise LabelweaveError(
            f"{path}: found format {found}, expected at most {newest}; it was written by a newer "
            "labelweave"
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = ", ".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    where = f"{path}: key '{printable(place)}'" if place else str(path)
    if first["type"] == "missing":
        raise LabelweaveError(f"{where}: missing; not a model of labelweave, or a damaged one")
    reason = reason_of(first)
    if first["type"] == "value_error":
        raise LabelweaveError(f"{where}: {reason}")
    raise LabelweaveError(f"{where}: {reason}, found '{printable(first['input'])}'")


def tasks_of(descriptions: Sequence[Mapping[str, Any]]) -> list[Task]:
    """Return the tasks that a file describes.

    Raises:
        LabelweaveError: one makes no sense.
    """
    for each in descriptions:
        check_values(each, "tasks")
        if not isinstance(each.get("name"), str):
            raise LabelweaveError(f"tasks: found the name '{each.get('name')}', expected a text")
    return [task_from_dict(each) for each in descriptions]


def check_tasks(tasks: Sequence[Task]) -> None:
    """Check that tasks are distinct, their classes known and not too many.

    Raises:
        LabelweaveError: they are not.
    """
    check_distinct(tasks)
    for task in tasks:
        if task.width > MOST_CLASSES:
            raise LabelweaveError(
                f"task '{task.name}': found {task.width:,} classes, expected at most "
                f"{MOST_CLASSES:,}"
            )
        for name in task.names:
            if not isinstance(name, str | int):
                raise LabelweaveError(f"task '{task.name}': found the class '{name}'")


def check_lengths(place: str, given: Mapping[str, Sequence[float]], tasks: Sequence[Task]) -> None:
    """Check that there is one number for each class or label of known tasks.

    Raises:
        LabelweaveError: another number of them, or another task.
    """
    widths = {task.name: task.width for task in tasks}
    for name, values in given.items():
        if name not in widths:
            raise LabelweaveError(f"{place}: found the task '{name}', expected one of the model's")
        if len(values) != widths[name]:
            raise LabelweaveError(
                f"{place}: found {len(values)} numbers for task '{name}', expected {widths[name]}"
            )


def arrays(given: Mapping[str, Sequence[float]]) -> dict[str, NDArray[np.float64]]:
    """Return lists of numbers as arrays."""
    return {name: np.asarray(values, np.float64) for name, values in given.items()}


def _check_sum(place: str, weights: Sequence[float]) -> None:
    if abs(sum(weights) - 1) > SUM_TOLERANCE:
        raise LabelweaveError(f"{place}: weights that sum to {sum(weights):.4g}, expected 1")


def _check_learner(place: str, model: SavedLearner, task: Task) -> None:
    multiclass = isinstance(task, Multiclass)
    widths = [task.width] if multiclass else [2] * task.width
    if model.multiclass != multiclass or [len(part.floor) for part in model.parts] != widths:
        raise LabelweaveError(f"{place}: does not fit task '{task.name}'")


def _check_link(link: SavedLink, tasks: Mapping[str, Task]) -> None:
    place = f"link '{link.source}->{link.target}'"
    if not {link.source, link.target} <= tasks.keys():
        raise LabelweaveError(f"{place}: found a task that is not one of 'tasks'")
    width = tasks[link.target].width
    for key in ("table", "known"):
        found = getattr(link, key)
        if len(found) != len(link.table) or {len(row) for row in found} != {width}:
            raise LabelweaveError(f"{place}: '{key}' is not a table of {width} columns")
    source = tasks[link.source]
    if isinstance(source, Multiclass) and len(link.table) != source.width:
        raise LabelweaveError(
            f"{place}: 'table' has {len(link.table)} rows, expected {source.width}"
        )
    for key in ("target_rate", "spoken_rate"):
        if len(getattr(link, key)) != width:
            raise LabelweaveError(f"{place}: '{key}' has not {width} numbers")


def _pairs(form: Any) -> list[tuple[str, Any]]:
    return list(form.items()) if isinstance(form, dict) else []

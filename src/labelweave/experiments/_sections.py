"""The sections of a study file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from labelweave._validation import Section, Whole, stated
from labelweave.balancing import weighting
from labelweave.balancing._sampling import sampling
from labelweave.datasets import find_reader
from labelweave.errors import listing, nearest
from labelweave.fitting._methods import METHODS, NOISE, Method, find_method
from labelweave.fitting._sections import LARGEST_SEED, MOST_ROWS
from labelweave.importers._annotation_tools import Format
from labelweave.importers._answers import Annotators, Unticked
from labelweave.losses._task_losses import task_loss
from labelweave.relations._relate import Origin
from labelweave.tables import ReadOptions
from labelweave.tables._options import MISSING
from labelweave.tasks import Binary, Multiclass
from labelweave.tracking import TRACKERS

MOST_MONEY = 1e12
MOST_SEEDS = 1000
Label = str | Whole | bool
LabelTool = Literal["label_studio", "prodigy"]


class TaskSection(Section):
    """A task: its name, kind and classes or labels.

    Attributes:
        name: the task's name, also its label column (multiclass, binary).
        kind: multiclass, multilabel or binary.
        classes: classes of a multiclass task; left out = taken from the data, sorted.
        labels: label columns of a multilabel task.
        positive: value of a binary task that means on; default 1, true or yes.
        negative: value of a binary task that means off; default 0, false or no.
        loss: where its classes are very unequal, see below: a name such as ``focal``, or one with
            its options: ``{focal: {gamma: 1}}``.
    """

    name: str = Field(min_length=1)
    kind: Literal["multiclass", "multilabel", "binary"] = "multiclass"
    classes: list[Label] | None = None
    labels: list[str] | None = None
    positive: Label | None = None
    negative: Label | None = None
    loss: str | dict[str, Any] = "cross_entropy"

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        allowed = {
            "multiclass": {"classes"},
            "multilabel": {"labels"},
            "binary": {"positive", "negative"},
        }[self.kind]
        for name in ("classes", "labels", "positive", "negative"):
            if getattr(self, name) is not None and name not in allowed:
                raise ValueError(f"a {self.kind} task has no '{name}'")
        if self.kind == "multilabel" and not self.labels:
            raise ValueError("a multilabel task needs 'labels', the names of its columns")
        kind = Multiclass(self.name) if self.kind == "multiclass" else Binary(self.name)
        task_loss(self.loss, kind)
        return self

    def description(self) -> dict[str, Any]:
        """Return the section in the form of `labelweave.tasks.task_from_dict`."""
        return self.model_dump(exclude_none=True, exclude={"loss"})


class ReadSection(Section):
    """How a file is read; keys that are left out are detected from the file, and reported.

    Attributes:
        sep: what separates the columns of a text file.
        decimal: the decimal mark of its numbers, ``.`` or ``,``.
        thousands: the mark between groups of three digits.
        encoding: its encoding, such as utf-8, cp932 or latin-1.
        sheet: of a workbook, the sheet's name or its number from 1; of a zip file, the file in it.
    """

    sep: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    sheet: str | Annotated[int, Field(ge=1, le=10_000)] | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        self.options()
        return self

    def options(self, missing: Sequence[str] = MISSING) -> ReadOptions:
        """Return the section with the words that mean missing."""
        return ReadOptions(**self.model_dump(), missing=tuple(missing))


class RelationSection(Section):
    """Where relations come from: an expert's table, or rows that carry both labels.

    Without a table the pair is counted on co-labelled rows, or estimated in methods that say so.
    From a multiclass task the relation is a table, from a multilabel one a noisy-OR: each of its
    labels may switch on labels of the targets.

    Attributes:
        source: the task to predict from: its classes, or its labels, are the rows.
        table: a table file, relative to the study file; for a noisy-OR it may have a row ``leak``.
        read: how the table is read: ``sep``, ``encoding``, ``sheet``; default: found out.
        known: instead of ``table``, a published table that labelweave includes, for example
            ``du-tao-martinez-2014``.
        vocabulary: the data set whose labels a known table is restricted to, for example ``disfa``;
            default: all labels of the study.
        targets: the tasks to predict; default: all in the table. Needed without a table.
        strength: factor on the coupling terms of these relations.
        smoothing: pseudo-counts per row when counting, per cause for a noisy-OR.
    """

    source: str
    table: str | None = None
    read: ReadSection = ReadSection()
    known: str | None = None
    vocabulary: str | None = None
    targets: list[str] | None = None
    strength: float = Field(default=1.0, ge=0, le=1e6)
    smoothing: float = Field(default=1.0, gt=0, le=1e9)

    @model_validator(mode="after")
    def _targets_to_count(self) -> Self:
        if self.table is not None and self.known is not None:
            raise ValueError("found both 'table' and 'known', expected one of them")
        if self.known is None and self.vocabulary is not None:
            raise ValueError("found 'vocabulary' without 'known', which it belongs to")
        if not self.written and not self.targets:
            raise ValueError("counting from annotations needs 'targets' (or give a 'table')")
        return self

    @property
    def written(self) -> bool:
        """Whether the relations are written down in a table, and not to be counted."""
        return self.table is not None or self.known is not None


class PartSection(Section):
    """A part of the training rows that keeps only some tasks' labels (see `scatter`).

    Attributes:
        name: the part's name; it replaces the name of the source.
        tasks: the tasks whose labels stay.
        per_class: this many rows of every class of the first task.
        rows: this many rows, or a share below 1. Without ``per_class`` and ``rows``: all remaining
            rows.
    """

    name: str
    tasks: list[str] = Field(min_length=1)
    per_class: int | None = Field(default=None, ge=1, le=MOST_ROWS)
    rows: (
        Annotated[float, Field(gt=0, le=MOST_ROWS)]
        | Annotated[int, Field(gt=0, le=MOST_ROWS)]
        | None
    ) = None


class StatisticsSection(Section):
    """The statistics of the comparison.

    Attributes:
        replicates: bootstrap replicates.
        level: coverage of the intervals; 1 - level is also the level of the verdicts.
        by: an input column, such as ``sex`` or ``site``: the report shows what joining did to each
            of its groups, too; default: none.
    """

    replicates: int = Field(default=1000, ge=100, le=10**6)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    by: str | None = Field(default=None, min_length=1)


OF_TABLES = (
    "folders", "inputs", "exclude", "group", "identifier", "missing", "read", "rename", "map",
    "join", "format", "unticked", "annotators", "multiple",
)  # fmt: skip
OF_EXPORTS = ("unticked", "annotators", "multiple")


class JoinSection(Section):
    """A table whose columns are added to those of a source, for example a table of labels.

    Attributes:
        path: the table, relative to the study file.
        on: a column that both tables have; rows with the same text in it belong together.
        read: how it is read, if not like the source.
    """

    path: str
    on: str
    read: ReadSection | None = None


class SourceSection(Section):
    """A table, a folder of images, or a published data set, with labels of some tasks.

    Attributes:
        name: the source's name; default: the file's name without its ending, or the data set's.
        path: CSV, TSV, Excel (.xlsx), Parquet, Arrow or JSON lines file, or a folder of images,
            relative to the study file; or several files by a pattern, such as ``lab_*.csv``. Or the
            address of one file, ``s3://`` (package s3fs) or ``gs://`` (gcsfs), which is fetched.
        format: the file is an export of an annotation tool or a data hub, which brings its tasks:
            ``label_studio``, ``prodigy``, ``hugging_face``, ``coco``, ``datumaro``, ``cvat`` or
            ``croissant``.
        unticked: of an export: what an option means that the answer to a question of several
            options does not choose, ``missing`` or ``no``.
        annotators: of an export: several annotators of one row give their ``majority``, or a source
            each (``separate``).
        multiple: of an export: questions of which several options may hold together, where the
            answers do not show it.
        read: how the file is read; keys that are left out are detected from the file.
        rename: new names of columns, by their name in the file.
        map: by column, new values for values of the file; null = no value. Others stay.
        join: another table, for example of labels, and the column that both have.
        case: instead of ``path``, a published data set by name, for example ``raf-db``
            (`labelweave case --list` shows all). Its images, labels, groups and official parts
            are read from its official files where they lie.
        root: of a published data set: the folder of its files, relative to the study file.
        options: of a published data set: its reader's options, by name.
        rows: of a published data set: use this many rows of the training part, evenly spread.
        folders: of a folder of images: the column that the names of its folders become, mostly a
            task; or several, from the outermost folder. The paths become the column that
            ``inputs: {image: ...}`` names.
        inputs: input columns, or ``rest``: all that are no label, group or excluded column.
        exclude: columns that are no inputs.
        identifier: columns that name a row, such as a serial number: no inputs, written
            next to the predictions.
        group: column of the person, plant or batch whose rows must stay on one side of a split.
        tasks: tasks whose labels are taken from this table; default: all that have a column here.
        split: put all rows on one side, for example an official test set; of a published data set
            instead of the official parts.
        missing: texts that mean "no value".
        license: licence of the data, an SPDX identifier such as ``CC-BY-4.0``, or ``own``; kept
            with the final model, where ``labelweave audit`` shows it.
    """

    path: str | None = None
    name: str | None = None
    case: str | None = None
    root: str | None = None
    options: dict[str, Any] = Field(default={})
    rows: int | None = Field(default=None, ge=1, le=MOST_ROWS)
    folders: str | list[str] | None = None
    inputs: Literal["rest"] | list[str] = "rest"
    exclude: list[str] = Field(default=[])
    identifier: list[str] = Field(default=[])
    format: Format | None = None
    unticked: Unticked = "missing"
    annotators: Annotators = "majority"
    multiple: list[str] = Field(default=[])
    read: ReadSection = Field(default=ReadSection())
    rename: dict[str, str] = Field(default={})
    map: dict[str, dict[str, str | None]] = Field(default={})
    join: JoinSection | None = None
    group: str | None = None
    tasks: list[str] | None = None
    split: Literal["train", "validation", "test"] | None = None
    missing: list[str] = Field(default=list(MISSING))
    license: str | None = Field(default=None, min_length=1, max_length=200)

    @field_validator("unticked", mode="before")
    @classmethod
    def _no_of_yaml(cls, unticked: object) -> object:
        return "no" if unticked is False else unticked  # YAML reads no as false

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        fields = type(self).model_fields.items()
        given = {name for name, field in fields if getattr(self, name) != field.default}
        if self.case is None:
            if self.path is None:
                raise ValueError("found neither 'path' nor 'case', expected one of them")
            for name in ("root", "options", "rows"):
                if name in given:
                    raise ValueError(f"found '{name}' without 'case', which it belongs to")
            self._export_keys(given)
            return self
        if self.path is not None:
            raise ValueError("found both 'path' and 'case', expected one of them")
        for name in OF_TABLES:
            if name in given:
                raise ValueError(f"a published data set has no '{name}', which its reader decides")
        reader = find_reader(self.case)
        if self.root is None:
            raise ValueError(f"'case: {self.case}' needs 'root', the folder of its files")
        reader.check_options(self.options)
        return self

    def _export_keys(self, given: set[str]) -> None:
        wrong = ("folders", "read") if self.format is not None else OF_EXPORTS
        for name in wrong:
            if name in given and self.format is None:
                raise ValueError(f"found '{name}' without 'format', which it belongs to")
            if name in given:
                raise ValueError(f"found '{name}' with 'format', which decides how a file is read")

    @property
    def called(self) -> str:
        """The source's name, given or taken from its file or data set."""
        return self.name or self.case or Path(self.path or "").stem

    @property
    def place(self) -> str:
        """What errors call the source."""
        return self.path or f"{self.case} in {self.root}"

    @property
    def levels(self) -> list[str]:
        """The columns that the names of folders become."""
        return [self.folders] if isinstance(self.folders, str) else self.folders or []


def _distinct_sources(sources: list[SourceSection]) -> list[SourceSection]:
    names = [source.called for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two sources are called '{name}'; give each a different 'name'")
    return sources


Sources = Annotated[list[SourceSection], AfterValidator(_distinct_sources)]


class PricesSection(Section):
    """Prices; without them the report shows counts and no money.

    Attributes:
        currency: the currency of the prices.
        label: by task the price of one row's label.
        hour: the price of an hour of the machine that predicts; needs `predictions_a_year`.
        predictions_a_year: rows to predict in a year; needs `hour`.
    """

    currency: str = Field(default="EUR", min_length=1)
    label: dict[str, Annotated[float, stated(0, MOST_MONEY)]] = Field(default={})
    hour: float | None = Field(default=None, ge=0, le=MOST_MONEY)
    predictions_a_year: float | None = Field(default=None, ge=0, le=1e15)

    @field_validator("label")
    @classmethod
    def _not_negative(cls, label: dict[str, float]) -> dict[str, float]:
        for task, price in label.items():
            if not 0 <= price <= MOST_MONEY:
                raise ValueError(
                    f"found the price {price} for '{task}', expected 0 to {MOST_MONEY:.0e}"
                )
        return label

    @model_validator(mode="after")
    def _running(self) -> Self:
        keys = ("hour", "predictions_a_year")
        given = [key for key in keys if getattr(self, key) is not None]
        if len(given) == 1:
            (lacking,) = set(keys) - set(given)
            raise ValueError(f"found '{given[0]}' without '{lacking}', expected both or neither")
        return self


class LabelCurvesSection(Section):
    """Metrics of the tasks alone (the baseline of the decision) with fewer and with more labels.

    Attributes:
        seeds: number of seeds, from the first, for the points with other numbers of labels than
            today's.
        shares: shares of every task's labelled training rows, 0 to 1; 1 is always among them.
        method: the method whose labels are counted; default: the recommended one, or the best
            coupled.
    """

    shares: list[Annotated[float, stated(0, 1)]] = Field(
        default=[0.1, 0.2, 0.4, 0.8, 1.0], min_length=1, max_length=100
    )
    method: str | None = None
    seeds: int = Field(default=3, ge=1, le=MOST_SEEDS)

    @field_validator("shares")
    @classmethod
    def _shares(cls, shares: list[float]) -> list[float]:
        for share in shares:
            if not 0 < share <= 1:
                raise ValueError(f"found the share {share}, expected above 0 and at most 1")
        return shares


class TrackerSection(Section):
    """Where to show finished runs, in addition to runs.jsonl ([runs.md](../howto/runs.md)).

    An entry is a tracker's name, or a section.

    Attributes:
        tracker: tensorboard or mlflow.
        uri: the store of mlflow, for example ``sqlite:///all.db`` (relative to the study file) or
            ``http://host:5000``; default: the SQLite file ``mlflow.db`` next to the results.
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


def _distinct_trackers(trackers: list[str | TrackerSection]) -> list[str | TrackerSection]:
    names = [known_tracker(e) if isinstance(e, str) else e.tracker for e in trackers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"found the tracker '{name}' twice, expected it once")
    return trackers


Trackers = Annotated[list[str | TrackerSection], AfterValidator(_distinct_trackers)]


class TuneSection(Section):
    """What ``labelweave tune`` searches ([tuning.md](../howto/tuning.md)); only it looks at it.

    Attributes:
        method: the method to be tuned; default: the last of the study's joint methods.
        trials: settings to try; the same command resumes.
        seeds: number of the study's seeds that every setting is trained with.
        search: dotted key to the two ends of a range, a list of values, one value, or false. false
            = do not search the key or keys that begin with it. For example
            ``{training.learning_rate: [0.001, 0.01], network: false}``.
        penalty: how much the loss on the worst task counts relative to the mean gain of all tasks.
        pruning: end a training that is below the median of the others at the same point.
        seed: of the search.
    """

    method: str | None = None
    trials: int = Field(default=50, ge=1, le=10**6)
    seeds: int = Field(default=1, ge=1, le=MOST_SEEDS)
    search: dict[str, Any] = Field(default={})
    penalty: float = Field(default=1.0, ge=0, le=1e6)
    pruning: bool = True
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)


def _usable(seeds: int | list[int]) -> int | list[int]:
    if seeds == [] or (isinstance(seeds, int) and seeds < 1):
        raise ValueError(f"found {seeds}, expected at least one seed")
    if (seeds if isinstance(seeds, int) else len(seeds)) > MOST_SEEDS:
        raise ValueError(f"found more than {MOST_SEEDS:,} seeds, expected at most that many")
    if isinstance(seeds, int):
        return seeds
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"found the seed {seed}, expected 0 to {LARGEST_SEED}")
        if seeds.count(seed) > 1:
            raise ValueError(f"found the seed {seed} twice, expected it once")
    return seeds


Seeds = Annotated[
    Annotated[int, stated(1, MOST_SEEDS)] | list[Annotated[int, stated(0, LARGEST_SEED)]],
    AfterValidator(_usable),
]


TAUGHT = ("distillation",)  # what a coupled method can have in addition


class OriginSection(Section):
    """Which evidence a method's relations come from.

    Attributes:
        from: knowledge (the expert's tables), annotations (counts of co-labelled rows), predictions
            (of an uncoupled network, with the counts) or all; only what holds on held-out rows
            is used. Or given: the tables as they are, unchecked.
    """

    origin: Origin | Literal["given"] = Field(alias="from")


class MethodTrainingSection(Section):
    """The keys of the training that a method can set.

    Attributes:
        sampling: how batches are mixed, in place of the study's.
        weighting: how the tasks are weighed, in place of the study's.
    """

    sampling: str | dict[str, Any] | None = None
    weighting: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.sampling is not None:
            sampling(self.sampling)
        if self.weighting is not None:
            weighting(self.weighting)
        return self

    def chosen(self) -> dict[str, Any]:
        """Return what is given."""
        return self.model_dump(exclude_none=True)


class MethodSection(Section):
    """A method with its own relations, coupling options or training.

    Attributes:
        method: the method's name.
        name: its name in results; required with couplings or training, to distinguish it from the
            usual method.
        relations: the evidence for its relations; default: ``relatedness``.
        noise: ``estimate``: estimate label noise and correct for it; needs ``relations``.
        couplings: options of its couplings, instead of the study's. A coupled method that names
            ``distillation`` also learns from the single-task networks.
        training: its ``sampling`` and ``weighting``, in place of the study's.
    """

    method: str
    name: str | None = Field(default=None, min_length=1)
    relations: OriginSection | None = None
    noise: Literal["estimate"] | None = None
    couplings: dict[str, dict[str, Any]] = Field(default={})
    training: MethodTrainingSection = MethodTrainingSection()

    @model_validator(mode="after")
    def _makes_an_method(self) -> Self:
        if self.noise and not self.relations:
            raise ValueError(
                f"method '{self.method}': noise is estimated with its relations, expected "
                "'relations: {from: ...}' as well"
            )
        method = find_method(self.usual)
        known = method.couplings + (TAUGHT if method.couplings and not method.distils else ())
        for coupling in self.couplings:
            if coupling not in known:
                raise ValueError(
                    f"method '{self.method}' has no coupling '{coupling}', expected "
                    f"{listing(known) or 'none'}{nearest(coupling, known)}"
                )
        if self.training.chosen() and method.kind != "joint":
            raise ValueError(f"method '{self.method}' has no joint training, found 'training'")
        own = "couplings" if self.couplings else "training" if self.training.chosen() else ""
        if own and self.name is None:
            raise ValueError(f"method '{self.method}' with its own {own} needs a 'name'")
        if self.name is not None and self.name.partition(".")[0] in METHODS:
            raise ValueError(f"'{self.name}' is the name of the usual method, give another 'name'")
        return self

    @property
    def usual(self) -> str:
        """The name of the method without its own options, for example ``full.predictions``."""
        parts = [self.method]
        if self.relations:
            parts.append(self.relations.origin)
        if self.noise:
            parts.append(NOISE)
        return ".".join(parts)

    @property
    def called(self) -> str:
        """The method's name in results."""
        return self.name or self.usual

    def found(self) -> Method:
        """Return the method under the usual one's name, so that equal runs are shared."""
        method = find_method(self.usual)
        options = [
            f"{coupling} {key}={value}"
            for coupling, chosen in self.couplings.items()
            for key, value in chosen.items()
        ]
        trained = [f"{key} {value}" for key, value in self.training.chosen().items()]
        added = tuple(name for name in self.couplings if name not in method.couplings)
        return replace(
            method,
            title="; ".join([method.title, *added, *options, *trained]),
            couplings=method.couplings + added,
            options=self.couplings,
            training=self.training.chosen(),
        )


def _known(methods: list[str | MethodSection]) -> list[str | MethodSection]:
    for method in methods:
        if isinstance(method, str):
            find_method(method)
    named = [method.name for method in methods if isinstance(method, MethodSection) and method.name]
    for name in named:
        if named.count(name) > 1:
            raise ValueError(f"two methods are called '{name}', give each a different 'name'")
    return [
        method if isinstance(method, str) or method.name else method.called for method in methods
    ]


Methods = Annotated[list[str | MethodSection], AfterValidator(_known)]

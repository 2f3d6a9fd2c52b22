"""What a study file may say."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labelweave.errors import listing, nearest
from labelweave.study.arms import ARMS, BASELINE
from labelweave.training import TrainingConfig

MISSING = ("", "NA", "NaN", "nan", "null")
Label = str | int | bool


class Section(BaseModel):
    """A part of the study file; keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskSection(Section):
    """A task: its name, kind and classes or labels.

    Attributes:
        name: the task's name, also its label column (multiclass, binary).
        kind: multiclass, multilabel or binary.
        classes: classes of a multiclass task; left out = taken from the data, sorted.
        labels: label columns of a multilabel task.
        positive: value of a binary task that means on; default 1, true or yes.
        negative: value of a binary task that means off; default 0, false or no.
    """

    name: str = Field(min_length=1)
    kind: Literal["multiclass", "multilabel", "binary"] = "multiclass"
    classes: list[Label] | None = None
    labels: list[str] | None = None
    positive: Label | None = None
    negative: Label | None = None

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
        return self

    def description(self) -> dict[str, Any]:
        """Return the section in the form of `labelweave.tasks.task_from_dict`."""
        return self.model_dump(exclude_none=True)


class SourceSection(Section):
    """A table with labels of some tasks.

    Attributes:
        name: the source's name; default: the file's name without its ending.
        path: CSV, TSV or Parquet file, relative to the study file.
        inputs: input columns, or ``rest``: all that are no label, group or excluded column.
        exclude: columns that are no inputs, such as identifiers.
        group: column of the person, plant or batch whose rows must stay on one side of a split.
        tasks: tasks whose labels are taken from this table; default: all that have a column here.
        split: put the whole table on one side, for example an official test set.
        missing: texts that mean "no value".
    """

    path: str
    name: str | None = None
    inputs: Literal["rest"] | list[str] = "rest"
    exclude: list[str] = []
    group: str | None = None
    tasks: list[str] | None = None
    split: Literal["train", "validation", "test"] | None = None
    missing: list[str] = list(MISSING)


class RelationSection(Section):
    """Where relations come from: an expert's table, or rows that carry both labels.

    Attributes:
        source: the multiclass task whose classes are the rows.
        table: CSV file, relative to the study file; left out = counted from co-labelled rows.
        targets: the tasks spoken about; default: all in the table. Needed when counting.
        strength: factor on the coupling terms of these relations.
        smoothing: pseudo-counts per row when counting.
    """

    source: str
    table: str | None = None
    targets: list[str] | None = None
    strength: float = Field(default=1.0, ge=0)
    smoothing: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _targets_to_count(self) -> Self:
        if self.table is None and not self.targets:
            raise ValueError("counting from annotations needs 'targets' (or give a 'table')")
        return self


class SplitSection(Section):
    """How rows are divided: shares below 1, or numbers of rows.

    Attributes:
        test: rows to prove the result on; used once. Default: .2, or 0 where a source is the test.
        validation: rows for early stopping and thresholds; 0 = train a fixed number of steps.
        on_leak: what to do when identical inputs stand on both sides.
    """

    test: Annotated[float | int | None, Field(ge=0)] = None
    validation: Annotated[float | int, Field(ge=0)] = 0
    on_leak: Literal["warn", "error"] = "warn"


class PartSection(Section):
    """A part of the training rows that keeps only some tasks' labels (see `scatter`).

    Attributes:
        name: the part's name; it takes the place of the source.
        tasks: the tasks whose labels stay.
        per_class: this many rows of every class of the first task.
        rows: this many rows, or a share below 1; neither = all that are left.
    """

    name: str
    tasks: list[str] = Field(min_length=1)
    per_class: int | None = Field(default=None, ge=1)
    rows: Annotated[float | int | None, Field(gt=0)] = None


class NetworkSection(Section):
    """The shared backbone.

    Attributes:
        backbone: ``mlp`` or ``linear``.
        hidden: sizes of the hidden layers of an mlp.
        dropout: share of hidden units dropped in training.
    """

    backbone: str = "mlp"
    hidden: list[Annotated[int, Field(ge=1)]] = [256, 256]
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def options(self) -> dict[str, Any]:
        """Return the backbone's options."""
        if self.backbone != "mlp":
            return {}
        return {"hidden": list(self.hidden), "dropout": self.dropout}


class InputsSection(Section):
    """How columns become inputs.

    Attributes:
        categorical: numeric columns that are categories.
        clip: standardised values beyond this many standard deviations are cut.
        max_categories: rarer categories of a column share the "unknown" input.
    """

    categorical: list[str] = []
    clip: float = Field(default=10.0, gt=0)
    max_categories: int = Field(default=50, ge=1)


class StatisticsSection(Section):
    """The statistics of the comparison.

    Attributes:
        replicates: bootstrap replicates.
        level: coverage of the intervals; 1 - level is also the level of the verdicts.
    """

    replicates: int = Field(default=1000, ge=100)
    level: float = Field(default=0.95, gt=0.5, lt=1)


class StudyConfig(Section):
    """A whole study file.

    Attributes:
        name: the study's name; results go to ``<output>/<name>``.
        tasks: the tasks.
        sources: the tables.
        relations: what the tasks have to do with each other.
        split: train, validation and test rows.
        scatter: hide labels that exist, to study what scattered labels would do.
        inputs: how columns become inputs.
        network: the backbone.
        training: the training run.
        couplings: options of the couplings, for example
            ``distribution_matching: {form: js, weight: 0.5}``.
        arms: what to compare; the baseline is always among them.
        seeds: a number of seeds (0, 1, ...), or the seeds.
        statistics: intervals and verdicts.
        output: folder for results, relative to the study file.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    tasks: list[TaskSection] = []
    sources: list[SourceSection] = []
    relations: list[RelationSection] = []
    split: SplitSection = SplitSection()
    scatter: list[PartSection] = []
    inputs: InputsSection = InputsSection()
    network: NetworkSection = NetworkSection()
    training: TrainingConfig = TrainingConfig()
    couplings: dict[str, dict[str, Any]] = {}
    arms: list[str] = []
    seeds: int | list[int] = 3
    statistics: StatisticsSection = StatisticsSection()
    output: str = "runs"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in self.arms:
            if name not in ARMS:
                raise ValueError(
                    f"unknown arm '{name}', expected {listing(ARMS, 9)}{nearest(name, ARMS)}"
                )
            if ARMS[name].needs_relations and not self.relations:
                raise ValueError(f"arm '{name}' needs relations, found none")
            if ARMS[name].all_labels and not self.scatter:
                raise ValueError(f"arm '{name}' needs hidden labels, found no 'scatter' section")
        if not self.seed_list() or min(self.seed_list()) < 0:
            raise ValueError("seeds: expected at least one seed, none below 0")
        if self.training.patience is not None and not self.split.validation:
            fixed = any(source.split == "validation" for source in self.sources)
            if not fixed:
                raise ValueError("training.patience needs validation rows: set split.validation")
        return self

    def seed_list(self) -> list[int]:
        """Return the seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def arm_list(self) -> list[str]:
        """Return the arms in their usual order, the baseline and what others start from included.

        Without `arms`: every arm that the study can have.
        """
        wanted = set(self.arms) | {BASELINE}
        if not self.arms:
            wanted = {
                name
                for name, arm in ARMS.items()
                if (self.relations or not arm.needs_relations)
                and (self.scatter or not arm.all_labels)
            }
        wanted |= {base for name in wanted if (base := ARMS[name].base)}
        return [name for name in ARMS if name in wanted]

"""What a study file may say."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from labelweave._files import LARGEST_TEXT, read_text, unreadable
from labelweave._messages import languages
from labelweave._validation import one_line
from labelweave._yaml import parse_yaml
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.experiments._sections import (
    LabelCurvesSection,
    LabelTool,
    Methods,
    MethodSection,
    PartSection,
    PricesSection,
    RelationSection,
    Seeds,
    Sources,
    StatisticsSection,
    TaskSection,
    Trackers,
    TuneSection,
)
from labelweave.fitting._config import FitConfig
from labelweave.fitting._methods import BASELINE, METHODS, Method, find_method
from labelweave.fitting._sections import SplitSection
from labelweave.losses._task_losses import reweighted
from labelweave.training import TrainingConfig


class StudyConfig(FitConfig):
    """A whole study file.

    Attributes:
        name: the study's name; results go to ``<output>/<name>``.
        tasks: the tasks; default: the tasks of the published data sets among the sources.
        sources: the tables, folders of images and published data sets.
        relations: tables between tasks, or pairs of tasks to estimate one for.
        split: train, validation and test rows.
        scatter: hide existing labels, to study the effect of scattered labels.
        inputs: how columns become inputs.
        network: the backbone.
        training: the training run.
        couplings: options of the couplings, for example
            ``distribution_matching: {form: js, weight: 0.5}``.
        label_shift: class priors that differ between sources and in prediction.
        relatedness: how relations are checked and estimated.
        teachers: how single-task networks are calibrated for distillation.
        learners: learners of the methods ``coupled``, ``best_single_task`` and ``student``: names,
            with options if needed, ``{svm: {inverse_penalty: 3}}``, and classes of trusted
            packages, ``module:package.Class``. Default: the whole library, with the networks where
            time and labels suffice.
        budget: seconds of one core for these learners, by a fixed model of their time; learners
            that would exceed it are left out. Default: 60, and 1 for every 1,000 labels.
        methods: what to compare; the baseline is always among them. An entry
            ``{method: full, relations: {from: predictions}}`` estimates the relations, and with
            ``name`` and ``couplings`` or ``training`` a method has its own options.
        seeds: a number of seeds (0, 1, ...), or the seeds.
        statistics: intervals and verdicts.
        label_curves: metrics of the tasks alone with fewer and more labels; false = do not train
            these models, and do not count saved labels.
        label_next: number of rows to suggest for labelling next; 0 = none.
        label_tools: annotation tools that these rows are written for as well, with their inputs and
            the model's predictions to correct: ``label_studio``, ``prodigy``.
        prices: prices of labels and of running; without them there are only counts.
        only: the tasks of this run; default: all. Results then go to ``<output>/<name>.<tasks>``,
            and the test rows stay the same as in the whole study.
        tune: what ``labelweave tune`` searches; changes no result of the study itself.
        output: folder for results, relative to the study file.
        use: what the model is for, ``commercial`` or ``research``: ``labelweave audit`` shows
            whether the licences of the sources allow it; changes no result.
        language: of the report: ``en`` or ``ja``.
        tracking: where finished runs are shown: ``tensorboard``, ``mlflow``; needs the extra
            ``track``. The file ``runs.jsonl`` is always written.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    tasks: list[TaskSection] = Field(default=[])
    sources: Sources = Field(default=[])
    relations: list[RelationSection] = Field(default=[])
    split: SplitSection = SplitSection()
    scatter: list[PartSection] = Field(default=[])
    methods: Methods = Field(default=[])
    seeds: Seeds = 5
    statistics: StatisticsSection = StatisticsSection()
    label_curves: LabelCurvesSection | Literal[False] = LabelCurvesSection()
    label_next: int = Field(default=100, ge=0, le=10**7)
    label_tools: list[LabelTool] = Field(default=[])
    prices: PricesSection | None = None
    only: list[str] = Field(default=[])
    tune: TuneSection = TuneSection()
    output: str = "runs"
    use: Literal["commercial", "research"] | None = None
    language: str = "en"
    tracking: Trackers = Field(default=[])

    @field_validator("name")
    @classmethod
    def _a_folder_anywhere(cls, name: str) -> str:
        reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", name)
        if reserved or name.endswith("."):
            raise ValueError(
                f"found '{name}', expected a name that a folder can have on Windows too"
            )
        return name

    @field_validator("language")
    @classmethod
    def _has_texts(cls, language: str) -> str:
        if language not in languages():
            raise ValueError(
                f"found '{language}', expected {listing(languages())}"
                f"{nearest(language, languages())}"
            )
        return language

    @model_validator(mode="after")
    def _losses_without_noise(self) -> Self:
        own = {name: loss for name, loss in self.losses().items() if reweighted(loss)}
        noisy = [name for name in self._asked() if self._found(name).noise]
        if own and noisy:
            raise ValueError(
                f"method '{noisy[0]}' estimates label noise, which does not go with the loss of "
                f"task '{next(iter(own))}'"
            )
        return self

    def needs_given_relations(self) -> bool:
        """Return whether some method is coupled by relations that are not estimated for it."""
        if not self.methods:
            return True
        methods = [self.method(name) for name in self._asked()]
        return any(method.needs_relations and method.estimated is None for method in methods)

    def method(self, name: str) -> Method:
        """Return the method that results call `name`."""
        return self._found(name).settled(self.relatedness.origin)

    def check_couplings(self, check: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        """Call `check` with the study's coupling options, and with those of each named method.

        Raises:
            LabelweaveError: what `check` raises, naming the method.
        """
        check(self.couplings)
        for name, method in self._named().items():
            try:
                check(method.coupling_options(self.couplings))
            except LabelweaveError as error:
                raise LabelweaveError(f"method '{name}': {error}") from None

    def losses(self) -> dict[str, str | dict[str, Any]]:
        """Return by task the loss that replaces cross-entropy."""
        return {task.name: task.loss for task in self.tasks if task.loss != "cross_entropy"}

    def trainings(self) -> list[TrainingConfig]:
        """Return the study's training and those of its named methods."""
        return [
            self.training,
            *(method.training_of(self.training) for method in self._named().values()),
        ]

    def _found(self, name: str) -> Method:
        return self._named().get(name) or find_method(name)

    def _named(self) -> dict[str, Method]:
        sections = [method for method in self.methods if isinstance(method, MethodSection)]
        return {section.called: section.found() for section in sections}

    def _asked(self) -> list[str]:
        return [method if isinstance(method, str) else method.called for method in self.methods]

    def trackers(self) -> list[tuple[str, dict[str, str]]]:
        """Return the trackers' names and options."""
        return [
            (each, {}) if isinstance(each, str) else (each.tracker, each.chosen())
            for each in self.tracking
        ]

    def seed_list(self) -> list[int]:
        """Return the seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def method_list(self, related: bool) -> list[str]:
        """Return the methods in their usual order, with the baseline and what others start from.

        Without `methods`: every method that the study can have.

        Args:
            related: whether the study has relations.

        Raises:
            LabelweaveError: a method needs relations or hidden labels, and there are none.
        """
        asked = self._asked()
        has = {
            "relations": related,
            "hidden_labels": bool(self.scatter),
            "columns": not (self.inputs.pixels or self.inputs.tokens),
        }
        lacking = {
            name: what for name in [*METHODS, *asked] if (what := self._found(name).lacks(**has))
        }
        for name in asked:
            if name in lacking:
                among = f" among {listing(self.only)}" if self.only else ""
                raise LabelweaveError(
                    f"key 'methods': method '{name}' needs {lacking[name]}, found none{among}"
                )
        wanted = dict.fromkeys(
            [
                BASELINE,
                *(
                    asked
                    or [a for a, m in METHODS.items() if a not in lacking and not m.on_request]
                ),
            ]
        )
        waiting = list(wanted)
        while waiting:
            if (base := self.method(waiting.pop()).base) and base not in wanted:
                wanted[base] = None
                waiting.append(base)
        order = list(METHODS)
        return sorted(
            wanted, key=lambda name: order.index(self.method(name).name.partition(".")[0])
        )


def read_study_file(path: str | Path) -> StudyConfig:
    """Read and validate a study file.

    Args:
        path: the YAML file, in UTF-8.

    Raises:
        LabelweaveError: no such file, no YAML, or a wrong key or value; one line naming the file
            and the key, what was found, and the nearest valid key.
    """
    path = Path(path)
    try:
        text = read_text(path, LARGEST_TEXT)
    except IsADirectoryError:
        raise LabelweaveError(f"{path}: a folder, expected a study file (YAML)") from None
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.glob("*.y*ml"))
        raise LabelweaveError(f"{path}: no such study file{nearest(path.name, others)}") from None
    except OSError as error:
        raise unreadable(path, error) from None
    content = parse_yaml(text, path)
    if not isinstance(content, dict):
        raise LabelweaveError(f"{path}: found no keys, expected a study (see 'labelweave init')")
    return parse_study(content, str(path))


def parse_study(content: Mapping[str, Any], place: str = "study") -> StudyConfig:
    """Return the validated study of a dictionary.

    Args:
        content: what a study file holds, as nested dictionaries and lists.
        place: what errors name as the place of a fault.

    Raises:
        LabelweaveError: an unknown key or a wrong value, with the nearest valid key.
    """
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        raise LabelweaveError(f"{place}: {one_line(error, StudyConfig)}") from None

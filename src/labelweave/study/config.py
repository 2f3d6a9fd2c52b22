"""What a study file may say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses import COUPLINGS, reweighted
from labelweave.model_folders import PREFIX, architectures
from labelweave.report import languages
from labelweave.study.arm_section import Arms, ArmSection
from labelweave.study.arms import ARMS, BASELINE, Arm, find_arm
from labelweave.study.inputs_section import InputsSection
from labelweave.study.label_shift_section import LabelShiftSection
from labelweave.study.network_fit import check_network
from labelweave.study.network_section import NetworkSection
from labelweave.study.sections import (
    PartSection,
    RelatednessSection,
    RelationSection,
    Section,
    SplitSection,
    StatisticsSection,
    TaskSection,
    TeachersSection,
)
from labelweave.study.seeds import Seeds
from labelweave.study.source_section import Sources
from labelweave.study.tracking_section import Trackers
from labelweave.study.tune_section import TuneSection
from labelweave.study.value_sections import LabelCurvesSection, PricesSection
from labelweave.training import TrainingConfig


class StudyConfig(Section):
    """A whole study file.

    Attributes:
        name: the study's name; results go to ``<output>/<name>``.
        tasks: the tasks; default: those that published data sets among the sources bring.
        sources: the tables, folders of images and published data sets.
        relations: what the tasks have to do with each other.
        split: train, validation and test rows.
        scatter: hide labels that exist, to study what scattered labels would do.
        inputs: how columns become inputs.
        network: the backbone.
        training: the training run.
        couplings: options of the couplings, for example
            ``distribution_matching: {form: js, weight: 0.5}``.
        label_shift: class priors that differ between sources and in prediction.
        relatedness: how relations are estimated from data, where an arm says so.
        teachers: how single-task networks are calibrated before they teach.
        arms: what to compare; the baseline is always among them. An entry
            ``{arm: full, relations: {from: predictions}}`` estimates the relations, and with
            ``name`` and ``couplings`` or ``training`` an arm has options of its own.
        seeds: a number of seeds (0, 1, ...), or the seeds.
        statistics: intervals and verdicts.
        label_curves: how the single-task networks do with fewer and more labels; false = do not
            train them, and count no saved labels.
        label_next: number of rows to name that are to be labelled first; 0 = none.
        prices: of labels and of running; left out = counts only.
        only: the tasks that take part this time; default: all. Results then go to
            ``<output>/<name>.<tasks>``, and the test rows stay those of the whole study.
        tune: what ``labelweave tune`` searches; changes no result of the study itself.
        output: folder for results, relative to the study file.
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
    inputs: InputsSection = InputsSection()
    network: NetworkSection = NetworkSection()
    training: TrainingConfig = TrainingConfig()
    couplings: dict[str, dict[str, Any]] = Field(default={})
    label_shift: LabelShiftSection = LabelShiftSection()
    relatedness: RelatednessSection = RelatednessSection()
    teachers: TeachersSection = TeachersSection()
    arms: Arms = Field(default=[])
    seeds: Seeds = 3
    statistics: StatisticsSection = StatisticsSection()
    label_curves: LabelCurvesSection | Literal[False] = LabelCurvesSection()
    label_next: int = Field(default=100, ge=0)
    prices: PricesSection | None = None
    only: list[str] = Field(default=[])
    tune: TuneSection = TuneSection()
    output: str = "runs"
    language: str = "en"
    tracking: Trackers = Field(default=[])

    @field_validator("language")
    @classmethod
    def _has_texts(cls, language: str) -> str:
        if language not in languages():
            raise ValueError(
                f"found '{language}', expected {listing(languages())}"
                f"{nearest(language, languages())}"
            )
        return language

    @field_validator("couplings")
    @classmethod
    def _known_couplings(cls, couplings: dict[str, Any]) -> dict[str, Any]:
        for name in couplings:
            if name not in COUPLINGS:
                raise ValueError(
                    f"no such coupling '{name}', expected {listing(COUPLINGS)}"
                    f"{nearest(name, COUPLINGS)}"
                )
        return couplings

    @model_validator(mode="after")
    def _network_fits_inputs(self) -> Self:
        check_network(self.network, self.inputs, self.training)
        return self

    @model_validator(mode="after")
    def _losses_without_noise(self) -> Self:
        own = {name: loss for name, loss in self.losses().items() if reweighted(loss)}
        noisy = [name for name in self._asked() if self._found(name).noise]
        if own and noisy:
            raise ValueError(
                f"arm '{noisy[0]}' estimates label noise, which does not go with the loss of task "
                f"'{next(iter(own))}'"
            )
        return self

    def located(self, folder: Path) -> Self:
        """Return the settings with models by the absolute paths of their folders.

        Args:
            folder: what paths in the settings are relative to.

        Raises:
            LabelweaveError: there is no such model.
        """
        network, inputs = self.network.located(folder), self.inputs
        if inputs.text is not None:
            source = network.backbone.removeprefix(PREFIX)
            folders = source != network.backbone and source not in architectures()
            own = source if folders and inputs.image is None else None
            text = inputs.text.located(folder, own, download=network.download)
            inputs = inputs.model_copy(update={"text": text})
        return self.model_copy(update={"network": network, "inputs": inputs})

    def needs_given_relations(self) -> bool:
        """Return whether some arm is coupled by relations that are not estimated for it."""
        if not self.arms:
            return True
        arms = [self.arm(name) for name in self._asked()]
        return any(arm.needs_relations and arm.estimated is None for arm in arms)

    def arm(self, name: str) -> Arm:
        """Return the arm that results call `name`."""
        return self._found(name).settled(self.relatedness.origin)

    def check_couplings(self, check: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        """Call `check` with the study's coupling options, and with those of each named arm.

        Raises:
            LabelweaveError: what `check` raises, naming the arm.
        """
        check(self.couplings)
        for name, arm in self._named().items():
            try:
                check(arm.coupling_options(self.couplings))
            except LabelweaveError as error:
                raise LabelweaveError(f"arm '{name}': {error}") from None

    def losses(self) -> dict[str, str | dict[str, Any]]:
        """Return by task the loss that it has of its own."""
        return {task.name: task.loss for task in self.tasks if task.loss != "cross_entropy"}

    def trainings(self) -> list[TrainingConfig]:
        """Return the study's training and those of its named arms."""
        return [self.training, *(arm.training_of(self.training) for arm in self._named().values())]

    def _found(self, name: str) -> Arm:
        return self._named().get(name) or find_arm(name)

    def _named(self) -> dict[str, Arm]:
        sections = [arm for arm in self.arms if isinstance(arm, ArmSection)]
        return {section.called: section.found() for section in sections}

    def _asked(self) -> list[str]:
        return [arm if isinstance(arm, str) else arm.called for arm in self.arms]

    def trackers(self) -> list[tuple[str, dict[str, str]]]:
        """Return the trackers' names and options."""
        return [
            (each, {}) if isinstance(each, str) else (each.tracker, each.chosen())
            for each in self.tracking
        ]

    def seed_list(self) -> list[int]:
        """Return the seeds."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def arm_list(self, related: bool) -> list[str]:
        """Return the arms in their usual order, the baseline and what others start from included.

        Without `arms`: every arm that the study can have.

        Args:
            related: whether the study has relations.

        Raises:
            LabelweaveError: an arm needs relations or hidden labels, and there are none.
        """
        asked = self._asked()
        has = {
            "relations": related,
            "hidden_labels": bool(self.scatter),
            "columns": not (self.inputs.pixels or self.inputs.tokens),
        }
        lacking = {
            name: what for name in [*ARMS, *asked] if (what := self._found(name).lacks(**has))
        }
        for name in asked:
            if name in lacking:
                among = f" among {listing(self.only)}" if self.only else ""
                raise LabelweaveError(
                    f"key 'arms': arm '{name}' needs {lacking[name]}, found none{among}"
                )
        wanted = dict.fromkeys([BASELINE, *(asked or [a for a in ARMS if a not in lacking])])
        wanted |= dict.fromkeys(base for name in list(wanted) if (base := self.arm(name).base))
        order = list(ARMS)
        return sorted(wanted, key=lambda name: order.index(self.arm(name).name.partition(".")[0]))

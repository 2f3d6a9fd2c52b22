"""How a method is fitted: inputs, network, training, couplings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from labelweave._validation import Section
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.fitting._inputs import InputsSection, check_network
from labelweave.fitting._sections import (
    LabelShiftSection,
    NetworkSection,
    RelatednessSection,
    TeachersSection,
)
from labelweave.losses import COUPLINGS
from labelweave.networks._model_folders import PREFIX, architectures
from labelweave.training import TrainingConfig

LONGEST = 1_000_000.0  # seconds


class FitConfig(Section):
    """The settings of `fit`, in addition to the method and the split.

    Attributes:
        inputs: how columns become inputs.
        network: the backbone.
        training: the training run.
        couplings: options of the couplings, for example
            ``distribution_matching: {form: js, weight: 0.5}``.
        label_shift: class priors that differ between sources and in prediction.
        relatedness: how relations are estimated from data, where a method asks for it.
        teachers: how single-task networks are calibrated before they teach.
        learners: of the methods ``coupled``, ``best_single_task`` and ``student``: names, each with
            options if wanted, ``{svm: {inverse_penalty: 3}}``, and classes of trusted packages,
            ``module:package.Class``. Default: the whole library, and the networks where they pay
            their time and enough labels judge them.
        budget: seconds of one core for these learners, by a fixed model of their time; those that
            would exceed it are left out. Default: 60, and 1 for every 1,000 labels.
    """

    inputs: InputsSection = InputsSection()
    network: NetworkSection = NetworkSection()
    training: TrainingConfig = TrainingConfig()
    couplings: dict[str, dict[str, Any]] = Field(default={})
    label_shift: LabelShiftSection = LabelShiftSection()
    relatedness: RelatednessSection = RelatednessSection()
    teachers: TeachersSection = TeachersSection()
    learners: list[Any] | None = Field(default=None)
    budget: float | None = Field(default=None, gt=0, le=LONGEST)

    @field_validator("learners")
    @classmethod
    def _known_learners(cls, learners: list[Any] | None) -> list[Any] | None:
        if learners is not None:
            from labelweave.learners._registry import choose_learners  # scikit-learn takes seconds

            try:
                choose_learners(learners)
            except LabelweaveError as error:
                raise ValueError(error.reason) from None
        return learners

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

    def losses(self) -> dict[str, str | dict[str, Any]]:
        """Return by task the loss that replaces cross-entropy; here for none."""
        return {}

    def trainings(self) -> list[TrainingConfig]:
        """Return every training that may be run."""
        return [self.training]

    def check_couplings(self, check: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        """Call `check` with all coupling options in use; it raises where they are wrong."""
        check(self.couplings)

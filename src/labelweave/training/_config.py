"""The settings of a training run."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from labelweave._search_space import Choice, Space, Uniform, log_uniform
from labelweave.balancing._sampling import sampling
from labelweave.balancing._weighting import weighting

TRAINING_SPACE: Space = {
    "learning_rate": log_uniform(5e-4, 5e-2),
    "weight_decay": log_uniform(1e-4, 0.3),
    "batch_size": Choice((64, 128, 256)),
    "ramp": Uniform(0.0, 0.5),
}

SHARDED = ("32-true", "bf16-mixed", "bf16-true")  # precisions that Fabric has for FSDP2


class AugmentConfig(BaseModel):
    """How images of training batches are changed at random; each key left out changes nothing.

    Attributes:
        flip: share of the images that are mirrored, left to right.
        crop: largest share of height and width that is cut away; the rest is stretched.
        jitter: largest change of brightness (as a share of white), and of contrast and, of colours,
            saturation (as factors).
        erase: share of the images of which a random rectangle, 2 to 20 % of the area, is blackened
            (Zhong et al., 2020).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    flip: float = Field(default=0.0, ge=0, le=1)
    crop: float = Field(default=0.0, ge=0, lt=1)
    jitter: float = Field(default=0.0, ge=0, lt=1)
    erase: float = Field(default=0.0, ge=0, le=1)


class TrainingConfig(BaseModel):
    """How a network is trained: AdamW with a one-cycle learning rate.

    Attributes:
        steps: optimiser steps; or give `epochs`.
        epochs: passes over all training rows, instead of `steps`.
        batch_size: rows a step, all sources together; all rows where there are fewer.
        sampling: how batches are mixed, see below: proportional, equal, temperature, round_robin or
            labels, or one with its options: ``{equal: {balance: species}}``.
        weighting: how the tasks are weighed, see below: a name such as ``uncertainty`` or
            ``upgrad``, or one with its options: ``{cagrad: {c: 0.4}}``.
        learning_rate: peak of the one-cycle schedule.
        backbone_rate: factor on the learning rate of the backbone, for pretrained weights.
        layer_decay: a further factor for every layer of the backbone below its top one.
        augment: how images are changed at random, for example ``{flip: 0.5, crop: 0.1}``; needs the
            extra ``vision``.
        weight_decay: AdamW's decoupled weight decay.
        clip: largest norm of the gradient; None = no clipping.
        ramp: share of the training over which the couplings grow from 0 to their weight.
        patience: evaluations without a better validation score before training stops and the best
            weights are restored; None = train to the end and keep the last weights. Needs
            validation rows.
        evaluations: evaluations on the validation rows, spread evenly over the training.
        precision: Lightning Fabric's precision, for example ``32-true`` or ``bf16-mixed``.
        accelerator: Fabric's accelerator: ``auto``, ``cpu``, ``gpu``, ``cuda``, ``mps``.
        devices: devices of each machine that one training uses, a process each. More than one
            needs `torchrun`.
        nodes: machines that one training uses.
        strategy: how the devices share the work: ``ddp``, each holds the whole network, or
            ``fsdp``, each holds a share of the weights, gradients and optimiser state.
        checkpoint_seconds: seconds between checkpoints of a run that has a folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    steps: int | None = Field(default=None, ge=1, le=10**8)
    epochs: float | None = Field(default=None, gt=0, le=1e6)
    batch_size: int = Field(default=128, ge=1, le=10**7)
    sampling: str | dict[str, Any] = "proportional"
    weighting: str | dict[str, Any] = "sum"
    learning_rate: float = Field(default=5e-3, gt=0, le=100)
    backbone_rate: float = Field(default=1.0, gt=0, le=1)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    augment: AugmentConfig | None = None
    weight_decay: float = Field(default=0.01, ge=0, le=1e6)
    clip: float | None = Field(default=1.0, gt=0, le=1e9)
    ramp: float = Field(default=0.1, ge=0, le=1)
    patience: int | None = Field(default=None, ge=1, le=10**6)
    evaluations: int = Field(default=20, ge=1, le=10**6)
    precision: Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1, le=1024)
    nodes: int = Field(default=1, ge=1, le=1024)
    strategy: Literal["ddp", "fsdp"] = "ddp"
    checkpoint_seconds: float = Field(default=30.0, gt=0, le=1e9)

    @field_validator("sampling")
    @classmethod
    def _known_sampling(cls, choice: str | dict[str, Any]) -> str | dict[str, Any]:
        sampling(choice)
        return choice

    @field_validator("weighting")
    @classmethod
    def _known_weighting(cls, choice: str | dict[str, Any]) -> str | dict[str, Any]:
        weighting(choice)
        return choice

    @model_validator(mode="after")
    def _whole_precision(self) -> Self:
        _, options = weighting(self.weighting)
        if getattr(options, "gradients", "") == "parameters" and self.precision.endswith("mixed"):
            raise ValueError(
                "key 'weighting': gradients of parameters are not taken in mixed precision, "
                f"found {self.precision}; expected 'gradients: features' or another precision"
            )
        return self

    @model_validator(mode="after")
    def _sharded_as_it_can_be(self) -> Self:
        if self.strategy != "fsdp":
            return self
        _, options = weighting(self.weighting)
        found, expected = "", ""
        if self.processes == 1:
            found, expected = "one process", "devices or nodes above 1"
        elif self.precision not in SHARDED:
            found, expected = f"precision {self.precision}", f"one of {', '.join(SHARDED)}"
        elif getattr(options, "gradients", "") == "parameters":
            found = "a weighting by gradients of parameters"
            expected = "'gradients: features' or strategy: ddp"
        if found:
            raise ValueError(f"key 'strategy': fsdp with {found}; expected {expected}")
        return self

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("found both steps and epochs, expected one of them")
        return self

    @model_validator(mode="after")
    def _rows_for_all(self) -> Self:
        if self.batch_size < self.processes:
            raise ValueError(
                f"key 'batch_size': found {self.batch_size}, expected at least one row for each of "
                f"{self.processes} processes"
            )
        return self

    @property
    def plain(self) -> bool:
        """Whether one process with the default precision, on a device that is always there."""
        return (
            self.processes == 1
            and self.precision == "32-true"
            and self.accelerator in ("auto", "cpu")
        )

    @property
    def processes(self) -> int:
        """Processes of one training: devices times nodes."""
        return self.devices * self.nodes

    def total_steps(self, rows: int) -> int:
        """Return the number of steps for that many training rows (default: 1000 steps)."""
        if self.epochs is not None:
            return max(1, round(self.epochs * rows / min(self.batch_size, rows)))
        return self.steps or 1000

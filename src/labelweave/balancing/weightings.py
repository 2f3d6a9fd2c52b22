"""Loss weightings and gradient methods by name, each with its options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from labelweave.balancing import losses, methods
from labelweave.balancing.cagrad import cagrad
from labelweave.balancing.choices import Choice, Options, chosen
from labelweave.balancing.gramian import Gramian, Weights
from labelweave.balancing.losses import LossWeighting
from labelweave.spaces import Space, Uniform, log_uniform

GradientMethod = Callable[[Gramian, int], Weights]
DEFAULT = "sum"
# to search: one of every idea, for a name more is a trial less for each
SEARCHED = ("sum", "uncertainty", "imtl_l", "famo", "upgrad", "cagrad")


class ConstantOptions(Options):
    """weights: task name to the factor of its loss; 1 for the tasks left out."""

    weights: Mapping[str, float] = {}

    @field_validator("weights")
    @classmethod
    def _not_negative(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        for name, weight in weights.items():
            if weight < 0:
                raise ValueError(f"should be 0 or more for '{name}'")
        return weights


class LearntOptions(Options):
    """rate: learning rate of the one number that is learnt a task."""

    space: ClassVar[Space] = {"rate": log_uniform(0.001, 0.1)}
    rate: float = Field(default=0.01, gt=0, le=1)


class DWAOptions(Options):
    """temperature: the larger, the more equal the weights; window: steps that are averaged."""

    space: ClassVar[Space] = {"temperature": log_uniform(0.5, 8.0)}
    temperature: float = Field(default=2.0, ge=0.1, le=10)
    window: int = Field(default=50, ge=1, le=10_000)


class FAMOOptions(Options):
    """rate: learning rate of the weights' logits; decay: how strongly they are drawn to 0."""

    space: ClassVar[Space] = {"rate": log_uniform(0.001, 0.1)}
    rate: float = Field(default=0.025, gt=0, le=1)
    decay: float = Field(default=1e-3, ge=0, le=0.1)


class STCHOptions(Options):
    """mu: temperature; the smaller, the more only the largest loss counts."""

    space: ClassVar[Space] = {"mu": log_uniform(0.05, 5.0)}
    mu: float = Field(default=1.0, ge=0.01, le=10)


class GradientOptions(Options):
    """gradients: of the shared features, or of all shared parameters, which costs a pass a task."""

    gradients: Literal["features", "parameters"] = "features"


class CAGradOptions(GradientOptions):
    """c: how far from the mean gradient to go, in its lengths; gradients: as in the others."""

    space: ClassVar[Space] = {"c": Uniform(0.1, 0.9)}
    c: float = Field(default=0.4, ge=0, lt=1)


class AlignedOptions(GradientOptions):
    """scale: length of the aligned directions, by their singular values; gradients: as others."""

    scale: Literal["min", "median", "rmse"] = "min"


@dataclass(frozen=True)
class Weighting:
    """How the tasks are weighed against each other.

    Attributes:
        title: what it does, in one line.
        kind: by the values of the ``loss``es, or by the ``gradient``s.
        options: the options that it takes, with defaults and bounds.
        make: the tasks' names and the options to a `LossWeighting`, or to a `GradientMethod`.
    """

    title: str
    kind: Literal["loss", "gradient"]
    options: type[Options]
    make: Callable[[Sequence[str], Any], LossWeighting | GradientMethod]


def _uncertainty(tasks: Sequence[str], options: LearntOptions) -> LossWeighting:
    from torchjd.scalarization import UW

    # torchjd halves both parts of Kendall's loss, as for regression
    return losses.Learnt(UW(len(tasks)), len(tasks), options.rate, scale=2.0)


def _imtl_l(tasks: Sequence[str], options: LearntOptions) -> LossWeighting:
    from torchjd.scalarization import IMTLL

    return losses.Learnt(IMTLL(len(tasks)), len(tasks), options.rate, scale=1.0)


def _stch(tasks: Sequence[str], options: STCHOptions) -> LossWeighting:
    from torchjd.scalarization import STCH

    # torchjd weighs each of k values by 1 / k; mu is meant for the values themselves
    return losses.Scalarized(lambda values: STCH(options.mu / len(values))(values))


def _geometric_mean(tasks: Sequence[str], options: Options) -> LossWeighting:
    from torchjd.scalarization import GeometricMean

    return losses.Scalarized(GeometricMean())


def _plain(method: GradientMethod) -> Callable[[Sequence[str], Any], GradientMethod]:
    return lambda tasks, options: method


WEIGHTINGS: dict[str, Weighting] = {
    "sum": Weighting(
        "the plain sum of the tasks' losses", "loss", Options, lambda tasks, _: LossWeighting()
    ),
    "constant": Weighting(
        "fixed factors", "loss", ConstantOptions,
        lambda tasks, options: losses.Constant(tasks, options.weights),
    ),
    "uncertainty": Weighting(
        "learnt uncertainties (Kendall et al., CVPR 2018)", "loss", LearntOptions, _uncertainty
    ),
    "imtl_l": Weighting(
        "losses learnt to the same scale (Liu et al., ICLR 2021)", "loss", LearntOptions, _imtl_l
    ),
    "dwa": Weighting(
        "more weight to losses that fall slowly (Liu et al., CVPR 2019)", "loss", DWAOptions,
        lambda tasks, options: losses.DWA(len(tasks), options.temperature, options.window),
    ),
    "famo": Weighting(
        "all losses fall at the same rate (Liu et al., NeurIPS 2023)", "loss", FAMOOptions,
        lambda tasks, options: losses.FAMO(len(tasks), options.rate, options.decay),
    ),
    "stch": Weighting(
        "a smooth maximum of the losses (Lin et al., ICML 2024)", "loss", STCHOptions, _stch
    ),
    "geometric_mean": Weighting(
        "the geometric mean of the losses (Chennupati et al., CVPRW 2019)", "loss", Options,
        _geometric_mean,
    ),
    "upgrad": Weighting(
        "gradients projected to conflict with none (Quinton and Rey, 2024)", "gradient",
        GradientOptions, _plain(methods.upgrad),
    ),
    "pcgrad": Weighting(
        "conflicting parts of gradients taken off (Yu et al., NeurIPS 2020)", "gradient",
        GradientOptions, _plain(methods.pcgrad),
    ),
    "cagrad": Weighting(
        "near the mean, best for the worst task (Liu et al., NeurIPS 2021)", "gradient",
        CAGradOptions, lambda tasks, options: partial(cagrad, c=options.c),
    ),
    "nash_mtl": Weighting(
        "the bargaining solution (Navon et al., ICML 2022)", "gradient", GradientOptions,
        _plain(methods.nash_mtl),
    ),
    "mgda": Weighting(
        "the shortest convex combination (Sener and Koltun, NeurIPS 2018)", "gradient",
        GradientOptions, _plain(methods.mgda),
    ),
    "aligned_mtl": Weighting(
        "principal directions of equal length (Senushkin et al., CVPR 2023)", "gradient",
        AlignedOptions, lambda tasks, options: partial(methods.aligned_mtl, scale=options.scale),
    ),
    "config": Weighting(
        "the same angle to every gradient (Liu et al., ICLR 2025)", "gradient", GradientOptions,
        _plain(methods.config),
    ),
}  # fmt: skip


def weighting(choice: Choice) -> tuple[Weighting, Options]:
    """Return the weighting of a name, or of a name with its options, and all its options.

    Raises:
        LabelweaveError: an unknown name or option, or a value that an option cannot have.
    """
    known = {name: each.options for name, each in WEIGHTINGS.items()}
    name, options = chosen("weighting", choice, known)
    return WEIGHTINGS[name], options

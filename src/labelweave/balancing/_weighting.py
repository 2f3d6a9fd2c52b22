"""Loss weightings and gradient methods by name, each with its options.

PyTorch is loaded where one is made, so that a study file is checked without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from labelweave._options import Named, Options, resolve
from labelweave._search_space import Space, Uniform, log_uniform
from labelweave._validation import MOST_WEIGHT, stated
from labelweave.errors import LabelweaveError, listing, nearest

if TYPE_CHECKING:
    from labelweave.balancing._loss_weightings import LossWeighting

GradientMethod = Callable[[NDArray[np.float64], int], NDArray[np.float64]]
"""The inner products of k gradients, (k, k), and a seed to the weights of the gradients, (k,)."""
DEFAULT = "sum"
# to search by default: those that were better somewhere (docs/howto/imbalance.md)
SEARCHED = ("sum", "uncertainty", "upgrad", "cagrad")


class ConstantOptions(Options):
    """weights: task name to the factor of its loss; 1 for the tasks left out."""

    weights: Mapping[str, Annotated[float, stated(0, MOST_WEIGHT)]] = {}

    @field_validator("weights")
    @classmethod
    def _not_negative(cls, weights: Mapping[str, float]) -> Mapping[str, float]:
        for name, weight in weights.items():
            if not 0 <= weight <= MOST_WEIGHT:
                raise ValueError(f"should be 0 to {MOST_WEIGHT:.0e} for '{name}'")
        return weights

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Raise `LabelweaveError` where a factor is of none of the tasks."""
        for name in self.weights:
            if name not in tasks:
                raise LabelweaveError(
                    f"weighting 'constant': no task '{name}', expected {listing(tasks)}"
                    f"{nearest(name, tasks)}"
                )


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
    make: Callable[[Sequence[str], Any], "LossWeighting | GradientMethod"]


def _sum(tasks: Sequence[str], options: Options) -> "LossWeighting":
    from labelweave.balancing._loss_weightings import LossWeighting

    return LossWeighting()


def _constant(tasks: Sequence[str], options: ConstantOptions) -> "LossWeighting":
    from labelweave.balancing._loss_weightings import Constant

    options.check_tasks(tasks)
    return Constant(tasks, options.weights)


def _uncertainty(tasks: Sequence[str], options: LearntOptions) -> "LossWeighting":
    from torchjd.scalarization import UW

    from labelweave.balancing._loss_weightings import Learnt

    # torchjd halves both parts of Kendall's loss, as for regression
    return Learnt(UW(len(tasks)), len(tasks), options.rate, scale=2.0)


def _dwa(tasks: Sequence[str], options: DWAOptions) -> "LossWeighting":
    from labelweave.balancing._loss_weightings import DWA

    return DWA(len(tasks), options.temperature, options.window)


def _famo(tasks: Sequence[str], options: FAMOOptions) -> "LossWeighting":
    from labelweave.balancing._loss_weightings import FAMO

    return FAMO(len(tasks), options.rate, options.decay)


def _stch(tasks: Sequence[str], options: STCHOptions) -> "LossWeighting":
    from torchjd.scalarization import STCH

    from labelweave.balancing._loss_weightings import Scalarized

    # torchjd weighs each of k values by 1 / k; mu is meant for the values themselves
    return Scalarized(lambda values: STCH(options.mu / len(values))(values))


def _geometric_mean(tasks: Sequence[str], options: Options) -> "LossWeighting":
    from torchjd.scalarization import GeometricMean

    from labelweave.balancing._loss_weightings import Scalarized

    return Scalarized(GeometricMean())


def _gradient(name: str, *own: str) -> Callable[[Sequence[str], Any], GradientMethod]:
    """Return what makes the gradient method of that name, with its own options."""

    def make(tasks: Sequence[str], options: Options) -> GradientMethod:
        from labelweave.balancing import _gradient_methods

        method: GradientMethod = getattr(_gradient_methods, name)
        return partial(method, **{key: getattr(options, key) for key in own}) if own else method

    return make


WEIGHTINGS: dict[str, Weighting] = {
    "sum": Weighting(
        "the plain sum of the tasks' losses", "loss", Options, _sum
    ),
    "constant": Weighting(
        "fixed factors", "loss", ConstantOptions, _constant
    ),
    "uncertainty": Weighting(
        "learnt uncertainties (Kendall et al., CVPR 2018)", "loss", LearntOptions, _uncertainty
    ),
    "dwa": Weighting(
        "more weight to losses that fall slowly (Liu et al., CVPR 2019)", "loss", DWAOptions,
        _dwa,
    ),
    "famo": Weighting(
        "all losses fall at the same rate (Liu et al., NeurIPS 2023)", "loss", FAMOOptions,
        _famo,
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
        GradientOptions, _gradient("upgrad"),
    ),
    "pcgrad": Weighting(
        "conflicting parts of gradients taken off (Yu et al., NeurIPS 2020)", "gradient",
        GradientOptions, _gradient("pcgrad"),
    ),
    "cagrad": Weighting(
        "near the mean, best for the worst task (Liu et al., NeurIPS 2021)", "gradient",
        CAGradOptions, _gradient("cagrad", "c"),
    ),
    "nash_mtl": Weighting(
        "the bargaining solution (Navon et al., ICML 2022)", "gradient", GradientOptions,
        _gradient("nash_mtl"),
    ),
    "mgda": Weighting(
        "the shortest convex combination (Sener and Koltun, NeurIPS 2018)", "gradient",
        GradientOptions, _gradient("mgda"),
    ),
    "aligned_mtl": Weighting(
        "principal directions of equal length (Senushkin et al., CVPR 2023)", "gradient",
        AlignedOptions,
        _gradient("aligned_mtl", "scale"),
    ),
    "config": Weighting(
        "the same angle to every gradient (Liu et al., ICLR 2025)", "gradient", GradientOptions,
        _gradient("config"),
    ),
}  # fmt: skip


def weighting(choice: Named) -> tuple[Weighting, Options]:
    """Return the weighting of a name, or of a name with its options, and all its options.

    Args:
        choice: a name of `WEIGHTINGS`, such as ``"upgrad"``, or one name with its options:
            ``{"cagrad": {"c": 0.4}}``.

    Returns:
        The entry of `WEIGHTINGS`, and its options with their defaults filled in.

    Raises:
        LabelweaveError: an unknown name or option, or a value that an option cannot have.
    """
    known = {name: each.options for name, each in WEIGHTINGS.items()}
    name, options = resolve("weighting", choice, known)
    return WEIGHTINGS[name], options


def check_weighting(choice: Named, tasks: Sequence[str]) -> None:
    """Raise `LabelweaveError` where a weighting of these tasks cannot be made."""
    _, options = weighting(choice)
    if isinstance(options, ConstantOptions):
        options.check_tasks(tasks)

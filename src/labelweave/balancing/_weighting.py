"""Loss weightings and gradient methods by name, each with its options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from labelweave._options import Named, Options, resolve
from labelweave._search_space import Space, Uniform, log_uniform
from labelweave._validation import MOST_WEIGHT, stated
from labelweave.balancing import _gradient_methods
from labelweave.balancing._gradient_methods import Gramian, Weights, cagrad
from labelweave.errors import LabelweaveError, listing, nearest


class LazyAdam(nn.Module):
    """Values (m,), each with its moments of Adam and its step count (Kingma and Ba, ICLR 2015).

    A task that is missing keeps value and moments: in PyTorch's Adam its momentum would go on.

    Args:
        tasks: their number m; all values start at 0.
        rate: the learning rate.
    """

    value: Tensor
    mean: Tensor
    square: Tensor
    seen: Tensor

    def __init__(self, tasks: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        for name in ("value", "mean", "square", "seen"):
            self.register_buffer(name, torch.zeros(tasks))

    def step(self, gradient: Tensor, present: Tensor) -> None:
        """Take one step against the gradient (m,) for the tasks present."""
        self.seen += present
        mean = 0.9 * self.mean + 0.1 * gradient
        square = 0.999 * self.square + 0.001 * gradient**2
        seen = self.seen.clamp(min=1)
        move = (mean / (1 - 0.9**seen)) / ((square / (1 - 0.999**seen)).sqrt() + 1e-8)
        for old, new in (
            (self.mean, mean), (self.square, square), (self.value, self.value - self.rate * move),
        ):  # fmt: skip
            old.copy_(torch.where(present, new, old))


LEAST = 1e-8  # of a loss in a logarithm


class LossWeighting(nn.Module):
    """Base of the loss weightings: the plain sum.

    Attributes:
        looks_back: whether `update` wants the losses of the same batch after the step.
    """

    looks_back = False

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the factors of the tasks' losses, (m,).

        Args:
            values: (m,) losses.
            present: (m,) whether a task has a label in the batch.
        """
        return torch.ones_like(values)

    def update(self, before: Tensor, after: Tensor, present: Tensor) -> None:
        """Learn from the losses of one batch before and after a step."""


class Constant(LossWeighting):
    """A fixed factor a task.

    Args:
        tasks: the tasks' names.
        weights: task name to factor; 1 for the tasks left out.
    """

    factors: Tensor

    def __init__(self, tasks: Sequence[str], weights: Mapping[str, float]) -> None:
        super().__init__()
        for name in weights:
            if name not in tasks:
                raise LabelweaveError(
                    f"weighting 'constant': no task '{name}', expected {listing(tasks)}"
                    f"{nearest(name, tasks)}"
                )
        self.register_buffer("factors", torch.tensor([float(weights.get(t, 1)) for t in tasks]))

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the fixed factors."""
        return self.factors.to(values.dtype)


class Scalarized(LossWeighting):
    """A scalarization of torchjd without state: the weights are its gradient.

    Args:
        scalarizer: a torchjd ``Scalarizer``, symmetric in its values.
    """

    def __init__(self, scalarizer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.scalarizer = scalarizer

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return k times the gradient for the k values that are present, scaled to a sum of k."""
        seen = values[present].clamp(min=LEAST).requires_grad_()
        weights = torch.ones_like(values)
        if len(seen):
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(self.scalarizer(seen), seen)
            weights[present] = gradient * (len(gradient) / gradient.sum())
        return weights


class Learnt(LossWeighting):
    """A separable scalarization of torchjd with one parameter a task, learnt with the network.

    Args:
        scalarizer: a torchjd ``Scalarizer`` that sums over values, with one parameter (m,).
        tasks: their number m.
        rate: learning rate of the parameters.
        scale: factor that makes the first weights 1.
    """

    def __init__(self, scalarizer: nn.Module, tasks: int, rate: float, scale: float) -> None:
        super().__init__()
        # its parameter takes the learnt values at every call; not a part of the state
        self.scalarizer = [scalarizer]
        self.scale = scale
        self.learnt = LazyAdam(tasks, rate)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the gradient for the values; the parameters of tasks present take a step."""
        (scalarizer,) = self.scalarizer
        (parameter,) = scalarizer.parameters()
        parameter.data = self.learnt.value.to(values.dtype).clone()
        given = values.detach().clone().requires_grad_()
        with torch.enable_grad():
            total = scalarizer(given)
            weights, gradient = torch.autograd.grad(total, [given, parameter])
        self.learnt.step(gradient, present)
        return torch.where(present, self.scale * weights, 1.0)


class DWA(LossWeighting):
    """Dynamic weight average: a loss that falls slowly gets more weight.

    Liu, Johns and Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation 7,
    with windows of steps for epochs. A task is averaged over the batches that hold it, and one that
    a window lacks keeps its average.

    Args:
        tasks: their number m.
        temperature: the larger, the more equal the weights.
        window: steps of a window.
    """

    sums: Tensor
    counts: Tensor
    older: Tensor
    newer: Tensor
    steps: Tensor

    def __init__(self, tasks: int, temperature: float, window: int) -> None:
        super().__init__()
        self.temperature, self.window = temperature, window
        for name in ("sums", "counts", "older", "newer"):
            self.register_buffer(name, torch.zeros(tasks))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return the weights by the last two windows, and add the values to this one."""
        known = (self.older > 0) & (self.newer > 0)
        rates = torch.where(known, self.newer / self.older.clamp(min=LEAST), 1.0)
        weights = len(rates) * torch.softmax(rates / self.temperature, dim=0)
        self.sums += torch.where(present, values, 0.0)
        self.counts += present
        self.steps += 1
        if int(self.steps) % self.window == 0:
            mean = torch.where(self.counts > 0, self.sums / self.counts.clamp(min=1), self.newer)
            self.older, self.newer = self.newer.clone(), mean
            self.sums, self.counts = torch.zeros_like(mean), torch.zeros_like(mean)
        return weights.to(values.dtype)


class FAMO(LossWeighting):
    """Weights by which all losses fall at about the same rate.

    Liu et al., "FAMO: Fast Adaptive Multitask Optimization", NeurIPS 2023, algorithm 2. It looks at
    the batch once more after the step, without gradients: about a third of a step.

    Args:
        tasks: their number m.
        rate: learning rate of the logits.
        decay: how strongly the logits are drawn to 0.
    """

    looks_back = True

    def __init__(self, tasks: int, rate: float, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.learnt = LazyAdam(tasks, rate)

    def _shares(self, present: Tensor) -> Tensor:
        return torch.softmax(self.learnt.value.masked_fill(~present, -torch.inf), dim=0)

    def forward(self, values: Tensor, present: Tensor) -> Tensor:
        """Return k (z / loss) / sum(z / loss) over the k tasks present."""
        if not bool(present.any()):
            return torch.ones_like(values)
        parts = self._shares(present) / values.clamp(min=LEAST)
        return torch.where(present, present.sum() * parts / parts.sum(), 1.0).to(values.dtype)

    def update(self, before: Tensor, after: Tensor, present: Tensor) -> None:
        """Give those that fell less than the others more weight."""
        if not bool(present.any()):
            return
        z = self._shares(present)
        fell = before.clamp(min=LEAST).log() - after.clamp(min=LEAST).log()
        fell = torch.where(present, fell, 0.0)
        # the gradient of <softmax, fell>
        gradient = z * (fell - (z * fell).sum()) + self.decay * self.learnt.value
        self.learnt.step(gradient, present)


GradientMethod = Callable[[Gramian, int], Weights]
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
    return Learnt(UW(len(tasks)), len(tasks), options.rate, scale=2.0)


def _stch(tasks: Sequence[str], options: STCHOptions) -> LossWeighting:
    from torchjd.scalarization import STCH

    # torchjd weighs each of k values by 1 / k; mu is meant for the values themselves
    return Scalarized(lambda values: STCH(options.mu / len(values))(values))


def _geometric_mean(tasks: Sequence[str], options: Options) -> LossWeighting:
    from torchjd.scalarization import GeometricMean

    return Scalarized(GeometricMean())


def _plain(method: GradientMethod) -> Callable[[Sequence[str], Any], GradientMethod]:
    return lambda tasks, options: method


WEIGHTINGS: dict[str, Weighting] = {
    "sum": Weighting(
        "the plain sum of the tasks' losses", "loss", Options, lambda tasks, _: LossWeighting()
    ),
    "constant": Weighting(
        "fixed factors", "loss", ConstantOptions,
        lambda tasks, options: Constant(tasks, options.weights),
    ),
    "uncertainty": Weighting(
        "learnt uncertainties (Kendall et al., CVPR 2018)", "loss", LearntOptions, _uncertainty
    ),
    "dwa": Weighting(
        "more weight to losses that fall slowly (Liu et al., CVPR 2019)", "loss", DWAOptions,
        lambda tasks, options: DWA(len(tasks), options.temperature, options.window),
    ),
    "famo": Weighting(
        "all losses fall at the same rate (Liu et al., NeurIPS 2023)", "loss", FAMOOptions,
        lambda tasks, options: FAMO(len(tasks), options.rate, options.decay),
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
        GradientOptions, _plain(_gradient_methods.upgrad),
    ),
    "pcgrad": Weighting(
        "conflicting parts of gradients taken off (Yu et al., NeurIPS 2020)", "gradient",
        GradientOptions, _plain(_gradient_methods.pcgrad),
    ),
    "cagrad": Weighting(
        "near the mean, best for the worst task (Liu et al., NeurIPS 2021)", "gradient",
        CAGradOptions, lambda tasks, options: partial(cagrad, c=options.c),
    ),
    "nash_mtl": Weighting(
        "the bargaining solution (Navon et al., ICML 2022)", "gradient", GradientOptions,
        _plain(_gradient_methods.nash_mtl),
    ),
    "mgda": Weighting(
        "the shortest convex combination (Sener and Koltun, NeurIPS 2018)", "gradient",
        GradientOptions, _plain(_gradient_methods.mgda),
    ),
    "aligned_mtl": Weighting(
        "principal directions of equal length (Senushkin et al., CVPR 2023)", "gradient",
        AlignedOptions,
        lambda tasks, options: partial(_gradient_methods.aligned_mtl, scale=options.scale),
    ),
    "config": Weighting(
        "the same angle to every gradient (Liu et al., ICLR 2025)", "gradient", GradientOptions,
        _plain(_gradient_methods.config),
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

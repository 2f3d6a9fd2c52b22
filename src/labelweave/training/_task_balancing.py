"""How the tasks of one training are weighed against each other: a weighting at a network."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn

from labelweave._options import Named
from labelweave.balancing import GradientMethod, LossWeighting, weighting
from labelweave.balancing._gradient_methods import combined, routed, segments_of, task_gramian
from labelweave.networks import MultiTaskNetwork
from labelweave.training._device import Device


class Balance:
    """The plain sum; base of the others.

    What is weighed: by losses, the tasks' supervised losses, and the couplings keep their own
    strengths; by gradients, what reaches the shared part through each task's head: its supervised
    loss and its share of every coupling. A task without a label in the batch takes no part.

    Args:
        fabric: of the training.

    Attributes:
        looks_back: whether `look_back` wants the losses of the same batch after the step.
        weights: the tasks' weights of the last step, (m,); None before it.
    """

    looks_back = False

    def __init__(self, fabric: Device) -> None:
        self.fabric = fabric
        self.weights: Tensor | None = None

    def forward_pass(self, module: nn.Module) -> AbstractContextManager[None]:
        """Return what the forward pass is to run in."""
        return nullcontext()

    def weigh(self, step: int, values: Tensor, counts: Tensor) -> Tensor:
        """Return the factors of the tasks' losses, (m,).

        Args:
            step: the step, from 0.
            values: (m,) losses of this process, detached.
            counts: (m,) labelled elements in the global batch.
        """
        return torch.ones_like(values)

    def backward(self, total: Tensor, logits: Mapping[str, Tensor]) -> None:
        """Give every parameter its gradient."""
        self.fabric.backward(total)

    def look_back(self, values: Tensor) -> None:
        """Learn from the losses (m,) of the batch after the step."""

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the next steps depend on, for a checkpoint."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""

    def close(self) -> None:
        """Leave the network as it was."""

    def _everywhere(self, values: Tensor) -> Tensor:
        """Return the mean over the processes."""
        if self.fabric.world_size == 1:
            return values
        return self.fabric.all_reduce(values, reduce_op="mean")  # type: ignore[return-value]


class LossBalance(Balance):
    """The tasks' losses times the factors that a `LossWeighting` gives."""

    def __init__(self, fabric: Device, weighting: LossWeighting) -> None:
        super().__init__(fabric)
        self.weighting = weighting
        self.looks_back = weighting.looks_back
        self.before, self.present = torch.empty(0), torch.empty(0, dtype=torch.bool)

    def weigh(self, step: int, values: Tensor, counts: Tensor) -> Tensor:
        """Return the weighting's factors, the same in every process."""
        # one transfer from the device; the weighting's few numbers stay on the CPU
        both = torch.stack([self._everywhere(values), counts.to(values.dtype)]).float().cpu()
        self.before, self.present = both[0], both[1] > 0
        self.weights = self.weighting(self.before, self.present)
        return self.weights.to(values)

    def look_back(self, values: Tensor) -> None:
        """Let the weighting learn from the losses before and after."""
        after = self._everywhere(values).float().cpu()
        self.weighting.update(self.before, after, self.present)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weighting's state."""
        return {f"balance/{name}": value for name, value in self.weighting.state_dict().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weighting's state back."""
        own = {name[8:]: value for name, value in tensors.items() if name.startswith("balance/")}
        self.weighting.load_state_dict(own)


class FeatureBalance(Balance):
    """A gradient method on the shared features: on the way back through them.

    Each head learns by its own loss; what goes on to the backbone is the method's combination.
    There is one backward pass, whatever the number of tasks.
    """

    def __init__(self, fabric: Device, method: GradientMethod, network: MultiTaskNetwork) -> None:
        super().__init__(fabric)
        self.method, self.heads = method, network.heads
        self.segments = segments_of(network.widths).to(self.heads.weight.device)
        self.step, self.counts = 0, torch.empty(0)
        self.features: Tensor | None = None
        self.handles = self._attach()

    def _attach(self) -> Sequence[torch.utils.hooks.RemovableHandle]:
        before = self.heads.register_forward_pre_hook(self._part)
        return before, self.heads.register_forward_hook(self._join)

    def _part(self, heads: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        (self.features,) = given  # the heads would compute a gradient for these that is replaced
        return (given[0].detach(),)

    def _join(self, heads: nn.Module, given: tuple[Tensor], scores: Tensor) -> Tensor:
        features, self.features = self.features, None
        if features is None or not features.requires_grad:  # a linear backbone shares nothing
            return scores
        dtype = features.dtype
        return routed(scores, features, lambda back: self._combine(back).to(dtype))

    def _combine(self, scores_gradient: Tensor) -> Tensor:
        D, W = scores_gradient.float(), self.heads.weight.detach().float()
        weights = self.weights_for(self._everywhere(task_gramian(D, W, self.segments)))
        return combined(D, W, self.segments, weights.to(D))

    def weigh(self, step: int, values: Tensor, counts: Tensor) -> Tensor:
        """Note which tasks have labels; their losses are summed as they are."""
        self.step, self.counts = step, counts
        return torch.ones_like(values)

    def weights_for(self, gramian: Tensor) -> Tensor:
        """Return the weights of the tasks' gradients, (m,), for their Gramian (m, m).

        A task without a label in the batch, or without a gradient, does not enter, and has 1.
        """
        both = torch.cat([gramian.double(), self.counts.double()[None]]).cpu().numpy()
        G, counts = both[:-1], both[-1]
        weights = np.ones(len(G))
        seen = (counts > 0) & (G.diagonal() > 0)
        # a gradient that is not finite is reported where losses and weights are checked
        if seen.sum() > 1 and np.isfinite(G).all():
            part = G[seen][:, seen]
            weights[seen] = self.method(part / part.diagonal().mean(), self.step)
        self.weights = torch.from_numpy(weights)
        return self.weights

    def close(self) -> None:
        """Take the hooks off the heads."""
        for handle in self.handles:
            handle.remove()


class ParameterBalance(FeatureBalance):
    """A gradient method on all shared parameters: one backward pass a task."""

    def __init__(self, fabric: Device, method: GradientMethod, network: MultiTaskNetwork) -> None:
        super().__init__(fabric, method, network)
        self.shared = [p for p in network.backbone.parameters() if p.requires_grad]
        self.own = [p for p in self.heads.parameters() if p.requires_grad]

    def _attach(self) -> Sequence[torch.utils.hooks.RemovableHandle]:
        return ()

    def forward_pass(self, module: nn.Module) -> AbstractContextManager[None]:
        """Leave it to `backward` to average over processes, task by task."""
        if self.fabric.world_size == 1:
            return nullcontext()
        return self.fabric.no_backward_sync(module)  # type: ignore[arg-type]

    def backward(self, total: Tensor, logits: Mapping[str, Tensor]) -> None:
        """Give the backbone the method's combination, and the heads the gradient of the total."""
        scores = list(logits.values())
        parts = torch.autograd.grad(total, scores, retain_graph=True, materialize_grads=True)
        rows, heads = [], torch.zeros(())
        for score, part in zip(scores, parts, strict=True):
            found = torch.autograd.grad(
                score, [*self.shared, *self.own], part, retain_graph=True, materialize_grads=True
            )
            flat = [g.flatten() for g in found]
            rows.append(torch.cat(flat[: len(self.shared)]) if self.shared else part.new_zeros(0))
            heads = heads.to(part) + torch.cat(flat[len(self.shared) :])
        jacobian, heads = self._everywhere(torch.stack(rows)), self._everywhere(heads)
        weights = self.weights_for(jacobian.float() @ jacobian.float().T)
        _hand_out(weights.to(jacobian) @ jacobian, self.shared)
        _hand_out(heads, self.own)


def _hand_out(flat: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    sizes = [p.numel() for p in parameters]
    for parameter, part in zip(parameters, torch.split(flat, sizes), strict=True):
        parameter.grad = part.view_as(parameter).to(parameter)


def balance_of(choice: Named, network: MultiTaskNetwork, fabric: Device) -> Balance | None:
    """Return the balance of a weighting at a network; None where it is the plain sum.

    Raises:
        LabelweaveError: the weighting is unknown, or names a task that the network has not.
    """
    found, options = weighting(choice)
    names = [task.name for task in network.tasks]
    made: LossWeighting | Callable[..., object] = found.make(names, options)
    if len(names) == 1 or type(made) is LossWeighting:
        return None
    if isinstance(made, LossWeighting):
        return LossBalance(fabric, made)
    kind = ParameterBalance if options.gradients == "parameters" else FeatureBalance  # type: ignore[attr-defined]
    return kind(fabric, made, network)  # type: ignore[arg-type]

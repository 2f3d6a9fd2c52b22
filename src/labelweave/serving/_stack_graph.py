"""A coupled stack as tensor operations: learners, mixtures, messages between tasks, the guard."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from labelweave.coupling import CoupledStack
from labelweave.fitting._network_learners import NetworkModel
from labelweave.learners import JointModel, TaskStack
from labelweave.learners._stacking import TINY
from labelweave.model import Model
from labelweave.networks._multi_task import probabilities
from labelweave.serving._learner_graph import learner_graph
from labelweave.serving._message_graph import MessageGraph
from labelweave.serving._onnx_nodes import LearnerNodes, Predict, at_least, between
from labelweave.tasks import Multiclass, Task


class StackGraph(nn.Module):
    """`CoupledStack.predict_proba` as tensor operations.

    Args:
        stack: the stack; its learners read columns.

    Attributes:
        nodes: what the learners need besides tensor operations.

    Raises:
        LabelweaveError: a learner that nothing converts.
    """

    def __init__(self, stack: CoupledStack) -> None:
        super().__init__()
        self.tasks = stack.tasks
        self.centre, self.scale = (torch.from_numpy(v.copy()) for v in (stack.centre, stack.scale))
        self.guards = {
            name: [each for each in found if each.weight > 0]
            for name, found in stack.guards.items()
        }
        self.used = {each.name for found in self.guards.values() for each in found}
        self.nodes = LearnerNodes()
        self.alone = {name: _Mixture(each, self.nodes) for name, each in stack.alone.items()}
        self.teaches = bool(self.used & {"self_trained", "self_trained_coupled"})
        taught = stack.self_trained if self.teaches else {}
        self.taught = {name: _Mixture(each, self.nodes) for name, each in taught.items()}
        self.messages = MessageGraph(stack.links)
        self.self_messages = MessageGraph(stack.self_links)
        models = {name: _networks(model) for name, model in stack.joint.items()}
        self.networks = nn.ModuleDict({n: nn.ModuleList(m.networks) for n, m in models.items()})
        self._tasks_of = {n: [each.tasks for each in m.networks] for n, m in models.items()}

    def standardised(self, features: Tensor) -> Tensor:
        """Return what the learners read, (n, d) float64."""
        return (features.double() - self.centre) / self.scale

    def forward(self, X: Tensor, given: Tensor | None = None) -> dict[str, Tensor]:
        """Return per task class (n, K) or label-on (n, L) probabilities, float64.

        Args:
            X: (n, d) what `standardised` gives.
            given: (n, columns), what the nodes of learners give; None = there are none.
        """
        joint = {name: self._network(name, X.float()) for name in self.networks}
        alone = {name: each(X, given, joint) for name, each in self.alone.items()}
        made: dict[str, Mapping[str, Tensor]] = {"alone": alone, **joint}
        if "coupled" in self.used:
            made["coupled"] = self.messages(alone)
        if self.teaches:
            taught = {name: each(X, given, joint) for name, each in self.taught.items()}
            made["self_trained"] = taught
            if "self_trained_coupled" in self.used:
                made["self_trained_coupled"] = self.self_messages({**alone, **taught})
        return {task.name: self._guarded(task, made) for task in self.tasks}

    def _guarded(self, task: Task, made: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        found = self.guards[task.name]
        parts = [made[each.name][task.name] for each in found]
        return mixed(
            task, parts, [each.temperature for each in found], [each.weight for each in found]
        )

    def _network(self, name: str, X: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        networks = self.networks[name]
        assert isinstance(networks, nn.ModuleList)
        for network, tasks in zip(networks, self._tasks_of[name], strict=True):
            found |= probabilities(network(X), tasks)
        return {task: p.double() for task, p in found.items()}


def _networks(model: JointModel) -> Model:
    assert isinstance(model, NetworkModel)  # of a stack in a folder there is no other kind
    return model.model


class _Mixture:
    """`TaskStack.predict` as tensor operations."""

    def __init__(self, stack: TaskStack, nodes: LearnerNodes) -> None:
        self.task, self.members = stack.task, stack.members
        self.learners: list[Predict | None] = [
            None if each.model is None else learner_graph(each.model, stack.task.name, nodes)
            for each in stack.members
        ]

    def __call__(
        self, X: Tensor, given: Tensor | None, joint: Mapping[str, Mapping[str, Tensor]]
    ) -> Tensor:
        parts = [
            joint[member.key][self.task.name] if predict is None else predict(X, given)
            for member, predict in zip(self.members, self.learners, strict=True)
        ]
        if not parts:
            return X.new_zeros((X.shape[0], self.task.width))
        temperatures = [member.temperature for member in self.members]
        return mixed(self.task, parts, temperatures, [member.weight for member in self.members])


def mixed(
    task: Task, parts: Sequence[Tensor], temperatures: Sequence[float], weights: Sequence[float]
) -> Tensor:
    """Return the weighted mean of probabilities, (n, width), each by its temperature.

    What `labelweave.learners._stacking.tempered` does, of all parts at once: an exporter takes
    longer the more operations there are.
    """
    p = torch.stack(list(parts))
    t, w = (
        torch.tensor(each, dtype=torch.float64)[:, None, None] for each in (temperatures, weights)
    )
    if isinstance(task, Multiclass):
        found = (at_least(p, TINY).log() / t).softmax(dim=2)
    else:
        clipped = between(p, TINY, 1 - TINY)
        found = ((clipped.log() - (1 - clipped).log()) / t).sigmoid()
    if 1.0 in temperatures:
        found = torch.where(t == 1, p, found)
    return (w * found).sum(dim=0)

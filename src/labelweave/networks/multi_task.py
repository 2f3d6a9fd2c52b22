"""The network: one shared backbone and one linear head a task."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.networks.layers import CHUNK, Backbone
from labelweave.tasks import Multiclass, Task, check_distinct


class MultiTaskNetwork(nn.Module):
    """Backbone and linear heads; all heads are one matrix product, split by task.

    Args:
        backbone: a `Backbone`, or any module when `features` is given.
        tasks: the tasks, classes known.
        features: number of features of a backbone that does not know it.

    Raises:
        LabelweaveError: no task, tasks of one name, or an unknown number of features.
    """

    def __init__(
        self, backbone: nn.Module, tasks: Sequence[Task], features: int | None = None
    ) -> None:
        super().__init__()
        check_distinct(tasks)
        if features is None:
            if not isinstance(backbone, Backbone):
                raise LabelweaveError(
                    f"the backbone {type(backbone).__name__} does not tell its number of features: "
                    "give features="
                )
            features = backbone.features
        self.backbone = backbone
        self.tasks = tuple(tasks)
        self.widths = [task.width for task in self.tasks]
        self.heads = nn.Linear(features, sum(self.widths))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the scores of every task: task name to (n, width)."""
        scores = torch.split_with_sizes(self.heads(self.backbone(inputs)), self.widths, dim=1)
        return {task.name: part for task, part in zip(self.tasks, scores, strict=True)}

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """Return what the backbone makes of inputs in evaluation mode, (n, features), on the CPU.

        Args:
            inputs: (n, ...); moved in chunks to the network's device.
        """
        chunk = self.backbone.chunk if isinstance(self.backbone, Backbone) else CHUNK
        training, weight = self.training, self.heads.weight
        self.eval()
        parts = [self.backbone(_like(rows, weight)).cpu() for rows in torch.split(inputs, chunk)]
        self.train(training)
        return torch.cat(parts).float()

    @torch.no_grad()
    def probabilities(self, inputs: Tensor, chunk: int | None = None) -> dict[str, Tensor]:
        """Return P(class) or P(label on) of every task in evaluation mode, (n, width), on the CPU.

        Args:
            inputs: (n, ...); moved in chunks to the network's device.
            chunk: rows a pass, to bound memory; None = what the backbone says.
        """
        if chunk is None:
            chunk = self.backbone.chunk if isinstance(self.backbone, Backbone) else CHUNK
        training, weight = self.training, self.heads.weight
        self.eval()
        parts = [
            {name: part.float().cpu() for name, part in self._chunk(_like(rows, weight)).items()}
            for rows in torch.split(inputs, chunk)
        ]
        self.train(training)
        return {task.name: torch.cat([p[task.name] for p in parts]) for task in self.tasks}

    def _chunk(self, inputs: Tensor) -> dict[str, Tensor]:
        return probabilities(self(inputs), self.tasks)


def _like(inputs: Tensor, weight: Tensor) -> Tensor:
    # indices, such as a text's tokens, must stay integers
    return inputs.to(weight if inputs.is_floating_point() else weight.device)


def probabilities(logits: Mapping[str, Tensor], tasks: Sequence[Task]) -> dict[str, Tensor]:
    """Return softmax (multiclass) or sigmoid (multilabel) of every task's scores."""
    return {
        task.name: torch.softmax(logits[task.name], dim=1)
        if isinstance(task, Multiclass)
        else torch.sigmoid(logits[task.name])
        for task in tasks
    }

"""Which loss the labelled elements of each task get."""

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from labelweave.balancing import Choice
from labelweave.errors import LabelweaveError
from labelweave.losses.class_imbalance import REWEIGHTED, Reweighted, task_loss
from labelweave.losses.columns import Columns
from labelweave.losses.forward_corrected import ForwardCorrected
from labelweave.losses.supervised import Supervised
from labelweave.relations import Noise
from labelweave.tasks import Task


def supervised_losses(
    tasks: Sequence[Task],
    noise: Sequence[Noise],
    losses: Mapping[str, Choice],
    shares: Mapping[str, ArrayLike],
    columns: Columns,
) -> Supervised:
    """Return the losses of labelled elements; see `Objective` for the arguments."""
    chosen = {
        task.name: task_loss(losses[task.name], task) for task in tasks if task.name in losses
    }
    own = {name: loss for name, (loss, _) in chosen.items() if loss in REWEIGHTED}
    if own and noise:
        name, loss = next(iter(own.items()))
        raise LabelweaveError(
            f"task '{name}': the loss '{loss}' does not go with label noise that is estimated, "
            "expected 'cross_entropy'"
        )
    if noise:
        return ForwardCorrected(tasks, noise, columns)
    return Reweighted(tasks, losses, shares, columns) if own else Supervised(tasks, columns)

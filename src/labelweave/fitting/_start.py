"""Weights that a training starts from: those of a former network, where it fits."""

from typing import Any

from torch import Tensor

from labelweave.data._input_encoder import Encoder, InputEncoder
from labelweave.data._table_encoder import TableEncoder
from labelweave.model import Model
from labelweave.networks import MultiTaskNetwork

SHARE = 0.5  # of the steps of a training from new weights


def former_weights(
    former: Model, encoder: Encoder, made: MultiTaskNetwork
) -> dict[str, Tensor] | None:
    """Return the weights that a former model has for a new network, or None.

    They fit where columns and their categories, tasks, classes and architecture are the same. What
    the columns are standardised by may differ a little; the training makes up for it.

    Args:
        former: the former model.
        encoder: gives the inputs of the new network.
        made: the new network.
    """
    if _read(former.encoder) != _read(encoder):
        return None
    for network in former.networks:
        if _form(network) == _form(made):
            return {name: value.detach() for name, value in network.state_dict().items()}
    return None


def _read(encoder: Encoder) -> Any:
    """Return what the inputs of a network mean, in order."""
    if isinstance(encoder, TableEncoder):
        return encoder.names_
    if isinstance(encoder, InputEncoder):
        table = encoder.table.names_ if encoder.table else []
        return encoder.shape_, [each.column for each in encoder.columns], table
    return encoder.to_dict()


def _form(network: MultiTaskNetwork) -> Any:
    tasks = [(task.name, list(map(str, task.names))) for task in network.tasks]
    return tasks, {name: value.shape for name, value in network.state_dict().items()}

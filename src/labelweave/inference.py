"""What networks say of encoded inputs; stored ones come in chunks, never all at once."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.data import Inputs, StoredInputs
from labelweave.data.gathering import chunk_rows, tensor
from labelweave.networks import MultiTaskNetwork


def joint_probabilities(
    networks: Sequence[MultiTaskNetwork], inputs: Inputs
) -> dict[str, NDArray[np.float32]]:
    """Return P(class) or P(label on) of the tasks of all networks."""
    return _in_chunks(lambda rows: _probabilities(networks, rows), inputs)


def backbone_features(network: MultiTaskNetwork, inputs: Inputs) -> NDArray[np.float32]:
    """Return what a network's backbone makes of encoded inputs, (n, d)."""
    made = _in_chunks(lambda rows: {"": network.features(tensor(rows, "cpu")).numpy()}, inputs)
    return made[""]


def _in_chunks(
    function: Callable[[NDArray[Any]], dict[str, NDArray[np.float32]]], inputs: Inputs
) -> dict[str, NDArray[np.float32]]:
    if not isinstance(inputs, StoredInputs):
        return function(inputs)
    step = chunk_rows(inputs)
    parts = [
        function(np.asarray(inputs[start : start + step]))
        for start in range(0, max(1, len(inputs)), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _probabilities(
    networks: Sequence[MultiTaskNetwork], inputs: NDArray[Any]
) -> dict[str, NDArray[np.float32]]:
    rows = tensor(inputs, "cpu")
    return {
        name: values.numpy()
        for network in networks
        for name, values in network.probabilities(rows).items()
    }

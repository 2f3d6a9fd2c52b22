"""Integrated gradients of a network's answers, by column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError, missing_package
from labelweave.evaluation._questions import Floats
from labelweave.model import EncodedPredictor, Model
from labelweave.networks import probabilities

STEPS = 64


def gradients_by_column(
    model: EncodedPredictor,
    frame: pd.DataFrame,
    task: str,
    answer: Callable[[Tensor], Tensor],
) -> dict[str, Floats]:
    """Return by column its part in the answers' probabilities, (n,), by integrated gradients.

    Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017, by captum,
    from the average row: the parts of all columns sum to the probability less that of the average
    row. What a category became is summed.

    Args:
        model: a network that reads columns.
        frame: the rows, as the schema read them.
        task: whose network answers.
        answer: takes the task's probabilities, (n, K) or (n, L), to those of the answers, (n,).

    Raises:
        LabelweaveError: another kind of model, or captum is not installed.
    """
    encoder = model.encoder
    if not isinstance(model, Model) or not isinstance(encoder, TableEncoder):
        raise LabelweaveError(
            "gradients: found learners, images or texts, expected a network that reads columns"
        )
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise missing_package("integrated gradients", error, "explain") from None
    network = next(n for n in model.networks if task in {each.name for each in n.tasks})

    def answered(inputs: Tensor) -> Tensor:
        # captum stacks the steps: the answers repeat in the same order
        return answer(probabilities(network(inputs), network.tasks)[task])

    network.eval()
    inputs = torch.from_numpy(np.asarray(encoder.transform(frame), np.float32))
    average: Any = torch.zeros_like(inputs[:1])
    found = IntegratedGradients(answered).attribute(inputs, average, n_steps=STEPS)
    parts: Floats = found.detach().numpy().astype(np.float64)
    columns = feature_columns(encoder)
    return {
        name: parts[:, [i for i, each in enumerate(columns) if each == name]].sum(axis=1)
        for name in dict.fromkeys(columns)
    }


def feature_columns(encoder: TableEncoder) -> list[str]:
    """Return for each feature of an encoder the raw column that it comes from."""
    numeric = encoder.numeric_
    names = np.array(numeric.names, dtype=object)
    found = [*names[numeric.varies], *names[numeric.gaps]]
    for name, categories in encoder.categories_.items():
        found += [name] * (len(categories) + 1)
    return found

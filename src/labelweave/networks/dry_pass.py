"""One forward pass to find out how many features a module gives."""

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError
from labelweave.shapes import Shape, Tokens

ROWS = 2


def features_of(name: str, module: nn.Module, inputs: Shape) -> int:
    """Return the number of features that a module gives; its weights and mode stay as they are.

    Args:
        name: what errors call the module.
        module: takes inputs (n, ...) and gives features (n, features).
        inputs: what the inputs are.

    Raises:
        LabelweaveError: it does not take such inputs, or gives something else.
    """
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            found = module(example(inputs))
    except LabelweaveError:
        raise
    except Exception as error:  # whatever a module of any origin does with inputs that do not fit
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise LabelweaveError(f"{name}: does not take {described(inputs)} ({reason})") from None
    module.train(training)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != ROWS:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise LabelweaveError(
            f"{name}: gave {shape} for {ROWS} rows, expected features of shape ({ROWS}, number)"
        )
    return int(found.shape[1])


def example(inputs: Shape) -> Tensor:
    """Return two rows of such inputs, of the type that batches have."""
    if isinstance(inputs, Tokens):
        token = 0 if inputs.padding else 1
        return torch.full((ROWS, inputs.length), token, dtype=torch.int32)
    if isinstance(inputs, tuple):
        return torch.full((ROWS, *inputs), 127, dtype=torch.uint8)
    return torch.zeros(ROWS, inputs)


def described(inputs: Shape) -> str:
    """Return inputs in words."""
    if isinstance(inputs, Tokens):
        return f"texts of {inputs.length} tokens"
    if isinstance(inputs, tuple):
        channels, height, width = inputs
        return f"{'colour' if channels == 3 else 'grey'} images of {height} x {width}"
    return f"{inputs} columns"

"""The shape of a backbone's inputs."""

from typing import NamedTuple


class Tokens(NamedTuple):
    """Texts as tokens: integers, of which one stands for no more text.

    Attributes:
        length: tokens a row.
        vocabulary: tokens are below this number.
        padding: the token after a text's end.
    """

    length: int
    vocabulary: int
    padding: int


Shape = int | tuple[int, ...]
"""The number of columns; (channels, height, width) of images, uint8; or `Tokens`."""


def describe_inputs(inputs: Shape) -> str:
    """Return inputs in words."""
    if isinstance(inputs, Tokens):
        return f"texts of {inputs.length} tokens"
    if isinstance(inputs, tuple):
        channels, height, width = inputs
        return f"{'colour' if channels == 3 else 'grey'} images of {height} x {width}"
    return f"{inputs} columns"

"""The tasks' gradients at the shared features, without a backward pass for each.

The heads are one matrix, so the gradient that reaches the features F through the head of task t is
D_t W_t: the columns of D = d loss / d scores that are the task's, times its rows of the weights. It
holds the task's supervised loss and its share of every coupling; the rows of all tasks sum to the
gradient of the total.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def segments_of(widths: Sequence[int]) -> Tensor:
    """Return which column of the scores is whose task's, (sum of widths, m), 1 or 0."""
    owner = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(list(widths)))
    return torch.nn.functional.one_hot(owner, len(widths)).float()


def task_gramian(scores_gradient: Tensor, weight: Tensor, segments: Tensor) -> Tensor:
    """Return the inner products of the tasks' gradients at the features, (m, m).

    <D_t W_t, D_s W_s> = sum over i of t and j of s of (D' D)[i, j] (W W')[i, j].

    Args:
        scores_gradient: D, (n, W).
        weight: of the heads, (W, features).
        segments: of `segments_of`, (W, m).
    """
    products = (scores_gradient.T @ scores_gradient) * (weight @ weight.T)
    return segments.T @ products @ segments


def combined(scores_gradient: Tensor, weight: Tensor, segments: Tensor, weights: Tensor) -> Tensor:
    """Return sum_t weights[t] D_t W_t, (n, features)."""
    return (scores_gradient * (segments @ weights)) @ weight


def joined(scores: Tensor, features: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the scores, from whose gradient the features are to get theirs by `back`.

    For scores of detached features: the layer between then computes no gradient for the features
    that would be thrown away, only that of its weights.
    """
    return _Joined.apply(scores, features, back)  # type: ignore[no-any-return, no-untyped-call]


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, features: Tensor, back: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.back = back
        return scores.view_as(scores)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        return gradient, ctx.back(gradient), None

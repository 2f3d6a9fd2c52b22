"""The usual losses in closed form: values and gradients as one node of the autograd graph.

They are the supervised cross-entropies, distribution matching by its two cross-entropies, and
co-annotation by soft labels and by the marginal likelihood. Each is linear in log-probabilities up
to what its own file derives, so all of them add their gradient to one matrix, which goes through
softmax and sigmoid once. The other losses, and `torch.compile`, which fuses by itself, take the
composition of PyTorch operations in `labelweave.losses`; the tests hold the two against each other.
"""

from labelweave.losses.closed_form.node import ClosedForm, closed_form

__all__ = ["ClosedForm", "closed_form"]

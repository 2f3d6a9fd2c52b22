"""Distribution matching: what the source predicts, pushed through the table, against the target."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._coupling import RelationCoupling, source_weights, target_weights
from labelweave.losses._layout import ColumnBatch, Columns, Terms, joined
from labelweave.relations import Relation, TransferWeights

FLOOR = 1e-6  # of q in a logarithm; below it q gets no gradient
LEAST = 1e-6  # probability of the known classes; below it they say nothing

Factor = float | Tensor
Form = Callable[[Tensor, Tensor], Tensor]


def _cross_entropies(log_p: Tensor, q: Tensor, forth: Factor, back: Factor) -> Tensor:
    """Return forth * q (log q - log p) + back * p (log p - log q).

    The weights q and p in front of the brackets, and the entropies, count as constants, so that
    the gradient is that of the two cross-entropies.
    """
    log_q = q.clamp(min=FLOOR).log()
    one = forth * q.detach() * (log_q.detach() - log_p)
    return one + back * log_p.detach().exp() * (log_p.detach() - log_q)


def _jensen_shannon(log_p: Tensor, q: Tensor) -> Tensor:
    p, log_q = log_p.exp(), q.clamp(min=FLOOR).log()
    # where both are 0 the logarithm must stay finite: 0 times infinity is no number
    log_m = torch.log((0.5 * (p + q)).clamp(min=1e-30))
    return 0.5 * (p * (log_p - log_m) + q * (log_q - log_m))


def _paper(log_p: Tensor, q: Tensor) -> Tensor:
    return -log_p.exp() * q.clamp(min=FLOOR).log()


# two factors: of the target's and of the source's cross-entropy
FORMS: dict[str, Form | tuple[float, float]] = {
    "symmetric": (0.5, 0.5),
    "js": _jensen_shannon,
    "source_to_target": (1.0, 0.0),
    "target_to_source": (0.0, 1.0),
    "paper": _paper,
}


def matched(
    name: str,
    log_p: Tensor,
    q: Tensor,
    mass: Tensor | None,
    factors: tuple[Factor, Factor] = (1.0, 1.0),
) -> Tensor:
    """Return a form's loss of every column, summed over the rows, (M,).

    Args:
        name: of the form.
        log_p: (n, M) the target head's log-probabilities.
        q: (n, M) the source through the table.
        mass: (n, M) weight of the elements; None = 1.
        factors: of what the target and what the source learns, each one or (M,).
    """
    form = FORMS[name]
    if isinstance(form, tuple):
        loss = _cross_entropies(log_p, q, form[0] * factors[0], form[1] * factors[1])
    elif name == "paper":
        loss = form(log_p, q)
    else:
        loss = form(log_p, q) * (0.5 * (factors[0] + factors[1]))
    return (loss if mass is None else mass * loss).sum(dim=0)


class DistributionMatching(RelationCoupling):
    """Match q(t|x) = sum_s p(s|x) T[s,t] with the target head's p(t|x), on every sample.

    Needs no label. Each relation's term is a mean over samples, summed over a multiclass target's
    classes and averaged over the labels of a multilabel target that some class informs about.

    Forms (p: target head, q: source through the table, sg: no gradient):

    - ``symmetric`` (default): 0.5 KL(sg p || q) + 0.5 KL(sg q || p). Its gradient is that of the
      two cross-entropies; the constant entropies are taken off so that 0 means agreement.
    - ``js``: the Jensen-Shannon divergence, gradients through both.
    - ``source_to_target``, ``target_to_source``: one of the two halves of ``symmetric``, unhalved:
      only the target, or only the source, learns.
    - ``paper``: -sum_j p_j log q_j without stop-gradient, over the "on" columns of a multilabel
      target, entries rounded to 0 or 1 (Kollias et al., AAAI 2024). For fixed q it is smallest at
      p = 0; kept for comparison.

    Where the table is unknown for some classes, q is the mean over the known ones, and the sample
    counts by the probability of the known ones.

    Args:
        relations: the relations to couple by.
        form: one of the names above.
        smoothing: see `RelationStacks`.
        columns: see `Coupling`.
        transfer_weights: factor of what a task learns (`transfer_weights`); None = 1. The target
            learns by its own, the source by its own; ``js`` by the mean of both, ``paper`` by 1.

    Raises:
        LabelweaveError: an unknown form.
    """

    forth: Tensor | None
    back: Tensor | None

    def __init__(
        self,
        relations: Sequence[Relation],
        form: str = "symmetric",
        smoothing: float = 0.01,
        columns: Columns | None = None,
        transfer_weights: TransferWeights | None = None,
    ) -> None:
        if form not in FORMS:
            raise LabelweaveError(
                f"unknown form '{form}', expected {listing(FORMS)}{nearest(form, FORMS)}"
            )
        super().__init__(relations, smoothing, columns)
        forth = back = None
        if transfer_weights is not None:
            forth = target_weights(self.stacks, transfer_weights)
            back = source_weights(self.stacks, transfer_weights)
        self.register_buffer("forth", forth, persistent=False)
        self.register_buffer("back", back, persistent=False)
        self.form = form
        self.names = tuple(f"distribution_matching/{name}" for name in self.stacks.names)
        if form == "paper":
            self._round()

    def terms(self, batch: ColumnBatch) -> Terms:
        """Return one term a relation; labels are not looked at."""
        stacks = self.stacks
        given = [(stack, batch.log_classes[stack.source]) for stack in stacks]
        q = joined([stack.through(log_p) for stack, log_p in given])
        mass = None
        if not stacks.complete:
            known = joined([log_p.exp() @ stack.known for stack, log_p in given])
            # columns without any known entry have weight 0; a q of 1 keeps the logarithm finite
            q = torch.where(known > LEAST, q / known.clamp(min=LEAST), 1.0)
            mass = known.detach()
        log_p = stacks.columns_of(batch.log_p)
        factors: tuple[Factor, Factor] = (1.0, 1.0)
        if self.forth is not None and self.back is not None:
            factors = self.forth, self.back
        sums = matched(self.form, log_p, q, mass, factors) @ stacks.shares
        return Terms(self.names, sums, torch.full_like(sums, float(len(log_p))))

    def _round(self) -> None:
        """Round the tables of multilabel targets, and take their "off" columns out."""
        for stack in self.stacks:
            rounded = stack.known * (stack.table > 0.5)
            stack.table.copy_(torch.where(stack.on, rounded, stack.table))
            stack.halved = False
        # as printed, the paper has no (1 - p) log(1 - q) term
        self.stacks.shares[self.stacks.off] = 0.0

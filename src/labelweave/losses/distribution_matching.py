"""Distribution matching: what the source predicts, pushed through the table, against the target."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses.stack import Labels, Logits, RelationStack, RelationStacks
from labelweave.losses.terms import Terms
from labelweave.relations import Relation

Form = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _source_to_target(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    return q.detach() * (log_q.detach() - log_p)


def _target_to_source(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    return p.detach() * (log_p.detach() - log_q)


def _symmetric(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    forth = _source_to_target(p, log_p, q, log_q)
    return 0.5 * (forth + _target_to_source(p, log_p, q, log_q))


def _jensen_shannon(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    # where both are 0 the logarithm must stay finite: 0 times infinity is no number
    log_m = torch.log((0.5 * (p + q)).clamp(min=1e-30))
    return 0.5 * (p * (log_p - log_m) + q * (log_q - log_m))


def _paper(p: Tensor, log_p: Tensor, q: Tensor, log_q: Tensor) -> Tensor:
    return -p * log_q


FORMS: dict[str, Form] = {
    "symmetric": _symmetric,
    "js": _jensen_shannon,
    "source_to_target": _source_to_target,
    "target_to_source": _target_to_source,
    "paper": _paper,
}


class DistributionMatching(nn.Module):
    """Match q(t|x) = sum_s p(s|x) T[s,t] with the target head's p(t|x), on every sample.

    Needs no label. Each relation's term is a mean over samples, summed over a multiclass target's
    classes and averaged over the labels of a multilabel target that some class speaks about.

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
        smoothing: see `RelationStack`.

    Raises:
        LabelweaveError: an unknown form.
    """

    def __init__(
        self, relations: Sequence[Relation], form: str = "symmetric", smoothing: float = 0.01
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise LabelweaveError(
                f"unknown form '{form}', expected {listing(FORMS)}{nearest(form, FORMS)}"
            )
        self.form = form
        self.stacks = RelationStacks(relations, smoothing)
        self.names = tuple(f"distribution_matching/{name}" for name in self.stacks.names)
        if form == "paper":
            for stack in self.stacks:
                _round_multilabel(stack)

    def forward(self, logits: Logits, labels: Labels | None = None) -> Terms:
        """Return one term a relation; `labels` are not looked at."""
        sums = torch.cat([self._sums(stack, logits) for stack in self.stacks])
        rows = next(iter(logits.values())).shape[0]
        return Terms(self.names, sums, torch.full_like(sums, float(rows)))

    def _sums(self, stack: RelationStack, logits: Logits) -> Tensor:
        given = torch.softmax(logits[stack.source], dim=1)
        log_p = stack.log_probabilities(logits)
        q = given @ stack.table
        weight = stack.column_weight
        if not stack.complete:
            mass = given @ stack.known
            q = torch.where(mass > 1e-6, q / mass.clamp_min(1e-6), 1.0)
            weight = weight * mass.detach()
        # columns without any known entry have weight 0; their q of 1 keeps the logarithm finite
        log_q = torch.log(q.clamp(min=1e-6))
        loss = FORMS[self.form](log_p.exp(), log_p, q, log_q)
        return (weight * loss).sum(dim=0) @ stack.segments


def _round_multilabel(stack: RelationStack) -> None:
    start = 0
    for target in stack.targets:
        if target.kind == "multilabel":
            on = slice(start, start + target.width)
            off = slice(start + target.width, start + 2 * target.width)
            stack.table[:, on] = stack.known[:, on] * (stack.table[:, on] > 0.5).float()
            stack.column_weight[off] = 0.0  # as printed, the paper has no (1 - p) log(1 - q) term
            start += target.width
        start += target.width

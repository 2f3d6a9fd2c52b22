"""The objective: the supervised losses of all tasks plus the couplings between them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from labelweave._options import Named
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.losses._layout import (
    WIDE,
    Columns,
    Labels,
    Logits,
    Terms,
    check_batch,
    constant,
    join,
)
from labelweave.losses._registry import (
    check_relations,
    checked_weight,
    made_couplings,
    needs_relations,
)
from labelweave.losses._supervised import Supervised, one_task_loss, supervised_losses
from labelweave.relations import AnyRelation, Noise, TransferWeights
from labelweave.relations._transfer_weights import LabelCounts
from labelweave.tasks import Multiclass, Task

Weigh = Callable[[Tensor, Tensor], Tensor]


class Loss(NamedTuple):
    """One step's loss.

    Attributes:
        total: the scalar to be minimised.
        names: the terms' names, for example ``supervised/species``.
        raw: (T,) each term before weights, detached.
        weighted: (T,) each term as it enters the total, detached.
    """

    total: Tensor
    names: tuple[str, ...]
    raw: Tensor
    weighted: Tensor


class Objective(nn.Module):
    """Sum of the supervised losses and the couplings, each term normalised by its own count.

    Total = sum_t w_t supervised_t + ramp * sum_c w_c coupling_c (Kollias et al., AAAI 2024, with
    all weights 1). A term whose count is 0 in a batch is 0 there.

    Args:
        tasks: the tasks to be trained.
        relations: tables and noisy-ORs for the couplings; each kind has separate losses.
        couplings: coupling name (`COUPLINGS`) to its options; ``weight`` is the factor of its
            terms (default .3; 1 for the forms ``paper`` and ``hard`` and for distillation), the
            rest goes to the loss, for example
            ``{"distribution_matching": {"form": "js", "weight": 0.5}}``. Without relations, those
            that need some are ignored.
        task_weights: factor of a task's supervised loss, default 1.
        ramp: share of the training over which the couplings grow linearly from 0 to their weight.
        shift: task name to (D, width), added to the scores of a row of the d-th source: how far its
            prior differs from the prior of the network's scores, in log-odds. All losses then
            see every task under the row's own prior (Menon et al., ICLR 2021).
        noise: how the labels of some tasks err (`ForwardCorrected`); the relations' tables are
            then of clean labels.
        counts: own labels of every task (`label_counts`): couplings fade as these become
            plentiful, see `labelweave.losses._coupling`. Their option ``fade`` (default 20) is the
            number of labels at which what a task learns counts half, None = they do not fade.
            Without counts nothing fades.
        transfer_weights: task name to (width,), how much it has to learn from the others where
            that was measured (`labelweave.relations.estimate_transfer_weights`), instead of its
            number of labels. A number or null for ``fade`` comes first.
        losses: task name to its loss (`labelweave.losses.TASK_LOSSES`). One that frees
            scores from class shares (`freed`) is the cross-entropy here, the rest is in `shift`.
        shares: task name to the shares of its labels being on, (L,), for positive weights.

    Raises:
        LabelweaveError: an unknown coupling, option, or task, a weight that is no number of 0 or
            more, a relation or noise of classes that differ from its task's, or a loss that is not
            for its task or not together with noise.
    """

    factors: Tensor
    ramped: Tensor
    shift: Tensor | None

    def __init__(
        self,
        tasks: Sequence[Task],
        relations: Sequence[AnyRelation] = (),
        couplings: Mapping[str, Mapping[str, object]] | None = None,
        *,
        task_weights: Mapping[str, float] | None = None,
        ramp: float = 0.1,
        shift: Mapping[str, NDArray[np.float64]] | None = None,
        noise: Sequence[Noise] = (),
        counts: LabelCounts | None = None,
        transfer_weights: TransferWeights | None = None,
        losses: Mapping[str, Named] | None = None,
        shares: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        super().__init__()
        weights = dict(task_weights or {})
        names = [task.name for task in tasks]
        for name, weight in weights.items():
            if name not in names:
                raise LabelweaveError(
                    f"weight of task '{name}': no such task, expected {listing(names)}"
                    f"{nearest(name, names)}"
                )
            weights[name] = checked_weight(f"task '{name}'", weight)
        if couplings:
            check_relations(relations, tasks)
        self.ramp = ramp
        dense = bool(noise or losses or "distillation" in (couplings or {}))
        self.columns = Columns(tasks, () if dense else _apart(tasks, relations))
        self.supervised = supervised_losses(tasks, noise, losses or {}, shares or {}, self.columns)
        factors = [weights.get(name, 1.0) for name in names]
        self.couplings = nn.ModuleList()
        for name, options in (couplings or {}).items():
            if needs_relations(name) and not relations:
                continue
            found, factor = made_couplings(
                name, options, tasks, self.columns, relations, noise, counts, transfer_weights
            )
            self.couplings.extend(found)
            factors += [factor * multiple for coupling in found for multiple in coupling.multiples]
        plain = type(self.supervised) is Supervised and not self.couplings
        self.alone = tasks[0] if plain and len(tasks) == 1 else None
        self.register_buffer("factors", torch.tensor(factors), persistent=False)
        self.register_buffer("ramped", torch.arange(len(factors)) >= len(names), persistent=False)
        self.widths = {task.name: task.width for task in tasks}
        self.checked = False
        rows = [constant(shift[name]) for name in names] if shift else None
        self.register_buffer("shift", None if rows is None else torch.cat(rows, 1), False)

    def forward(
        self,
        logits: Logits,
        labels: Labels,
        progress: float | Tensor = 1.0,
        reduce: Callable[[Tensor], Tensor] | None = None,
        *,
        source: Tensor | None = None,
        teachers: Mapping[str, Tensor] | None = None,
        weigh: Weigh | None = None,
    ) -> Loss:
        """Return the loss of one batch.

        Args:
            logits: task name to (n, width) scores of the heads.
            labels: task name to the codes of `Annotations`; -1 and -100 = missing.
            progress: share of the training that is done, 0 to 1; drives the ramp.
            reduce: mean over the processes of a data-parallel run, for counts; None = one process.
            source: (n,) index of the data source of each row, for losses that ask for it.
            teachers: task name to (n, width) scores of its teacher, for losses that ask for them.
            weigh: the supervised losses (m,), detached, and their counts of labelled elements to
                further factors of these losses; None = 1.

        Raises:
            LabelweaveError: scores or labels of the first batch are lacking, or of another shape,
                type or range than the tasks'; or there is a `shift` and no `source`.
        """
        if not (self.checked or torch.compiler.is_compiling()):
            self.check(logits, labels)
        # mixed precision is for networks: small probabilities need float32
        device = next(iter(logits.values())).device.type
        mixed = torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if mixed else nullcontext():
            if self.shift is not None:
                logits, teachers = (self._shifted(s, source) for s in (logits, teachers or {}))
            if self.alone is not None and reduce is None and weigh is None:
                return self._of_one_task(self.alone, logits, labels)
            terms = self._terms(logits, labels, source, teachers)
            if reduce is not None:
                terms = terms._replace(counts=reduce(terms.counts))
            inverse = terms.inverse_counts()
            raw = terms.sums.detach() * inverse
            factors = self._factors(progress)
            if weigh is not None:
                tasks = len(self.widths)
                more = weigh(raw[:tasks], terms.counts[:tasks])
                factors = torch.cat([factors[:tasks] * more, factors[tasks:]])
            # one product with constants is all that the backward pass has to go through
            total = terms.sums @ (factors * inverse).to(terms.sums.dtype)
        return Loss(total, terms.names, raw, raw * factors)

    def _terms(
        self,
        logits: Logits,
        labels: Labels,
        source: Tensor | None,
        teachers: Mapping[str, Tensor] | None,
    ) -> Terms:
        if self.alone is not None:
            name = self.alone.name
            loss, count = one_task_loss(self.alone, logits[name], labels[name])
            return Terms(self.supervised.names, loss[None], count[None].to(loss.dtype))
        batch = self.columns(logits, labels, source, teachers)
        return join([part.terms(batch) for part in (self.supervised, *self.couplings)])

    def _of_one_task(self, task: Task, logits: Logits, labels: Labels) -> Loss:
        # in few steps: a small network's own take hardly longer
        loss, count = one_task_loss(task, logits[task.name], labels[task.name])
        mean = loss / count.clamp(min=1)
        raw = mean.detach()[None]
        weighted = raw * self.factors
        return Loss(mean * self.factors[0], self.supervised.names, raw, weighted)

    def check(self, logits: Logits, labels: Labels) -> None:
        """Check a batch, as a call does with the first one.

        A compiled objective cannot: call this once before it.

        Args:
            logits: task name to (n, width) scores of the heads.
            labels: task name to the codes of `Annotations`; -1 and -100 = missing.

        Raises:
            LabelweaveError: scores or labels are lacking, or of another shape, type or range than
                the tasks'; names the task.
        """
        losses = (self.supervised, *self.couplings)
        tables = (table for loss in losses for table in loss.tables())
        check_batch(self.columns.tasks, logits, labels, tables)
        self.checked = True

    def _shifted(self, scores: Mapping[str, Tensor], source: Tensor | None) -> dict[str, Tensor]:
        """Return scores under the prior of each row's source."""
        if self.shift is None or source is None:
            raise LabelweaveError("objective: a shift between sources needs source=, found none")
        rows = self.shift.index_select(0, source)
        parts = torch.split_with_sizes(rows, list(self.widths.values()), dim=1)
        added = dict(zip(self.widths, parts, strict=True))
        return {name: values + added[name] for name, values in scores.items()}

    def _factors(self, progress: float | Tensor) -> Tensor:
        share = progress / self.ramp if self.ramp > 0 and self.couplings else 1.0
        if isinstance(share, Tensor):
            share = share.clamp(max=1.0)
        elif share >= 1:
            return self.factors
        return torch.where(self.ramped, self.factors * share, self.factors)


def _apart(tasks: Sequence[Task], relations: Sequence[AnyRelation]) -> set[str]:
    """Return the tasks of very many classes whose labels no relation predicts."""
    targets = {relation.target.name for relation in relations}
    return {
        task.name
        for task in tasks
        if isinstance(task, Multiclass) and task.width > WIDE and task.name not in targets
    }

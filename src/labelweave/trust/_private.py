"""A joint network with differential privacy: DP-SGD, with an epsilon for each source."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from labelweave._arguments import a_number
from labelweave._targets import Table
from labelweave.annotations import Annotations
from labelweave.data import Source
from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError, listing, missing_package, nearest
from labelweave.model import Model, NetworkSpec
from labelweave.networks import MultiTaskNetwork
from labelweave.relations import AnyRelation, Relation
from labelweave.relations._operations import source_posterior
from labelweave.tables import Schema
from labelweave.tables import Table as Cells
from labelweave.tables._frames import input_frame
from labelweave.tasks import Multiclass, Task

INFERRED = 0.5  # weight of what a given table infers for a task without a label
LARGEST_RATE = 0.5  # chance of a row to be in a step
HALVINGS = 14
# whole orders are quick to count; fewer of them can only overstate what is spent
ORDERS = [*range(2, 33), 40, 48, 64, 96, 128, 256]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrivateFit:
    """A model with differential privacy, and what it promises.

    Attributes:
        model: the network; `save` and `predict_proba` as of any model.
        epsilons: by source the epsilon that was spent on each of its rows.
        delta: the promise's delta.
        noises: by source the standard deviation of the noise over the largest gradient of a row.
        rate: chance of a row to be in a step.
        steps: the steps.
    """

    model: Model
    epsilons: dict[str, float]
    delta: float
    noises: dict[str, float]
    rate: float
    steps: int


def fit_private(
    sources: Source | Sequence[Source],
    epsilon: float | Mapping[str, float],
    public: Table | Cells,
    *,
    relations: Sequence[AnyRelation] = (),
    delta: float | None = None,
    hidden: Sequence[int] = (64,),
    steps: int = 300,
    batch_size: int = 256,
    learning_rate: float = 5e-3,
    clip: float = 1.0,
    seed: int | None = None,
) -> PrivateFit:
    """Train one network for all tasks so that no row shows: (epsilon, delta)-differential privacy.

    DP-SGD (Abadi et al., CCS 2016) by opacus: the gradient of each row is cut to `clip`, noise is
    added to their sum, and rows are drawn at random. The promise is for adding or taking away one
    row with all its labels. The gradients of a source with a smaller epsilon are cut shorter
    ("scale" of Boenisch et al., "Have it your way", NeurIPS 2023). A row without a task's label
    learns what given tables infer for it from the row's other labels.

    A student of other learners could not promise this: their predictions depend on all rows.

    Args:
        sources: rows with labels; all with the same tasks.
        epsilon: for all sources, or by source; 0.01 to 100.
        public: rows that are not private, such as a shared table without labels. Types, ranges
            and categories of the columns come from them, and so does the scale of the inputs.
        relations: an expert's tables. Tables that were counted on the sources break the promise.
        delta: chance that the promise fails; None = a tenth of one over the number of rows.
        hidden: sizes of the hidden layers.
        steps: steps.
        batch_size: rows a step, on average.
        learning_rate: of Adam.
        clip: largest norm of a row's gradient, where the epsilon is largest.
        seed: decides everything; None = from the operating system, as privacy needs it.

    Raises:
        LabelweaveError: opacus is not installed, an epsilon that cannot be kept, or inputs that do
            not fit.
    """
    given = [sources] if isinstance(sources, Source) else list(sources)
    if not given:
        raise LabelweaveError("sources: found none, expected at least one")
    tasks = given[0].annotations.tasks
    for each in given[1:]:
        if each.annotations.tasks != tasks:
            raise LabelweaveError(f"source '{each.name}': other tasks than '{given[0].name}'")
    n = sum(len(each) for each in given)
    a_number("steps", steps, low=1, high=1_000_000)
    a_number("batch_size", batch_size, low=1, high=1_000_000)
    a_number("clip", clip, low=1e-6, high=1e6)
    delta = 0.1 / n if delta is None else a_number("delta", delta, low=1e-12, high=0.1)
    wanted = _epsilons(epsilon, [each.name for each in given])
    rate = min(batch_size / n, LARGEST_RATE)
    least = {each: least_noise(each, rate, delta, steps) for each in set(wanted.values())}
    noises = {name: least[each] for name, each in wanted.items()}
    noise = min(noises.values())
    encoder, inputs = _encoded(given, public)
    labels = Annotations.concatenate([each.annotations for each in given])
    targets, weights = row_targets(labels, relations)
    clips = [clip * noise / noises[each.name] for each in given]
    rows = _Rows(inputs, targets, weights, np.repeat(clips, [len(each) for each in given]))
    spec = NetworkSpec("mlp", {"hidden": list(hidden), "dropout": 0.0})
    with torch.random.fork_rng():
        if seed is None:
            torch.seed()
        else:
            torch.manual_seed(seed)
        network = spec.build(encoder.shape_, tasks)
        _train(network, rows, rate, noise * clip, steps, learning_rate)
    spent = {name: spent_epsilon(rate, each, delta, steps) for name, each in noises.items()}
    return PrivateFit(Model(encoder, spec, [network]), spent, delta, noises, rate, steps)


def least_noise(epsilon: float, rate: float, delta: float, steps: int) -> float:
    """Return the least noise that keeps an epsilon, over the largest gradient of a row.

    Args:
        epsilon: of the promise.
        rate: chance of a row to be in a step.
        delta: of the promise.
        steps: of the training.

    Raises:
        LabelweaveError: opacus is not installed.
    """
    low, high = 0.1, 1.0
    while spent_epsilon(rate, high, delta, steps) > epsilon:
        low, high = high, high * 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if spent_epsilon(rate, middle, delta, steps) > epsilon:
            low = middle
        else:
            high = middle
    return high


def spent_epsilon(rate: float, noise: float, delta: float, steps: int) -> float:
    """Return the epsilon of rows that are drawn at a rate (Renyi accounting, Mironov 2017).

    Raises:
        LabelweaveError: opacus is not installed.
    """
    try:
        from opacus.accountants.analysis import rdp
    except ImportError as error:
        raise missing_package("differential privacy", error, "private") from None
    spent = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=ORDERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that other orders may give a tighter bound
        return float(rdp.get_privacy_spent(orders=ORDERS, rdp=spent, delta=delta)[0])


def row_targets(
    labels: Annotations, relations: Sequence[AnyRelation]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return what each row learns, from its labels alone: soft targets, and their weights.

    Args:
        labels: of n rows.
        relations: given tables; noisy-ORs are left out.

    Returns:
        Per task targets (n, K) or (n, L), and weights (n,) or (n, L): 1 for a label, .5 where
        tables infer it from the row's other labels, else 0.
    """
    targets, weights = {}, {}
    for task in labels.tasks:
        codes = labels.labels[task.name]
        inferred, known = _inferred(task, labels, relations)
        seen: NDArray[np.bool_] = np.asarray(codes >= 0)
        if isinstance(task, Multiclass):
            targets[task.name] = np.where(seen[:, None], np.eye(task.width)[codes], inferred)
            weights[task.name] = np.where(seen, 1.0, INFERRED * known.any(axis=1))
        else:
            targets[task.name] = np.where(seen, codes, inferred).astype(np.float64)
            weights[task.name] = np.where(seen, 1.0, INFERRED * known)
    return targets, weights


def _inferred(
    task: Task, labels: Annotations, relations: Sequence[AnyRelation]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return P(class), or P(label on), by the tables from a row's other labels, and where known."""
    shape = (len(labels), task.width)
    logs = np.zeros(shape)
    known: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    off = np.zeros(shape)  # of multilabel tasks
    for relation in relations:
        if not isinstance(relation, Relation):
            continue
        if relation.target.name == task.name:
            codes = labels.labels[relation.source.name]
            says = (codes >= 0)[:, None] & relation.mask[codes]
            p = np.where(says, relation.table[codes], 1.0)
            q = np.where(says, 1 - relation.table[codes], 1.0)
        elif relation.source.name == task.name:
            codes = labels.labels[relation.target.name]
            flat = np.full(task.width, 1 / task.width)
            seen = labels.labelled(relation.target.name)
            says = np.repeat(seen[:, None], task.width, axis=1)
            p = np.where(says, source_posterior(relation, flat, codes), 1.0)
            q = np.ones(shape)
        else:
            continue
        logs, off = logs + np.log(p + 1e-6), off + np.log(q + 1e-6)
        known[says] = True
    if isinstance(task, Multiclass):
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True), known
    return 1 / (1 + np.exp(off - logs)), known


def _epsilons(given: float | Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, a_number("epsilon", given, low=0.01, high=100))
    for name in given:
        if name not in names:
            raise LabelweaveError(
                f"epsilon: no source '{name}', expected {listing(names)}{nearest(name, names)}"
            )
    for name in names:
        if name not in given:
            raise LabelweaveError(f"epsilon: found none of source '{name}', expected one")
    return {n: a_number(f"epsilon of '{n}'", given[n], low=0.01, high=100) for n in names}


def _encoded(sources: Sequence[Source], public: Table | Cells) -> tuple[TableEncoder, torch.Tensor]:
    """Return the encoder of the public rows, and the sources' rows as it encodes them."""
    rows = public if isinstance(public, Cells) else Cells.of_frame(input_frame(public), "public")
    schema = Schema.infer([rows])
    encoder = TableEncoder().fit(schema.apply(rows))
    encoder.schema = schema
    parts = [
        encoder.transform(schema.apply(Cells.of_frame(each.inputs, f"source '{each.name}'")))
        for each in sources
    ]
    return encoder, torch.from_numpy(np.concatenate(parts))


class _Rows:
    """What training draws from: inputs, targets, weights, and the largest gradient of each row."""

    def __init__(
        self,
        inputs: torch.Tensor,
        targets: Mapping[str, Floats],
        weights: Mapping[str, Floats],
        clips: Floats,
    ) -> None:
        self.inputs, self.clips = inputs, torch.from_numpy(clips).float()
        self.learnt = {
            name: (torch.from_numpy(t).float(), torch.from_numpy(weights[name]).float())
            for name, t in targets.items()
        }


def _train(
    network: MultiTaskNetwork,
    rows: _Rows,
    rate: float,
    deviation: float,
    steps: int,
    learning_rate: float,
) -> None:
    """Train by DP-SGD; `deviation` is that of the noise on the sum of the gradients."""
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer

    n, largest = len(rows.clips), float(rows.clips.max())
    wrapped: Any = GradSampleModule(network, loss_reduction="sum")
    optimiser: Any = DPOptimizer(
        torch.optim.Adam(network.parameters(), lr=learning_rate),
        noise_multiplier=deviation / largest,
        max_grad_norm=largest,
        expected_batch_size=max(1, round(rate * n)),
    )
    network.train()
    for _ in range(steps):
        drawn = torch.nonzero(torch.rand(n, dtype=torch.float64) < rate)[:, 0]
        empty = len(drawn) == 0  # noise is added all the same: one row with a gradient of 0
        drawn = torch.zeros(1, dtype=torch.int64) if empty else drawn
        scores = wrapped(rows.inputs[drawn].requires_grad_())  # without it opacus warns
        losses = [
            _loss(task, scores[task.name], *(part[drawn] for part in rows.learnt[task.name]))
            for task in network.tasks
        ]
        torch.autograd.backward(torch.stack(losses).sum() * (not empty))
        cut_gradients(list(network.parameters()), rows.clips[drawn])
        optimiser.step()
        optimiser.zero_grad()
    wrapped.remove_hooks()
    for parameter in network.parameters():
        parameter.grad = None
        if hasattr(parameter, "grad_sample"):
            del parameter.grad_sample
    network.eval()


def cut_gradients(parameters: Sequence[Any], clips: torch.Tensor) -> None:
    """Cut the gradient of each row, which opacus keeps as ``grad_sample``, to its largest norm."""
    squares = [p.grad_sample.flatten(1).square().sum(dim=1) for p in parameters]
    norms = torch.stack(squares).sum(dim=0).sqrt()
    factors = (clips / (norms + 1e-6)).clamp(max=1.0)
    for p in parameters:
        p.grad_sample *= factors.view(-1, *[1] * (p.grad_sample.dim() - 1))


def _loss(
    task: Task, scores: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    if isinstance(task, Multiclass):
        return (F.cross_entropy(scores, targets, reduction="none") * weights).sum()
    each = F.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    return (each * weights).sum()

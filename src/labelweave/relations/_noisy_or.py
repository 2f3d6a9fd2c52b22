"""Noisy-OR: each label of one task may switch on labels of another ("any failure on: failure")."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labelweave._messages import Message, Text
from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.relations._arrays import flags, real_numbers
from labelweave.relations._relation import Relation
from labelweave.tasks import Multilabel

Floats = NDArray[np.float64]

HIGHEST = 1 - 1e-6  # of weights and leaks: a certain cause has no finite likelihood
TINY = 1e-12


def cause_values(name: str, source: Multilabel, values: ArrayLike, n: int) -> Floats:
    """Return labels or probabilities of the causes, (n, L_s), the missing ones at their mean.

    Raises:
        LabelweaveError: a wrong shape, or a value that is no probability and not -1.
    """
    p = np.array(values, dtype=np.float64)
    if p.shape != (n, source.width):
        raise LabelweaveError(
            f"noisy-OR {name}: found source values of shape {p.shape}, expected {(n, source.width)}"
        )
    known = p != -1
    wrong = known & ~((p >= 0) & (p <= 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise LabelweaveError(
            f"noisy-OR {name}, row {row + 1}, '{source.names[column]}': found {p[row, column]:.4g},"
            " expected a probability from 0 to 1, or -1 = missing"
        )
    mean = np.where(known, p, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, p, mean)


def estimate_label(
    p: Floats, on: NDArray[np.bool_], pseudo_off: Floats, pseudo_on: Floats
) -> tuple[Floats, float]:
    """Return the likeliest weights (L_s,) and leak of one target label.

    Args:
        p: (n, L_s) values of the causes.
        on: (n,) whether the label is on.
        pseudo_off: (L_s + 1,) further rows with one cause alone (last: without any) and label off.
        pseudo_on: the same with the label on.
    """

    def loss(parameters: Floats) -> tuple[float, Floats]:
        # a leak is a cause that is always there
        off = 1 - parameters * causes
        q_off = np.prod(off, axis=1)
        q_on = np.maximum(1 - q_off, TINY)
        rest, weight = 1 - parameters, np.maximum(parameters, TINY)
        value = -np.log(np.where(on, q_on, np.maximum(q_off, TINY))).sum()
        value -= (pseudo_off * np.log(rest) + pseudo_on * np.log(weight)).sum()
        slope = np.where(on, -q_off / q_on, 1.0)[:, None] * (causes / off)
        return float(value), slope.sum(axis=0) + pseudo_off / rest - pseudo_on / weight

    causes = np.concatenate([p, np.ones((len(p), 1))], axis=1)
    base = (on.sum() + 0.5) / (len(on) + 1)
    start = np.append(np.full(p.shape[1], 0.5 * base), 0.5 * base)
    bounds = [(0.0, HIGHEST)] * p.shape[1] + [(TINY, HIGHEST)]
    from scipy.optimize import minimize  # takes half a second to load

    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])


Mask = NDArray[np.bool_]

LEAK = "leak"  # the row of a written noisy-OR that is no label


@dataclass(frozen=True, eq=False)
class NoisyOr:
    """Directed relatedness of two multilabel tasks by independent causes and a leak.

    q(t_j) = 1 - (1 - leak_j) * prod_i (1 - w_ij p(s_i)): a source label that is on switches target
    label j on with probability w_ij, and anything else does with probability leak_j (Pearl,
    "Probabilistic Reasoning in Intelligent Systems", 1988, section 4.3.2).

    >>> modes, state = Multilabel("modes", ("wear", "heat")), Multilabel("state", ("fails",))
    >>> NoisyOr(modes, state, weights=[[0.9], [0.6]], leak=[0.02]).name
    'modes->state'

    Args:
        source: the source task, L_s labels.
        target: the target task, L_t labels.
        weights: (L_s, L_t), in [0, 1].
        leak: (L_t,), in [0, 1].
        known: (L_s, L_t), which weights are known; None = all. Where a cause of unknown weight is
            on, the relation says nothing: all figures are for rows where none of them is.
        strength: factor on every coupling term of this relation, at least 0.
        origin: where it comes from, in words.

    Raises:
        LabelweaveError: source and target are one task or not multilabel, a wrong shape, or a value
            outside [0, 1].
    """

    source: Multilabel
    target: Multilabel
    weights: Floats
    leak: Floats
    known: Mask | None = None
    strength: float = 1.0
    origin: Text = "given"

    def __post_init__(self) -> None:
        for task in (self.source, self.target):
            if not isinstance(task, Multilabel):
                raise self._wrong(f"'{task.name}' is {task.kind}, expected multilabel or binary")
        if self.source.name == self.target.name:
            raise self._wrong("source and target are the same task")
        if not 0 <= self.strength < np.inf:
            raise self._wrong(f"strength {self.strength}, expected a number of 0 or more")
        shape = (self.source.width, self.target.width)
        known = (
            np.ones(shape, np.bool_)
            if self.known is None
            else flags(self.known, f"noisy-OR {self.name}: known")
        )
        weights = real_numbers(self.weights, f"noisy-OR {self.name}: weights")
        leak = real_numbers(self.leak, f"noisy-OR {self.name}: leak")
        self._check_shape("known", known, shape)
        self._check_shape("weights", weights, shape)
        self._check_shape("leak", leak, shape[1:])
        weights[~known] = 0.0
        for field, values in (("weights", weights), ("leak", leak)):
            if not ((values >= 0) & (values <= 1)).all():
                raise self._wrong(
                    f"found {field} from {values.min():.4g} to {values.max():.4g}, expected "
                    "probabilities from 0 to 1"
                )
        for field, array in (("weights", weights), ("leak", leak), ("known", known)):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def _check_shape(self, field: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
        if array.shape != expected:
            raise self._wrong(f"found {field} of shape {array.shape}, expected {expected}")

    def _wrong(self, reason: str) -> LabelweaveError:
        return LabelweaveError(f"noisy-OR {self.name}: {reason}")

    @property
    def name(self) -> str:
        """The relation's name, ``source->target``."""
        return f"{self.source.name}->{self.target.name}"

    @property
    def mask(self) -> Mask:
        """Which weights are known, (L_s, L_t)."""
        return np.ones(self.weights.shape, np.bool_) if self.known is None else self.known

    @property
    def spoken(self) -> Mask:
        """The target labels that some known weight covers, (L_t,)."""
        return np.asarray(self.mask.any(axis=0))

    def permuted(self, seed: int) -> Self:
        """Return the relation with its causes shuffled: the control that must not help.

        Every cause gets another's weights, in a cycle over a random order. Where all causes weigh
        the same, this changes nothing.
        """
        order = np.random.default_rng(seed).permutation(self.source.width)
        rows = np.empty_like(order)
        rows[order] = np.roll(order, 1)
        return replace(
            self,
            weights=self.weights[rows],
            known=self.mask[rows],
            origin=Message("message.shuffled", {"origin": self.origin}),
        )

    @classmethod
    def estimate(
        cls,
        source: Multilabel,
        target: Multilabel,
        source_values: ArrayLike,
        target_labels: ArrayLike,
        smoothing: float = 1.0,
        *,
        prior: "NoisyOr | None" = None,
        strength: float = 5.0,
    ) -> Self:
        """Estimate weights and leaks by maximum likelihood, each target label by itself.

        Args:
            source: the source task.
            target: the target task.
            source_values: (n, L_s): labels (1, 0, -1 = missing) or probabilities of "on". A
                missing label counts with the mean of its label: the cause's average effect.
            target_labels: codes (n, L_t), -1 = missing. A label without any is not covered.
            smoothing: pseudo-rows for every weight in which the source label alone was on and the
                target label off; above 0. They hold back causes that are rarely seen.
            prior: an expert's noisy-OR; each weight that it knows enters as `strength` rows in
                which that cause alone was on, each leak as rows without a cause.
            strength: pseudo-rows of the prior, at least 0.

        Raises:
            LabelweaveError: values or labels that do not fit the tasks, or smoothing not above 0.
        """
        name = f"{source.name}->{target.name}"
        if not smoothing > 0:
            raise LabelweaveError(
                f"noisy-OR {name}: smoothing {smoothing}, expected a number above 0"
            )
        codes = Annotations((target,), {target.name: np.asarray(target_labels)}).labels[target.name]
        p = cause_values(name, source, source_values, len(codes))
        weights, leak = np.zeros((source.width, target.width)), np.full(target.width, 0.5)
        known = np.zeros(weights.shape, np.bool_)
        off, on = np.zeros((2, source.width + 1, target.width))
        off[:-1] = smoothing
        if prior is not None:
            given = np.concatenate([prior.weights, prior.leak[None]])
            knows = np.concatenate([prior.mask, prior.spoken[None]])
            off, on = np.where(knows, strength * (1 - given), off), knows * strength * given
            known |= prior.mask
        for j in range(target.width):
            seen = codes[:, j] >= 0
            known[:, j] |= seen.any()
            if known[:, j].any():
                weights[:, j], leak[j] = estimate_label(
                    p[seen], codes[seen, j] == 1, off[:, j], on[:, j]
                )
        origin = Message("message.fitted", {"rows": len(codes)})
        return cls(source, target, weights, leak, known, origin=origin)

    def predict(self, source_probabilities: ArrayLike) -> Floats:
        """Return q(t | x), (n, L_t), from the source's predictions p(s | x), (n, L_s).

        Raises:
            LabelweaveError: a wrong shape, or values outside [0, 1].
        """
        p = np.asarray(source_probabilities, dtype=np.float64)
        if p.ndim != 2 or p.shape[1] != self.source.width or not ((p >= 0) & (p <= 1)).all():
            raise LabelweaveError(
                f"noisy-OR {self.name}: found source predictions of shape {p.shape}, expected "
                f"probabilities from 0 to 1 of shape (rows, {self.source.width})"
            )
        columns = [
            1 - (1 - leak) * np.prod(1 - weights * p, axis=1)
            for weights, leak in zip(self.weights.T, self.leak, strict=True)
        ]
        return np.stack(columns, axis=1)


AnyRelation = Relation | NoisyOr  # whatever couples two tasks

"""Noisy-OR: each label of one task may switch on labels of another ("any failure on: failure")."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from labelweave.annotations import Annotations
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multilabel

Floats = NDArray[np.float64]

HIGHEST = 1 - 1e-6  # of weights and leaks: a certain cause has no finite likelihood
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class NoisyOr:
    """Directed relatedness of two multilabel tasks by independent causes and a leak.

    q(t_j) = 1 - (1 - leak_j) * prod_i (1 - w_ij p(s_i)): a source label that is on switches target
    label j on with probability w_ij, and anything else does with probability leak_j (Pearl,
    "Probabilistic Reasoning in Intelligent Systems", 1988, section 4.3.2).

    Args:
        source: the task that speaks, L_s labels.
        target: the task spoken about, L_t labels.
        weights: (L_s, L_t), in [0, 1].
        leak: (L_t,), in [0, 1].

    Raises:
        LabelweaveError: source and target are one task, a wrong shape, or a value outside [0, 1].
    """

    source: Multilabel
    target: Multilabel
    weights: Floats
    leak: Floats

    def __post_init__(self) -> None:
        if self.source.name == self.target.name:
            raise LabelweaveError(f"noisy-OR {self.name}: source and target are the same task")
        shapes = {"weights": (self.source.width, self.target.width), "leak": (self.target.width,)}
        for field, shape in shapes.items():
            values = np.array(getattr(self, field), dtype=np.float64)
            if values.shape != shape:
                raise LabelweaveError(
                    f"noisy-OR {self.name}: found {field} of shape {values.shape}, expected {shape}"
                )
            if not ((values >= 0) & (values <= 1)).all():
                raise LabelweaveError(
                    f"noisy-OR {self.name}: found {field} from {values.min():.4g} to "
                    f"{values.max():.4g}, expected probabilities from 0 to 1"
                )
            values.setflags(write=False)
            object.__setattr__(self, field, values)

    @property
    def name(self) -> str:
        """The relation's name, ``source->target``."""
        return f"{self.source.name}->{self.target.name}"

    @classmethod
    def fit(
        cls,
        source: Multilabel,
        target: Multilabel,
        source_values: ArrayLike,
        target_labels: ArrayLike,
        smoothing: float = 1.0,
    ) -> Self:
        """Fit weights and leaks by maximum likelihood, each target label by itself.

        Args:
            source: the task that speaks.
            target: the task spoken about.
            source_values: (n, L_s): labels (1, 0, -1 = missing) or probabilities of "on". A
                missing label counts with the mean of its label: the cause's average effect.
            target_labels: codes (n, L_t), -1 = missing. A label without any keeps weight 0 and
                leak 0.5.
            smoothing: pseudo-rows for every weight in which the source label alone was on and the
                target label off; above 0. They hold back causes that are rarely seen.

        Raises:
            LabelweaveError: values or labels that do not fit the tasks, or smoothing not above 0.
        """
        name = f"{source.name}->{target.name}"
        if not smoothing > 0:
            raise LabelweaveError(
                f"noisy-OR {name}: smoothing {smoothing}, expected a number above 0"
            )
        codes = Annotations((target,), {target.name: np.asarray(target_labels)}).labels[target.name]
        p = _causes(name, source, source_values, len(codes))
        weights, leak = np.zeros((source.width, target.width)), np.full(target.width, 0.5)
        for j in range(target.width):
            seen = codes[:, j] >= 0
            if seen.any():
                weights[:, j], leak[j] = _fit_label(p[seen], codes[seen, j] == 1, smoothing)
        return cls(source, target, weights, leak)

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


def _causes(name: str, source: Multilabel, values: ArrayLike, n: int) -> Floats:
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


def _fit_label(p: Floats, on: NDArray[np.bool_], smoothing: float) -> tuple[Floats, float]:
    """Return the weights (L_s,) and the leak of one target label; p (n, L_s), on (n,)."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        # a leak is a cause that is always there
        off = 1 - parameters * causes
        q_off = np.prod(off, axis=1)
        q_on = np.maximum(1 - q_off, TINY)
        pseudo = 1 - parameters[:-1]
        value = -np.log(np.where(on, q_on, np.maximum(q_off, TINY))).sum()
        value -= smoothing * np.log(pseudo).sum()
        slope = np.where(on, -q_off / q_on, 1.0)[:, None] * (causes / off)
        gradient = slope.sum(axis=0)
        gradient[:-1] += smoothing / pseudo
        return float(value), gradient

    causes = np.concatenate([p, np.ones((len(p), 1))], axis=1)
    base = (on.sum() + 0.5) / (len(on) + 1)
    start = np.append(np.full(p.shape[1], 0.5 * base), 0.5 * base)
    bounds = [(0.0, HIGHEST)] * p.shape[1] + [(TINY, HIGHEST)]
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])

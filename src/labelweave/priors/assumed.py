"""The prior that predictions assume: by a name, or the shares themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.data import read_table
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.priors.adjustment import Floats, Prior, adjust, estimate_prior
from labelweave.remarks import Remark, some
from labelweave.tasks import Multiclass, Task, key

NAMES = ("training", "population", "uniform", "rows")
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class AssumedPrior:
    """Which class prior predictions are for.

    Args:
        name: a name of `NAMES`; also for tasks that `given` leaves out.
        given: per task (K,) shares of the classes that sum to 1, or (L,) of labels being on.
    """

    name: str = "training"
    given: Mapping[str, Prior] = field(default_factory=dict)

    def apply(
        self,
        tasks: Sequence[Task],
        probabilities: Mapping[str, Floats],
        known: Mapping[str, Mapping[str, Prior]],
    ) -> dict[str, NDArray[np.float32]]:
        """Return probabilities under this prior, of those under the training prior.

        Args:
            tasks: the tasks.
            probabilities: per task (n, K) or (n, L), under the training prior.
            known: the priors of each task in ``training`` and in the ``population``.

        Raises:
            LabelweaveError: another prior is asked for, and that of the training is not known.
        """
        result = {name: np.asarray(p, dtype=np.float32) for name, p in probabilities.items()}
        for task in tasks:
            if self.name == "training" and task.name not in self.given:
                continue
            if task.name not in known.get("training", {}):
                raise LabelweaveError(
                    f"prior: the model does not say with which shares task '{task.name}' was "
                    "trained; train it again, or predict with prior 'training'"
                )
            p, old = probabilities[task.name], known["training"][task.name]
            new = self._prior(task, p, old, known["population"][task.name])
            result[task.name] = adjust(task, p, old, new).astype(np.float32)
        return result

    def _prior(self, task: Task, p: Floats, old: Prior, population: Prior) -> Prior:
        if task.name in self.given:
            return self.given[task.name]
        if self.name == "population":
            return population
        if self.name == "rows":
            return estimate_prior(task, p, old)
        return np.full(task.width, 1 / task.width if isinstance(task, Multiclass) else 0.5)

    def remark(self) -> Remark:
        """Return what the prior is, in words."""
        named = Remark(f"prior.{self.name}")
        if not self.given:
            return named
        return Remark("prior.given", tasks=some(list(self.given)), prior=named)

    def __str__(self) -> str:
        return str(self.remark())

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able description, for `from_dict`."""
        return {"name": self.name, "given": {n: list(map(float, p)) for n, p in self.given.items()}}

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "AssumedPrior":
        """Return the prior that `to_dict` described."""
        given = {name: np.asarray(shares) for name, shares in description["given"].items()}
        return cls(description["name"], given)


PriorChoice = str | Path | Mapping[str, Any] | AssumedPrior


def assumed_prior(choice: PriorChoice, tasks: Sequence[Task], place: str = "prior") -> AssumedPrior:
    """Return the prior that a user names or gives.

    Args:
        choice: a name of `NAMES`; per task its shares, each class or label with its probability
            (for a task of one label, the probability alone will do); or a CSV file of them with the
            columns ``task``, ``class`` and ``probability``.
        tasks: the tasks that are predicted; those left out keep the training prior.
        place: what errors call the choice, where it is no file.

    Raises:
        LabelweaveError: an unknown name, task or class, a class left out, or shares that are none.
    """
    if isinstance(choice, AssumedPrior):
        return choice
    if isinstance(choice, Mapping):
        return _given(choice, tasks, place)
    if str(choice) in NAMES:
        return AssumedPrior(str(choice))
    path = Path(choice)
    if path.suffix != ".csv":
        raise LabelweaveError(
            f"{place}: found '{choice}', expected {listing(NAMES)} or a CSV file"
            f"{nearest(choice, NAMES)}"
        )
    return _given(_read(path), tasks, str(path))


def _read(path: Path) -> dict[str, dict[str, float]]:
    table = read_table(path)
    columns = ("task", "class", "probability")
    for column in columns:
        if column not in table:
            raise LabelweaveError(
                f"{path}: no column '{column}', found {listing(table.columns)}"
                f"{nearest(column, table.columns)}"
            )
    given: dict[str, dict[str, float]] = {}
    for task, name, share in table[list(columns)].itertuples(index=False):
        shares = given.setdefault(key(task), {})
        if key(name) in shares:
            raise LabelweaveError(f"{path}: found '{name}' of task '{task}' twice, expected once")
        shares[key(name)] = share
    return given


def _given(choice: Mapping[str, Any], tasks: Sequence[Task], place: str) -> AssumedPrior:
    known = {task.name: task for task in tasks}
    for name in choice:
        if name not in known:
            raise LabelweaveError(
                f"{place}: no task '{name}', expected {listing(known)}{nearest(name, known)}"
            )
    return AssumedPrior(
        given={name: _shares(known[name], shares, place) for name, shares in choice.items()}
    )


def _shares(task: Task, choice: Any, place: str) -> Prior:
    place = f"{place}, task '{task.name}'"
    if not isinstance(choice, Mapping):
        choice = {task.names[0]: choice} if task.width == 1 else choice
    if not isinstance(choice, Mapping):
        raise LabelweaveError(f"{place}: found {choice!r}, expected each class with its share")
    shares = {key(name): share for name, share in choice.items()}
    for name in shares:
        if name not in task.names:
            expected = f"expected {listing(task.names)}{nearest(name, task.names)}"
            raise LabelweaveError(f"{place}: no class '{name}', {expected}")
    missing = [name for name in task.names if name not in shares]
    if missing:
        raise LabelweaveError(f"{place}: found no share of {listing(missing)}, expected one each")
    for name, share in shares.items():
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise LabelweaveError(
                f"{place}, '{name}': found {share!r}, expected a share from 0 to 1"
            )
    prior = np.array([shares[name] for name in task.names], dtype=np.float64)
    if not isinstance(task, Multiclass):
        return prior
    if abs(prior.sum() - 1) > SUM_TOLERANCE:
        raise LabelweaveError(f"{place}: shares that sum to {prior.sum():.4g}, expected 1")
    return np.asarray(prior / prior.sum())

"""What `fit_coupled` returns: all tasks' learners, coupled and guarded; it predicts and saves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave._files import make_folder, unreadable, write_text
from labelweave._saved import SavedStack, read_description, tasks_of
from labelweave.coupling._guard import Candidate
from labelweave.coupling._posterior import Link, joint_posterior
from labelweave.errors import LabelweaveError, in_place
from labelweave.learners import JointLearner, JointModel, Member, TaskStack
from labelweave.learners._saving import read_models, write_models
from labelweave.learners._stacking import tempered
from labelweave.tasks import Task, task_to_dict

Floats = NDArray[np.float64]

FORMAT = 1
CHUNK, CELLS = 20_000, 4_000_000  # rows, and rows times classes, predicted at a time


@dataclass(frozen=True, eq=False)
class CoupledStack:
    """Guarded predictions of several tasks.

    Attributes:
        tasks: the tasks.
        centre, scale: (d,) standardise the inputs.
        alone: per task the mixture of its learners.
        self_trained: per task the mixture after self-training, where there is one.
        links: the relations with their strengths.
        self_links: the same for self-trained predictions.
        guards: per task its candidates.
        joint: joint learners' models by name.
        rates: per task the class shares (K,) or label-on shares (L,) that predictions are for.
        strengths: what was found for each relation, JSON-able.
        history: what was done and left out, and why.
    """

    tasks: tuple[Task, ...]
    centre: Floats
    scale: Floats
    alone: Mapping[str, TaskStack]
    self_trained: Mapping[str, TaskStack]
    links: Sequence[Link]
    self_links: Sequence[Link]
    guards: Mapping[str, Sequence[Candidate]]
    joint: Mapping[str, JointModel]
    rates: Mapping[str, Floats]
    strengths: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def weights(self) -> dict[str, dict[str, float]]:
        """Per task the weight of each learner in the mixture of the task alone."""
        return {
            name: {member.key: member.weight for member in stack.members}
            for name, stack in self.alone.items()
        }

    @property
    def guard(self) -> dict[str, dict[str, float]]:
        """Per task the weight of each candidate."""
        return {name: {c.name: c.weight for c in found} for name, found in self.guards.items()}

    def predict_proba(self, X: Floats, joint_inputs: Any = None) -> dict[str, Floats]:
        """Return per task class (n, K) or label-on (n, L) probabilities.

        Args:
            X: (n, d) encoded inputs.
            joint_inputs: what joint learners read of the n rows, as in the fit; None = `X`.

        Raises:
            LabelweaveError: another number of columns, or values that are not finite.
        """
        X = self._checked(X)
        joint = X if joint_inputs is None else joint_inputs
        found = {t.name: np.empty((len(X), t.width)) for t in self.tasks}
        step = min(CHUNK, max(1, CELLS // max(task.width for task in self.tasks)))
        for i in range(0, max(1, len(X)), step):
            for name, p in self._predict(X[i : i + step], joint[i : i + step]).items():
                found[name][i : i + step] = p
        return found

    def candidates(self, X: Floats, joint_inputs: Any = None) -> dict[str, dict[str, Floats]]:
        """Return per task each candidate's probabilities, tempered; what `guard` averages."""
        X = self._checked(X)
        joint = X if joint_inputs is None else joint_inputs
        return self._candidates(X, joint, everything=True)

    def _checked(self, X: Floats) -> Floats:
        X = np.asarray(X, np.float64)
        if X.ndim != 2 or X.shape[1] != len(self.centre):
            raise LabelweaveError(f"X: found shape {X.shape}, expected (rows, {len(self.centre)})")
        return standardised(X, self.centre, self.scale)

    def _predict(self, X: Floats, joint_inputs: Any) -> dict[str, Floats]:
        found = self._candidates(X, joint_inputs, everything=False)
        result = {}
        for task in self.tasks:
            weights = self.guard[task.name]
            p = sum(w * found[task.name][name] for name, w in weights.items() if w > 0)
            result[task.name] = np.asarray(p)
        return result

    def _candidates(
        self, X: Floats, joint_inputs: Any, *, everything: bool
    ) -> dict[str, dict[str, Floats]]:
        wanted = {
            c.name for found in self.guards.values() for c in found if everything or c.weight > 0
        }
        joint = {name: dict(model.predict(joint_inputs)) for name, model in self.joint.items()}
        by_task = {t.name: {name: p[t.name] for name, p in joint.items()} for t in self.tasks}
        alone = {n: stack.predict(X, by_task[n]) for n, stack in self.alone.items()}
        made: dict[str, Mapping[str, Floats]] = {"alone": alone}
        if "coupled" in wanted:
            made["coupled"] = joint_posterior(alone, self.links)
        if wanted & {"self_trained", "self_trained_coupled"}:
            taught = {n: stack.predict(X, by_task[n]) for n, stack in self.self_trained.items()}
            made["self_trained"] = taught
            if "self_trained_coupled" in wanted:
                made["self_trained_coupled"] = joint_posterior({**alone, **taught}, self.self_links)
        made |= joint
        return {
            task.name: {
                c.name: tempered(task, made[c.name][task.name], c.temperature)
                for c in self.guards[task.name]
                if everything or c.weight > 0
            }
            for task in self.tasks
        }

    def save(self, folder: Path) -> None:
        """Write everything into a folder: scikit-learn models by skops, all else as JSON.

        Raises:
            LabelweaveError: a learner that skops cannot write, or a file that cannot be written.
        """
        make_folder(folder)
        stacks = {"alone": self.alone, "self_trained": self.self_trained}
        models = {
            f"{kind}/{name}/{m.key}": m.model
            for kind, found in stacks.items()
            for name, stack in found.items()
            for m in stack.members
            if m.model is not None
        }
        parts = write_models(models, folder / "learners.skops")
        for name, model in self.joint.items():
            place = folder / "joint" / name
            make_folder(place)
            model.save(place)
        described = {
            "format": FORMAT,
            "tasks": [task_to_dict(task) for task in self.tasks],
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "models": parts,
            "joint": list(self.joint),
            "rates": {name: rate.tolist() for name, rate in self.rates.items()},
            "strengths": list(self.strengths),
            "history": list(self.history),
            "links": [_link_to_dict(link) for link in self.links],
            "self_links": [_link_to_dict(link) for link in self.self_links],
            "guards": {n: [asdict(c) for c in found] for n, found in self.guards.items()},
        } | {
            kind: {
                name: [{"key": m.key, "weight": m.weight, "temperature": m.temperature}
                       for m in stack.members]
                for name, stack in found.items()
            }
            for kind, found in stacks.items()
        }  # fmt: skip
        write_text(folder / "stack.json", json.dumps(described))

    @classmethod
    def load(cls, folder: Path, joint_learners: Sequence[JointLearner] = ()) -> "CoupledStack":
        """Return what `save` wrote; it predicts bitwise the same.

        Args:
            folder: where it was written.
            joint_learners: those whose models belong to it, to read them.

        Raises:
            LabelweaveError: no such folder, another format, or a joint learner that is missing.
        """
        path = folder / "stack.json"
        try:
            saved = read_description(path, SavedStack, FORMAT)
        except OSError as error:
            raise unreadable(path, error) from None
        with in_place(path):
            listed = tasks_of(saved.tasks)
            saved.check(listed)
        found, tasks = saved.model_dump(), {task.name: task for task in listed}
        models = read_models(found["models"], folder / "learners.skops")
        learners = {learner.name: learner for learner in joint_learners}
        for name in found["joint"]:
            if name not in learners:
                raise LabelweaveError(f"{folder}: found a model of '{name}', which was not given")

        def stacks(kind: str) -> dict[str, TaskStack]:
            return {
                name: TaskStack(
                    tasks[name],
                    tuple(Member(**m, model=models.get(f"{kind}/{name}/{m['key']}")) for m in ms),
                )
                for name, ms in found[kind].items()
            }

        return cls(
            tuple(tasks.values()),
            np.array(found["centre"]),
            np.array(found["scale"]),
            stacks("alone"),
            stacks("self_trained"),
            [_link_from_dict(link, tasks) for link in found["links"]],
            [_link_from_dict(link, tasks) for link in found["self_links"]],
            {n: [Candidate(**c) for c in cs] for n, cs in found["guards"].items()},
            {n: learners[n].load(folder / "joint" / n) for n in found["joint"]},
            {name: np.array(rate) for name, rate in found["rates"].items()},
            found["strengths"],
            found["history"],
        )


def standardised(X: Floats, centre: Floats, scale: Floats) -> Floats:
    """Return (X - centre) / scale.

    Raises:
        LabelweaveError: a value that is not finite.
    """
    bad = ~np.isfinite(X)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise LabelweaveError(
            f"X: row {row + 1}, column {column + 1}: found {X[row, column]}, expected a finite "
            "number"
        )
    return np.asarray((X - centre) / scale)


def _link_to_dict(link: Link) -> dict[str, Any]:
    arrays = ("table", "known", "target_rate", "spoken_rate")
    return {
        "source": link.source.name,
        "target": link.target.name,
        "to_source": link.to_source,
        "to_target": link.to_target,
    } | {name: getattr(link, name).tolist() for name in arrays}


def _link_from_dict(found: Mapping[str, Any], tasks: Mapping[str, Task]) -> Link:
    return Link(
        tasks[found["source"]],
        tasks[found["target"]],
        np.array(found["table"]),
        np.array(found["known"], np.bool_),
        found["to_source"],
        found["to_target"],
        np.array(found["target_rate"]),
        np.array(found["spoken_rate"]),
    )

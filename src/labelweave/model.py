"""A trained model as a folder: weights in safetensors, everything else in JSON."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import labelweave
from labelweave._arguments import a_path
from labelweave._files import write_text
from labelweave._saved import SavedModel, SavedNetworks, arrays, read_description, tasks_of
from labelweave._shapes import Shape
from labelweave.annotations import Annotations
from labelweave.class_priors import AssumedPrior, PriorChoice, adjust, assumed_prior
from labelweave.data import Inputs
from labelweave.data._batches import chunk_rows, tensor
from labelweave.data._input_encoder import Encoder, encoder_from_dict
from labelweave.data._row_store import StoredInputs
from labelweave.errors import LabelweaveError, in_place
from labelweave.evaluation._calibration_maps import Calibration
from labelweave.evaluation._top_classes import Kept, keep
from labelweave.networks import BACKBONES, Backbone, MultiTaskNetwork, backbone
from labelweave.networks._trunks import Trunks, places
from labelweave.tables import Schema, Table
from labelweave.tables._new_rows import new_row_notes
from labelweave.tasks import Binary, Multiclass, Multilabel, Task, task_to_dict
from labelweave.training._checkpoint import load_tensors, save_tensors

__all__ = ["EncodedPredictor", "Model", "Predictor"]


def joint_probabilities(
    networks: Sequence[MultiTaskNetwork], inputs: Inputs
) -> dict[str, NDArray[np.float32]]:
    """Return P(class) or P(label on) of the tasks of all networks."""
    return _in_chunks(lambda rows: _probabilities(networks, rows), inputs)


def backbone_features(network: MultiTaskNetwork, inputs: Inputs) -> NDArray[np.float32]:
    """Return what a network's backbone makes of encoded inputs, (n, d)."""
    made = _in_chunks(lambda rows: {"": network.features(tensor(rows, "cpu")).numpy()}, inputs)
    return made[""]


def _in_chunks(
    function: Callable[[NDArray[Any]], dict[str, NDArray[np.float32]]], inputs: Inputs
) -> dict[str, NDArray[np.float32]]:
    if not isinstance(inputs, StoredInputs):
        return function(inputs)
    step = chunk_rows(inputs)
    parts = [
        function(np.asarray(inputs[start : start + step]))
        for start in range(0, max(1, len(inputs)), step)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _probabilities(
    networks: Sequence[MultiTaskNetwork], inputs: NDArray[Any]
) -> dict[str, NDArray[np.float32]]:
    rows = tensor(inputs, "cpu")
    return {
        name: values.numpy()
        for network in networks
        for name, values in network.probabilities(rows).items()
    }


FORMAT = 1
SCHEMA = "schema.yaml"


@dataclass(frozen=True)
class NetworkSpec:
    """What is needed to build a network's backbone again: its name and options."""

    backbone: str = "mlp"
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(
        self, inputs: Shape, tasks: Sequence[Task], own_trunks: Sequence[str] = ()
    ) -> MultiTaskNetwork:
        """Return a new network; its weights come from PyTorch's global random numbers.

        Args:
            inputs: the form of a row.
            tasks: the tasks.
            own_trunks: names of those that share no trunk with another.
        """
        trunks = 1 + max(places([task.name for task in tasks], own_trunks), default=0)
        made = [backbone(self.backbone, inputs, **self.options) for _ in range(trunks)]
        # a trunk alone is shared by whoever is there
        if trunks == 1:
            return MultiTaskNetwork(made[0], tasks)
        return MultiTaskNetwork(Trunks(made), tasks, own_trunks=own_trunks)


@dataclass
class TrainingRecord:
    """How a training went; not saved with the model.

    Attributes:
        curve: the loss terms over the steps, of a joint network.
        diagnostics: of a joint network its tasks' ``speeds`` and ``gradients``
            (`labelweave.training`) and ``fits`` (`labelweave.fitting.task_fits`).
        parameters: number of trained weights.
        networks: number of trained networks.
        warm: all of them started from the weights of a former model.
    """

    curve: dict[str, Any] | None = None
    diagnostics: dict[str, Any] | None = None
    parameters: int = 0
    networks: int = 0
    warm: bool = False


class Predictor(Protocol):
    """Whatever predicts the tasks from encoded inputs: networks, trees, a stack of learners.

    Attributes:
        tasks: the tasks that it predicts.
        thresholds: per multilabel task the probability from which a label counts as on.
        prior: the class prior that predictions assume.
        record: how its training went.
    """

    thresholds: dict[str, NDArray[np.float64]]
    prior: AssumedPrior
    record: TrainingRecord

    @property
    def tasks(self) -> tuple[Task, ...]: ...  # noqa: D102

    def probabilities(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return P(class) or P(label on) under the training prior, of encoded inputs."""

    def under_prior(
        self, probabilities: Mapping[str, NDArray[np.float32]]
    ) -> dict[str, NDArray[np.float32]]:
        """Return what `probabilities` gives as it is under the assumed prior."""

    def save(self, folder: Path) -> None:
        """Write it to a folder."""


def kept_predictions(model: Predictor, inputs: Inputs, labels: Annotations) -> dict[str, Kept]:
    """Return what is kept of the predictions of many rows under the assumed prior; see `keep`.

    With the prior ``rows``, which depends on all of them, they are predicted at once.
    """

    def predict(rows: Inputs) -> dict[str, NDArray[np.float32]]:
        return model.under_prior(model.probabilities(rows))

    return keep(predict, inputs, labels, at_once=model.prior.name == "rows")


class EncodedPredictor(ABC):
    """A model with its encoder: raw rows in, probabilities or predictions out.

    Attributes:
        encoder: turns raw columns into the model's inputs.
        thresholds: per multilabel task the probability from which a label counts as on, (L,);
            0.5 for tasks left out.
        priors: per task the class prior in ``training`` and in the ``population``.
        prior: the class prior that predictions assume.
        calibration: maps of the probabilities under the training prior; None = as they are.
    """

    encoder: Encoder
    thresholds: dict[str, NDArray[np.float64]]
    priors: dict[str, dict[str, NDArray[np.float64]]]
    prior: AssumedPrior
    calibration: Calibration | None

    @property
    @abstractmethod
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model predicts."""

    @abstractmethod
    def uncalibrated(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return `probabilities` before calibration."""

    def probabilities(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return P(class) or P(label on) under the training prior, of encoded inputs."""
        given = self.uncalibrated(encoded)
        if self.calibration is None:
            return given
        return {n: p.astype(np.float32) for n, p in self.calibration.apply(given).items()}

    @abstractmethod
    def features(self, encoded: Inputs) -> NDArray[np.float32]:
        """Return features that distinguish rows, (n, d)."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the model to a folder, made where needed."""

    def _description(self) -> dict[str, Any]:
        """Return what every kind of model keeps, JSON-able."""
        return {
            "encoder": self.encoder.to_dict(),
            "has_schema": self.encoder.schema is not None,
            "thresholds": {name: list(map(float, t)) for name, t in self.thresholds.items()},
            "prior": self.prior.to_dict(),
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "priors": {
                kind: {name: list(map(float, p)) for name, p in by_task.items()}
                for kind, by_task in self.priors.items()
            },
        }

    def predict_proba(
        self, inputs: pd.DataFrame | Table, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return per task P(class), (n, K), or P(label on), (n, L), of raw rows.

        Args:
            inputs: n raw rows.
            prior: the class prior to assume, see `assumed_prior`; None = the model's own choice.

        Raises:
            LabelweaveError: inputs that do not fit, or a prior that makes no sense.
        """
        return self.typed_proba(self.typed(inputs), prior)

    def typed_proba(
        self, typed: pd.DataFrame, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return `predict_proba` of rows that `typed` has read.

        Raises:
            LabelweaveError: a prior that makes no sense, or damaged weights.
        """
        return self.encoded_proba(self.encoder.transform(typed), prior)

    def encoded_proba(
        self, encoded: Inputs, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return `predict_proba` of rows that the encoder has read.

        Raises:
            LabelweaveError: a prior that makes no sense, or damaged weights.
        """
        found = self.under_prior(self.probabilities(encoded), prior)
        for name, p in found.items():
            if not np.isfinite(p).all():
                raise LabelweaveError(
                    f"task '{name}': the model gives probabilities that are not finite; its "
                    "weights are damaged"
                )
        return found

    def typed(self, inputs: pd.DataFrame | Table) -> pd.DataFrame:
        """Return raw rows read by the schema; columns that they may lack are missing in them.

        Raises:
            LabelweaveError: a column or value that does not fit.
        """
        schema = self.encoder.schema
        if schema is None:
            return inputs.cells.to_pandas() if isinstance(inputs, Table) else inputs
        lacking = schema.require_inputs([str(name) for name in inputs.columns])
        typed = _numbers_only(schema, inputs)
        if typed is None:
            typed = schema.apply(inputs, all_columns=False)
        return typed.assign(**dict.fromkeys(lacking, np.nan)) if lacking else typed

    def check(self, inputs: pd.DataFrame | Table) -> list[str]:
        """Return what is unusual of raw rows, a line each (`labelweave.tables.new_row_notes`)."""
        schema = self.encoder.schema
        if schema is None:
            return []
        lacking = schema.require_inputs([str(name) for name in inputs.columns])
        return new_row_notes(schema, self.typed(inputs), lacking)

    def _save_schema(self, folder: Path) -> None:
        if self.encoder.schema is not None:
            self.encoder.schema.to_yaml(folder / SCHEMA)

    def under_prior(
        self, probabilities: Mapping[str, NDArray[np.float32]], prior: PriorChoice | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return what `probabilities` gives as it is under the assumed prior."""
        chosen = self.prior if prior is None else assumed_prior(prior, self.tasks)
        return chosen.apply(self.tasks, probabilities, self.priors)

    def predict(
        self, inputs: pd.DataFrame, prior: PriorChoice | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return per task the likeliest class, (n,), or the labels that are on, (n, L) of 0 and 1.

        A binary task with named values gives these, (n,).
        """
        return self.decide(self.predict_proba(inputs, prior))

    def decide(self, probabilities: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the predictions that belong to probabilities."""
        return {task.name: self._decide(task, probabilities[task.name]) for task in self.tasks}

    def marks(self, task: Task, p: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which labels of a multilabel task count as on, from P(label on), (n, L)."""
        return np.asarray(p >= self.thresholds.get(task.name, 0.5))

    def _decide(self, task: Task, p: NDArray[Any]) -> NDArray[Any]:
        if isinstance(task, Multiclass):
            return task.decode(p.argmax(axis=1))
        on = self.marks(task, p).astype(np.int8)
        return task.decode(on[:, 0]) if isinstance(task, Binary) else on


def _numbers_only(schema: Schema, inputs: pd.DataFrame | Table) -> pd.DataFrame | None:
    """Return what the schema makes of inputs that are finite float64 already; None = of others.

    A table of few rows is read many times faster than column by column.
    """
    if isinstance(inputs, Table) or any(map(_is_number, schema.missing)):
        return None
    names = [str(name) for name in inputs.columns]
    chosen = [name in schema.columns and schema.columns[name].role == "input" for name in names]
    known = [name for name, keep in zip(names, chosen, strict=True) if keep]
    if len(set(names)) < len(names) or any(schema.columns[n].type != "number" for n in known):
        return None
    frame = inputs.loc[:, chosen]
    if not known or any(dtype != np.float64 for dtype in frame.dtypes):
        return None
    values = frame.to_numpy()
    if np.isinf(values).any():
        return None
    return pd.DataFrame(values, columns=known, index=inputs.index)


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


@dataclass
class Model(EncodedPredictor):
    """Raw rows in, probabilities out.

    >>> from labelweave import MultiTaskClassifier
    >>> X, y = pd.DataFrame({"a": range(20)}), pd.DataFrame({"high": ["no", "yes"] * 10})
    >>> MultiTaskClassifier(method="multi_task", steps=5).fit(X, y).save("model")
    >>> Model.load("model").predict_proba(X)["high"].shape
    (20, 2)

    Args:
        encoder: turns raw columns into the networks' inputs.
        spec: how the networks are built.
        networks: one network for all tasks, or one for each.
        thresholds: per multilabel task the probability from which a label counts as on, (L,);
            0.5 for tasks left out.
        priors: per task the class prior in ``training``, which the networks assume, and in the
            ``population`` of all training rows, (K,) or (L,); empty in models saved before these
            were kept. ``drawn``: of tasks whose loss frees them from it, that of the rows drawn.
        prior: the class prior that predictions assume.
        calibration: maps of the probabilities under the training prior; None = as they are.
        record: how the training went; not saved.
    """

    encoder: Encoder
    spec: NetworkSpec
    networks: list[MultiTaskNetwork]
    thresholds: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    priors: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    prior: AssumedPrior = field(default_factory=AssumedPrior)
    calibration: Calibration | None = None
    record: TrainingRecord = field(default_factory=TrainingRecord, compare=False, repr=False)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model predicts."""
        return tuple(task for network in self.networks for task in network.tasks)

    def uncalibrated(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return `probabilities` before calibration."""
        return joint_probabilities(self.networks, encoded)

    def drawn_probabilities(self, encoded: Inputs) -> dict[str, NDArray[np.float32]]:
        """Return `probabilities`, of all tasks under the prior of the rows that were drawn."""
        found = self.probabilities(encoded)
        for task in self.tasks:
            if task.name in self.priors.get("drawn", {}):
                assumed, drawn = (self.priors[kind][task.name] for kind in ("training", "drawn"))
                found[task.name] = adjust(task, found[task.name], assumed, drawn).astype(np.float32)
        return found

    def features(self, encoded: Inputs) -> NDArray[np.float32]:
        """Return what the (first network's) backbone makes of encoded inputs, (n, d)."""
        return backbone_features(self.networks[0], encoded)

    def save(self, folder: str | Path) -> None:
        """Write ``weights.safetensors``, ``model.json`` and ``schema.yaml`` to a folder.

        Raises:
            LabelweaveError: the backbone is a module of the user's own, which has no name.
        """
        path = a_path("save", folder, "a folder to write to")
        description = {
            "format": FORMAT,
            "labelweave": labelweave.__version__,
            "backbone": self._backbone(),
            "networks": [
                [task_to_dict(task) for task in network.tasks] for network in self.networks
            ],
            "own_trunks": [list(network.own_trunks) for network in self.networks],
            **self._description(),
        }
        weights = {
            f"{i}/{name}": value
            for i, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }
        save_tensors(path / "weights.safetensors", weights, {"format": FORMAT})
        self._save_schema(path)
        write_text(path / "model.json", json.dumps(description, indent=1))

    def _backbone(self) -> dict[str, Any]:
        """Return name and options that build the backbone again, from nothing but the folder."""
        made = self.networks[0].backbone if self.networks else None
        saved = made.saved if isinstance(made, Backbone) else None
        if saved is None:
            return {"name": self.spec.backbone, "options": dict(self.spec.options)}
        common = {k: v for k, v in self.spec.options.items() if k in ("norm", "frozen")}
        return {"name": saved[0], "options": {**saved[1], **common}}

    @classmethod
    def load(cls, folder: str | Path) -> "Model":
        """Read a model that `save` wrote.

        Raises:
            LabelweaveError: the folder holds no model, a damaged one, or one of a newer format.
        """
        path = Path(folder) / "model.json"
        try:
            found = read_description(path, SavedNetworks, FORMAT)
        except (FileNotFoundError, NotADirectoryError):
            raise LabelweaveError(f"{folder}: no model here, expected a file model.json") from None
        with in_place(path):
            by_network = [tasks_of(each) for each in found.networks]
            every = [task for tasks in by_network for task in tasks]
            found.check(every)
            calibration = calibration_of(found, every)
            found.check_trunks(by_network)
            spec = NetworkSpec(found.backbone.name, found.backbone.options)
            encoder = encoder_of(found, path.parent)
        weights, _ = load_tensors(Path(folder) / "weights.safetensors")
        check_weights(weights, Path(folder) / "weights.safetensors")
        networks = []
        own = found.own_trunks or [[] for _ in by_network]
        for i, tasks in enumerate(by_network):
            prefix = f"{i}/"
            part = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
            with in_place(path):
                network = built(spec, encoder, tasks, part, own[i])
            if network is None or set(part) != set(network.state_dict()):
                raise LabelweaveError(f"{folder}: the weights do not fit model.json")
            try:
                network.load_state_dict(part)
            except RuntimeError:
                raise LabelweaveError(f"{folder}: the weights do not fit model.json") from None
            networks.append(network.eval())
        if any(int(name.partition("/")[0]) >= len(networks) for name in weights):
            raise LabelweaveError(f"{folder}: weights of more networks than model.json has")
        thresholds, prior = arrays(found.thresholds), AssumedPrior.from_dict(dict(found.prior))
        priors = {str(kind): arrays(by_task) for kind, by_task in found.priors.items()}
        return cls(encoder, spec, networks, thresholds, priors, prior, calibration)


LARGEST_WEIGHT = 1e18  # what is larger gives values that are not finite


def check_weights(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    """Check that weights are finite and of a size that networks compute with.

    Raises:
        LabelweaveError: one is not; names it.
    """
    for name, value in weights.items():
        if not re.match(r"\d{1,4}/", name):
            raise LabelweaveError(f"{path}: found the tensor '{name}', expected 'NUMBER/NAME'")
        if value.is_floating_point() and value.numel():
            largest = float(value.abs().max())
            if not largest <= LARGEST_WEIGHT:
                raise LabelweaveError(
                    f"{path}: weight '{name}': found {largest}, expected at most {LARGEST_WEIGHT}"
                )


def encoder_of(saved: SavedModel, folder: Path) -> Encoder:
    """Return the encoder of a saved model, with the schema of its folder.

    Raises:
        LabelweaveError: it makes no sense, or its schema does not.
    """
    try:
        encoder = encoder_from_dict(saved.encoder.model_dump())
        if saved.has_schema:
            encoder.schema = Schema.from_yaml(folder / SCHEMA)
        return encoder
    except LabelweaveError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelweaveError(f"key 'encoder': makes no sense ({error!r})") from None


def calibration_of(saved: SavedModel, tasks: Sequence[Task]) -> Calibration | None:
    """Return the calibration of a saved model; None = it has none.

    Raises:
        LabelweaveError: a question of its tasks without a map, or a map that makes no sense.
    """
    if saved.calibration is None:
        return None
    maps = {name: each.model_dump() for name, each in saved.calibration.items()}
    return Calibration.from_dict(tasks, maps)


def built(
    spec: NetworkSpec,
    encoder: Encoder,
    tasks: Sequence[Task],
    weights: Mapping[str, torch.Tensor],
    own_trunks: Sequence[str],
) -> MultiTaskNetwork | None:
    """Return a network of a description, or None where its weights are of other shapes.

    The shapes are compared before memory is taken for them.

    Raises:
        LabelweaveError: the description makes no network.
    """
    try:
        if spec.backbone in BACKBONES:
            with torch.device("meta"):
                made = spec.build(encoder.shape_, tasks, own_trunks)
                shapes = {name: value.shape for name, value in made.state_dict().items()}
            if shapes != {name: value.shape for name, value in weights.items()}:
                return None
        return spec.build(encoder.shape_, tasks, own_trunks)
    except LabelweaveError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise LabelweaveError(f"the description makes no network ({error!r})") from None


def probability_columns(task: Task) -> list[str]:
    """Return a column name for every probability of a task: ``task=class`` or the label."""
    if isinstance(task, Multilabel) and task.width == 1:
        return [task.name]
    return [f"{task.name}={name}" for name in task.names]

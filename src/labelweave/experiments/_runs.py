"""Runs: one method on one seed, kept in a folder named by the hash of what made it."""

import hashlib
import json
import re
import shutil
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.torch import save

from labelweave._files import (
    LARGEST_TENSORS,
    check_regular,
    make_folder,
    remove_empty,
    replacing,
    unwritable,
    write_text,
)
from labelweave._parsing import read_json_object
from labelweave.data._row_hashes import SALT, row_hashes, write_row_hashes
from labelweave.errors import (
    OUT_OF_MEMORY,
    LabelweaveError,
    Stopped,
    TrainingError,
    WriteError,
    out_of_memory,
)
from labelweave.evaluation._top_classes import Kept, TopClasses, dense, keep
from labelweave.experiments._config import StudyConfig
from labelweave.fitting._fit import fit, taught_scores
from labelweave.fitting._methods import Method
from labelweave.fitting._sections import LabelShiftSection
from labelweave.fitting._split import Split
from labelweave.fitting._stack import load_model
from labelweave.model import Model, Predictor, TrainingRecord, kept_predictions
from labelweave.networks._backbones import identity
from labelweave.relations._operations import multiply_in
from labelweave.training import TrainingConfig
from labelweave.training._loop import Watch

RECORD, PREDICTIONS = "run.json", "predictions.safetensors"
RECORDED: dict[str, type | tuple[type, ...]] = {
    "seconds": (int, float), "parameters": int, "networks": int, "thresholds": dict,
}  # fmt: skip
WORDS = {"thresholds": "keys and values"}
# prefixes, so that a task may be called "rows"
TASK, CLASSES, WIDTH = "task/", "classes/", "width/"


@dataclass(frozen=True)
class Run:
    """One method on one seed.

    Attributes:
        method: the method's name in results.
        seed: the seed.
        key: hash of everything that the result depends on.
        folder: where the result is, or will be.
        teachers: the folder of the run whose networks teach this one; None = not taught.
    """

    method: str
    seed: int
    key: str
    folder: Path
    teachers: Path | None = None

    @property
    def done(self) -> bool:
        """Whether the result is there, whole."""
        return (self.folder / RECORD).exists()

    def record(self) -> dict[str, Any]:
        """Return the run's record: seconds, parameters, curve and thresholds.

        Raises:
            LabelweaveError: the file is damaged.
        """
        path = self.folder / RECORD
        try:
            record = read_json_object(path)
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from None
        for key, kind in RECORDED.items():
            if not isinstance(record.get(key), kind):
                wanted = WORDS.get(key, "a number")
                found = "nothing" if key not in record else f"'{record[key]}'"
                reason = ValueError(f"key '{key}': found {found}, expected {wanted}")
                raise _damaged(path, reason)
        return record

    def predictions(self) -> dict[str, Kept]:
        """Return the probabilities of the test rows, by task: (n, K) or (n, L).

        Of a task of over 1,000 classes a run keeps the 100 likeliest of each row, the class of its
        label among them (`TopClasses`).
        """
        try:
            return _from_tensors(self._tensors())
        except (KeyError, ValueError, IndexError) as error:
            raise _damaged(self.folder / PREDICTIONS, error) from None

    def rows(self) -> NDArray[np.int64]:
        """Return the rows of the collection that were predicted, (n,)."""
        return self._tensors()["rows"]

    def _tensors(self) -> dict[str, NDArray[Any]]:
        path = self.folder / PREDICTIONS
        try:
            check_regular(path, LARGEST_TENSORS)
            return load_file(path)
        except (OSError, ValueError, SafetensorError) as error:
            raise _damaged(path, error) from None


@dataclass
class TestPredictions:
    """What a run leaves behind.

    Attributes:
        probabilities: per task what is kept of the probabilities of the test rows, under the
            assumed prior.
        thresholds: per multilabel task the thresholds, (L,).
        record: how the training went.
        model: what was trained; None where there is none to keep.
    """

    probabilities: Mapping[str, Kept]
    thresholds: dict[str, NDArray[np.float64]]
    record: TrainingRecord = field(default_factory=TrainingRecord)
    model: Predictor | None = None


def execute(
    run: Run,
    split: Split,
    config: StudyConfig,
    *,
    progress: bool = False,
    watch: Watch | None = None,
) -> str | None:
    """Train a run and write its folder; return None, or what went wrong in one line.

    A run that was interrupted goes on from its last checkpoint. The folder gets its final name
    only when everything in it is written.

    Raises:
        WriteError: a file cannot be written.
        Stopped: `watch`, which is called at every evaluation, has ended it.
    """
    partial = run.folder.with_name(run.folder.name + ".partial")
    make_folder(partial)
    if (partial / RECORD).exists():  # killed after the last file, before the folder got its name
        _publish(run, partial)
        return None
    (partial / "error.txt").unlink(missing_ok=True)
    started = time.perf_counter()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        model = _fitted(run, split, config, partial / "training", progress, watch)
        outcome = _predicted(model, split)
    except WriteError:
        remove_empty(partial)
        raise
    except Stopped:
        raise
    except (TrainingError, LabelweaveError) as error:
        return str(error)
    except OSError as error:
        remove_empty(partial)
        raise unwritable(error.filename or partial, error) from error
    except Exception as error:  # the other runs of the study must go on
        if out_of_memory(error):
            return OUT_OF_MEMORY
        write_text(partial / "error.txt", traceback.format_exc())
        return f"{type(error).__name__}: {error} (details in {partial.name}/error.txt)"
    finally:
        torch.set_num_threads(threads)
    _finish(run, partial, outcome, split, time.perf_counter() - started)
    return None


def _fitted(
    run: Run,
    split: Split,
    config: StudyConfig,
    folder: Path | None,
    progress: bool = False,
    watch: Watch | None = None,
) -> Predictor:
    teachers = None
    if run.teachers is not None:
        teacher = load_model(run.teachers / "model")
        teachers = taught_scores(config.method(run.method), teacher, split, config)
    return fit(
        config.method(run.method), split, config, folder=folder,
        teachers=teachers, progress=progress, watch=watch,
    )  # fmt: skip


def take_part(run: Run, split: Split, config: StudyConfig) -> None:
    """Train a run with the process that writes it, see `execute`; what went wrong is said there."""
    with suppress(TrainingError, LabelweaveError):
        _fitted(run, split, config, None)


def derive(run: Run, base: Run, split: Split) -> None:
    """Write a derived run: the base method's predictions with the tables multiplied in."""
    partial = run.folder.with_name(run.folder.name + ".partial")
    make_folder(partial)
    started = time.perf_counter()
    given = base.predictions()

    def combined(rows: slice | NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        part = {name: dense(p[rows]) for name, p in given.items()}
        found = multiply_in(part, split.relations)
        return {name: p.astype(np.float32) for name, p in found.items()}

    labels = split.test.annotations
    probabilities = keep(combined, np.arange(len(labels)), labels)
    record = base.record()
    outcome = TestPredictions(
        probabilities, {n: np.asarray(c) for n, c in record["thresholds"].items()}
    )
    outcome.record = TrainingRecord(parameters=record["parameters"], networks=record["networks"])
    seconds = time.perf_counter() - started + record["seconds"]
    _finish(run, partial, outcome, split, seconds)


def borrow(run: Run, trained: Run, split: Split) -> None:
    """Write a run by the networks of another one, trained on the same rows with the same settings.

    Args:
        run: what to write.
        trained: a finished run.
        split: of `run`; its test rows are predicted.
    """
    partial = run.folder.with_name(run.folder.name + ".partial")
    make_folder(partial)
    record, model = trained.record(), Model.load(trained.folder / "model")
    model.record = TrainingRecord(
        record["curve"], record.get("diagnostics"), record["parameters"], record["networks"]
    )
    _finish(run, partial, _predicted(model, split), split, record["seconds"])


def _predicted(model: Predictor, split: Split) -> TestPredictions:
    given = kept_predictions(model, split.test.inputs, split.test.annotations)
    return TestPredictions(given, model.thresholds, model.record, model)


def _finish(
    run: Run, partial: Path, outcome: TestPredictions, split: Split, seconds: float
) -> None:
    if outcome.model is not None:
        outcome.model.save(partial / "model")
    if (partial / "model").is_dir():  # trees keep no model
        # from the key, so that a run repeated is the same to the last byte
        salt = hashlib.blake2b(run.key.encode(), digest_size=SALT).digest()
        write_row_hashes(partial / "model", _labelled_rows(split, salt), salt)
    tensors = _to_tensors(outcome.probabilities)
    tensors["rows"] = torch.from_numpy(split.test.index.copy())
    with replacing(partial / PREDICTIONS) as temporary:
        temporary.write_bytes(save(tensors))
    record: Mapping[str, Any] = {
        "method": run.method,
        "seed": run.seed,
        "key": run.key,
        "seconds": seconds,
        "parameters": outcome.record.parameters,
        "networks": outcome.record.networks,
        "thresholds": {name: list(map(float, t)) for name, t in outcome.thresholds.items()},
        "curve": outcome.record.curve,
        "diagnostics": outcome.record.diagnostics,
    }
    write_text(partial / RECORD, json.dumps(record))  # the last file: with it the run is whole
    _publish(run, partial)


def _to_tensors(probabilities: Mapping[str, Kept]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, p in probabilities.items():
        if isinstance(p, TopClasses):
            found[f"{TASK}{name}"] = torch.from_numpy(p.probabilities.copy())
            found[f"{CLASSES}{name}"] = torch.from_numpy(p.classes.copy())
            found[f"{WIDTH}{name}"] = torch.tensor([p.width])
        else:
            found[f"{TASK}{name}"] = torch.from_numpy(p.copy())
    return found


def _from_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    for key, p in tensors.items():
        if key.startswith(TASK):
            name = key.removeprefix(TASK)
            classes = tensors.get(f"{CLASSES}{name}")
            if classes is None:
                found[name] = p
                continue
            width = int(tensors[f"{WIDTH}{name}"][0])
            codes = classes.dtype.kind == "i" and classes.shape == p.shape
            if not codes or not ((classes >= 0) & (classes < width)).all():
                raise ValueError(f"classes of '{name}' that are none of its {width}")
            found[name] = TopClasses(classes, p, width)
    return found


def _labelled_rows(split: Split, salt: bytes) -> NDArray[np.uint64]:
    """Return the hashes of the rows whose labels a method may have learned from."""
    found = []
    for rows, labels in (
        (split.train, split.everything or split.train.annotations),
        (split.validation, split.validation.annotations),
    ):
        known = np.any([labels.labelled(task.name) for task in labels.tasks], axis=0)
        found.append(row_hashes(rows.inputs[np.flatnonzero(known)], salt))
    return np.concatenate(found)


def _publish(run: Run, partial: Path) -> None:
    """Give a whole run's folder its name, without its checkpoints."""
    try:
        for checkpoint in partial.glob("training/**/*.safetensors*"):
            checkpoint.unlink()
        if run.folder.exists():
            shutil.rmtree(run.folder)
        partial.replace(run.folder)
    except OSError as error:
        raise unwritable(run.folder, error) from error


def _damaged(path: Path, error: Exception) -> LabelweaveError:
    reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
    return LabelweaveError(
        f"{path}: cannot be read ({reason}); remove the folder {path.parent.name} to train the "
        "run again"
    )


LATER = ("backbone_rate", "layer_decay", "augment")
FORMAT = 4  # part of every run's hash: raised when what a run does changes


def plan_run(
    method: str, split: Split, fingerprint: Mapping[str, str], config: StudyConfig, folder: Path
) -> Run:
    """Return the run of a method on a split, in a folder by its method, seed and content.

    Methods that differ in name only share their runs, under the name of the first.

    Args:
        method: the method's name in results.
        split: its data.
        fingerprint: the split's hashes.
        config: the study's settings.
        folder: the study's folder.
    """
    spec = config.method(method)
    # the relations themselves are hashed, so that their origin does not matter
    name = spec.name.partition(".")[0]
    content: dict[str, Any] = {"format": FORMAT, "method": name, "data": fingerprint["data"]}
    if spec.needs_relations:
        content["relations"] = fingerprint["relations"]
        if split.transfer_weights:
            content["transfer_weights"] = fingerprint["transfer_weights"]
    # where no noise was found the run is that of the method without it
    if spec.noise and split.noise:
        content["noise"] = fingerprint["noise"]
    if spec.all_labels:
        content["hidden"] = fingerprint["hidden"]
    if spec.kind == "stack" and spec.joins:
        content["relations"] = fingerprint["relations"]
    if spec.kind == "stack":
        content["groups"] = fingerprint["groups"]
        content |= _learners(spec, split, config)
    elif spec.kind != "trees":
        content["network"] = identity(config.network.backbone, config.network.options())
        if spec.kind != "single" and config.network.trunks != "shared":
            content["trunks"] = config.network.trunks
        training = spec.training_of(config.training)
        content["training"] = _training(training)
        if config.losses():
            content["losses"] = config.losses()
        # networks of one task have no weighting, and the plain sum is what runs always had
        if spec.kind == "single" or training.weighting == "sum":
            del content["training"]["weighting"]
        content["couplings"] = spec.coupling_options(config.couplings)
    if config.label_shift != LabelShiftSection():
        content["label_shift"] = config.label_shift.model_dump()
    teachers: Run | None = None
    if spec.teacher is not None:
        teachers = plan_run(spec.teacher, split, fingerprint, config, folder)
        folds = config.teachers.folds if spec.distils else 0
        content["teachers"] = [teachers.key, folds, fingerprint["groups"] if folds else ""]
    text = json.dumps(content, sort_keys=True, default=str)
    key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    own = _folder_of(folder / "runs", method, split.seed, key)
    return Run(method, split.seed, key, own, teachers.folder if teachers else None)


LONGEST = 60  # letters of a method's name in the name of a folder


def _folder_of(runs: Path, method: str, seed: int, key: str) -> Path:
    """Return the folder of a run: what holds the same content already, else one by its method."""
    ending = f"-seed{seed}-{key}"
    called = re.sub(r"[^A-Za-z0-9_.]", "_", method)[:LONGEST].strip(".") or "method"
    own = runs / f"{called}{ending}"
    return own if own.exists() else min(runs.glob(f"*{ending}"), default=own)


def _learners(method: Method, split: Split, config: StudyConfig) -> dict[str, Any]:
    """Return what a stack depends on besides the data; defaults are not named."""
    content: dict[str, Any] = {}
    if config.learners is not None:
        content["learners"] = config.learners
    if config.budget is not None:
        content["budget"] = config.budget
    if method.joins and not split.relations and config.relatedness.origin == "given":
        content["relatedness"] = "given"
    return content


def _training(config: TrainingConfig) -> dict[str, Any]:
    """Return what a run depends on; keys that came later count only where they are used."""
    said = config.model_dump(exclude={"checkpoint_seconds", "devices", "nodes", "strategy"})
    fields = TrainingConfig.model_fields
    return {k: v for k, v in said.items() if k not in LATER or v != fields[k].default}

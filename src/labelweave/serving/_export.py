"""A model as a file that other programs run: ONNX, a program of PyTorch, or a folder of MLflow."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import labelweave
from labelweave._files import replacing
from labelweave.errors import LabelweaveError, listing, missing_package, nearest
from labelweave.fitting._opening import read_inputs
from labelweave.fitting._stack import StackModel, load_model
from labelweave.fitting._versions import current_version
from labelweave.model import EncodedPredictor, Model
from labelweave.serving._final import FULL, load
from labelweave.serving._finish import study_at
from labelweave.serving._graph import NUMBERS, PREDICTED, PredictionGraph
from labelweave.serving._mlflow import write_mlflow
from labelweave.serving._onnx_nodes import (
    CATEGORIES,
    IR,
    LEARNERS,
    OPSET,
    STANDARDISED,
    put_learners,
    read_text,
)
from labelweave.tables import Table

Format = Literal["onnx", "torch", "mlflow"]
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "mlflow": ".mlflow"}
LARGEST_DIFFERENCE = 1e-4
CHECKED = 10_000  # rows that are compared
INT8 = ".int8.onnx"
DEPTH = 3  # folders between a study and a run's model, at most
EXAMPLE = 3  # rows that the graph is traced with; 1 would be taken for a constant
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Int8Loss:
    """What weights of 8 bits change in the predictions of one task.

    Attributes:
        difference: the largest absolute difference of a probability.
        changed: share of the predicted labels that change, 0 to 1.
        labels: known labels among the compared rows.
        accuracy: share of them that the original predicts; None = no labels.
        accuracy_int8: share of them that the int8 graph predicts.
    """

    difference: float
    changed: float
    labels: int
    accuracy: float | None
    accuracy_int8: float | None


@dataclass(frozen=True)
class Export:
    """What was written, and how far it is from the original.

    Attributes:
        path: the file.
        rows: the rows that were compared.
        differences: by task the largest absolute difference of a probability.
        int8_path: the graph with weights of 8 bits; None = not asked for.
        int8: by task what it changes.
    """

    path: Path
    rows: int
    differences: Mapping[str, float]
    int8_path: Path | None = None
    int8: Mapping[str, Int8Loss] = field(default_factory=dict)


def export_model(
    folder: str | Path,
    format: Format = "onnx",
    *,
    full: bool = False,
    rows: str | Path | pd.DataFrame | Table | None = None,
    out: str | Path | None = None,
    int8: bool = False,
) -> Export:
    """Write a model as one graph and compare it with the original on real rows.

    The graph holds the encoding of numbers and categories, the networks, or the learners of a stack
    with what couples them, the class prior and the thresholds. Inputs: ``numbers``, (n, c) float64
    with NaN for missing, and ``categories``, (n, k) text with "" for missing (in a program of
    PyTorch int64 codes). Outputs: every task by its name, (n, width) float32, and its labels as
    ``<task> predicted``: the place of the class, (n,), or 0 and 1, (n, L). Columns, classes and
    versions are in the metadata. For MLflow it is a folder: the final model, a flat table in, a
    flat table out.

    Args:
        folder: the model's folder, of a final model or of a run.
        format: ``onnx``, ``torch`` for `torch.export`, or ``mlflow``.
        full: the stack that taught the network, in its place (`finish` with ``full=True``).
        rows: real rows to compare on, or their table; None = those of the study that the folder
            stands in.
        out: the file; None = ``model.onnx``, ``model.pt2`` or ``model.mlflow`` in the folder, of
            the stack ``full.onnx`` or ``full.mlflow``.
        int8: write ``model.int8.onnx`` as well, with weights of 8 bits, and measure what that
            changes. The study's labels measure it, training rows among them.

    Raises:
        LabelweaveError: images or texts as inputs, a stack for `torch.export` or in 8 bits, a
            learner that nothing converts, no rows, a package that is missing, or a probability that
            differs by more than 1e-4. Nothing is written then.
    """
    if format not in get_args(Format):
        raise LabelweaveError(
            f"format: found '{format}', expected {listing(SUFFIXES)}{nearest(format, SUFFIXES)}"
        )
    if int8 and format != "onnx":
        raise LabelweaveError(f"int8: found the format '{format}', expected 'onnx'")
    path = Path(folder)
    model = _opened(path, full=full)
    if isinstance(model, StackModel) and (int8 or format == "torch"):
        raise LabelweaveError(
            f"{'int8' if int8 else 'format torch'}: found a stack of learners, expected networks; "
            "'onnx' writes the stack, 'labelweave finish' makes its student the model"
        )
    target = (
        Path(out) if out is not None else path / f"{FULL if full else 'model'}{SUFFIXES[format]}"
    )
    typed, labels = _typed(model, path, rows)
    if format == "mlflow":
        return Export(target, len(typed), write_mlflow(path, typed, target, _within, full=full))
    graph = PredictionGraph(model).eval()
    make = _onnx if format == "onnx" else _program
    content, run = make(graph, typed)
    differences = _compared(model, graph, typed, run)
    small = _int8(content) if int8 else b""
    losses = _int8_losses(graph, typed, labels, run, _session(graph, small)) if int8 else {}
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    if not int8:
        return Export(target, len(typed), differences)
    smaller = target.with_suffix(INT8)
    with replacing(smaller) as temporary:
        temporary.write_bytes(small)
    return Export(target, len(typed), differences, smaller, losses)


def _opened(folder: Path, *, full: bool) -> Model | StackModel:
    """Return the model of a folder, or the stack that taught it.

    Raises:
        LabelweaveError: there is none.
    """
    if not full:
        return load_model(current_version(folder).folder)
    found = load(folder, full=True).model
    assert isinstance(found, StackModel)
    return found


Labels = Mapping[str, NDArray[Any]]


def _typed(
    model: Model | StackModel, folder: Path, rows: str | Path | pd.DataFrame | Table | None
) -> tuple[pd.DataFrame, Labels]:
    """Return rows to compare on, read by the model's schema, and the labels that are known."""
    labels: Labels = {}
    if rows is None:
        above = folder.resolve().parents
        study = next((each for each in above[:DEPTH] if (each / "results.json").exists()), None)
        if study is None:
            raise LabelweaveError(
                f"{folder}: found no study next to it, expected real rows to compare on (--rows)"
            )
        data = study_at(study).data.collection
        found, labels = data.inputs, data.annotations.labels
    else:
        given = read_inputs(Path(rows), model) if isinstance(rows, str | Path) else rows
        found = model.typed(given)
    if not len(found):
        raise LabelweaveError("rows: found none, expected real rows to compare on")
    chosen = np.linspace(0, len(found) - 1, min(CHECKED, len(found))).astype(np.int64)
    taken = {name: codes[chosen] for name, codes in labels.items()}
    return found.iloc[chosen].reset_index(drop=True), taken


Run = Callable[[pd.DataFrame], list[NDArray[Any]]]


def _compared(
    model: EncodedPredictor, graph: PredictionGraph, typed: pd.DataFrame, run: Run
) -> dict[str, float]:
    wanted = model.under_prior(model.probabilities(model.encoder.transform(typed)))
    found = dict(zip(graph.outputs, run(typed), strict=True))
    return _within({name: float(np.abs(found[name] - p).max()) for name, p in wanted.items()})


def _within(differences: dict[str, float]) -> dict[str, float]:
    """Return the largest differences by task, which must be small.

    Raises:
        LabelweaveError: one is not.
    """
    for name, difference in differences.items():
        if not difference <= LARGEST_DIFFERENCE:
            raise LabelweaveError(
                f"export: task '{name}': a probability differs by {difference:.2g} from the "
                f"original, expected at most {LARGEST_DIFFERENCE:g}; nothing is written"
            )
    return differences


def _example(graph: PredictionGraph, typed: pd.DataFrame) -> dict[str, torch.Tensor]:
    rows = typed.iloc[np.arange(EXAMPLE) % len(typed)]
    return {name: torch.from_numpy(array) for name, array in graph.arrays(rows).items()}


def _program(graph: PredictionGraph, typed: pd.DataFrame) -> tuple[bytes, Run]:
    """Return a program of PyTorch as bytes, and what runs it."""
    from io import BytesIO

    example = _example(graph, typed)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        graph, (), kwargs=example, dynamic_shapes={name: {0: batch} for name in example}
    )
    buffer = BytesIO()
    extra = {f"{name}.json": json.dumps(value) for name, value in _metadata(graph).items()}
    torch.export.save(program, buffer, extra_files=extra)
    content = buffer.getvalue()
    module = torch.export.load(BytesIO(content)).module()

    def run(rows: pd.DataFrame) -> list[NDArray[Any]]:
        given = {name: torch.from_numpy(array) for name, array in graph.arrays(rows).items()}
        with torch.no_grad():
            return [part.numpy() for part in module(**given)]

    return content, run


def _onnx(graph: PredictionGraph, typed: pd.DataFrame) -> tuple[bytes, Run]:
    """Return an ONNX model as bytes, and what runs it."""
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 - PyTorch's exporter asks for it
    except ImportError as error:
        raise missing_package("export --format onnx", error, "export") from None
    example, names = _example(graph, typed), graph.outputs
    if graph.columns:
        example[LEARNERS] = torch.full((EXAMPLE, graph.columns), 0.5, dtype=torch.float64)
        names = [*names, STANDARDISED]
    batch = torch.export.Dim("batch", min=1)
    with _quiet():
        program = torch.onnx.export(
            graph, (), kwargs=example, dynamo=True, opset_version=OPSET, verbose=False,
            input_names=list(example), output_names=names,
            dynamic_shapes={name: {0: batch} for name in example},
        )  # fmt: skip
    assert program is not None
    made = program.model_proto
    if graph.stack is not None and graph.columns:
        put_learners(made, graph.stack.nodes)
    if graph.categories:
        read_text(made, graph.categories)
    made.ir_version = min(made.ir_version, IR)
    made.producer_name, made.producer_version = "labelweave", labelweave.__version__
    for name, value in _metadata(graph).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        made.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(made)
    content = bytes(made.SerializeToString())
    return content, _session(graph, content)


def _session(graph: PredictionGraph, content: bytes) -> Run:
    """Return what runs an ONNX model on rows read by the schema."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(rows: pd.DataFrame) -> list[NDArray[Any]]:
        given = graph.arrays(rows)
        if CATEGORIES in given:
            given[CATEGORIES] = graph.texts(rows)
        return [np.asarray(part) for part in session.run(graph.outputs, given)]

    return run


def _int8(content: bytes) -> bytes:
    """Return an ONNX model with weights of 8 bits; numbers in between stay 32 bits wide."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        given = onnx.load_model_from_string(content)
        del given.graph.value_info[:]  # whose types would be those of before
        quantize_dynamic(given, path, weight_type=QuantType.QInt8)
        return path.read_bytes()


def _int8_losses(
    graph: PredictionGraph, typed: pd.DataFrame, labels: Labels, original: Run, small: Run
) -> dict[str, Int8Loss]:
    before, after = (dict(zip(graph.outputs, run(typed), strict=True)) for run in (original, small))
    found = {}
    for name in (task.name for task in graph.tasks):
        old, new = before[f"{name}{PREDICTED}"], after[f"{name}{PREDICTED}"]
        truth = labels.get(name, np.full(old.shape, -1)).reshape(old.shape)
        known = truth >= 0
        scores = (float((p == truth)[known].mean()) if known.any() else None for p in (old, new))
        difference = float(np.abs(before[name] - after[name]).max())
        changed = float((old != new).mean())
        found[name] = Int8Loss(difference, changed, int(known.sum()), *scores)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what PyTorch's exporter writes of itself; errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _metadata(graph: PredictionGraph) -> dict[str, Any]:
    return {
        "labelweave": labelweave.__version__,
        "torch": torch.__version__,
        "tasks": [
            {
                "name": task.name,
                "kind": task.kind,
                "classes": list(task.names),
                "thresholds": None
                if task.kind == "multiclass"
                else graph.thresholds[task.name].tolist(),
            }
            for task in graph.tasks
        ],
        NUMBERS: graph.numbers,
        CATEGORIES: graph.categories,
    }

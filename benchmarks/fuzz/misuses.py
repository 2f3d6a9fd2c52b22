"""Wrong calls from Python: every parameter, every kind of inputs and labels, every option.

Each must either work or raise one line of `LabelweaveError` that names what is wrong.
"""

import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from labelweave import (
    Annotations,
    LabelweaveError,
    MultiTaskClassifier,
    Relation,
    Source,
    TrainingError,
    read_table,
    relate,
)
from labelweave.errors import LabelweaveWarning
from labelweave.learners import LEARNERS
from labelweave.tasks import Binary, Multiclass, Multilabel

ROWS = 24
QUICK = {
    "method": "multi_task", "hidden": (4,), "steps": 2, "batch_size": 8, "budget": None,
    "learners": None,
}  # fmt: skip
STACKED = {"method": "coupled", "learners": ["logistic"], "relatedness": "given"}
LONGEST = 2100


class Odd:
    """An object that is nothing."""


VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2.5, 10**9, 10**30, float("nan"), float("inf"), "", " ", "all",
    "x" * 5000,
    "\x1b[31m", "\ud800", b"oak", [], (), {}, set(), [None], [[]], [-1], [1, 2, 3], {"a": 1},
    {1: None}, {"from": 5}, object(), Odd(), Odd, np.array([1.0]), np.float64("nan"), np.int64(-5),
    np.array("x"), pd.DataFrame(), lambda: 1, range(3), 1j, ["mlp", "x"], {"size": -1},
    ("a", "b", "c"),
)  # fmt: skip


@dataclass(frozen=True)
class Misuse:
    """A wrong call.

    Attributes:
        name: says what is wrong.
        call: makes it.
        parameter: a word that the error has to hold.
    """

    name: str
    call: Callable[[], Any]
    parameter: str = ""


def frame() -> pd.DataFrame:
    """Return inputs: two numbers and a colour."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(ROWS, 2)), columns=["u", "v"])
    return table.assign(colour=np.resize(["red", "blue"], ROWS))


def labels() -> pd.DataFrame:
    """Return labels of two tasks, some missing."""
    kind = pd.Series(np.resize(["a", "b", "c"], ROWS), dtype=object)
    form = pd.Series(np.resize(["x", "y"], ROWS), dtype=object)
    return pd.DataFrame({"kind": kind.mask(kind.index % 4 == 3), "form": form})


def made(**parameters: Any) -> MultiTaskClassifier:
    """Return a quick classifier with parameters changed."""
    coupled = isinstance(method := parameters.get("method"), str) and method == "coupled"
    base = STACKED if coupled else QUICK
    return MultiTaskClassifier(**base | parameters)


def fit(parameters: Any, X: Any = None, y: Any = None) -> Any:
    """Fit a quick classifier with parameters changed."""
    return made(**parameters).fit(frame() if X is None else X, labels() if y is None else y)


def parameters() -> Iterator[Misuse]:
    """Give every parameter values of every kind, alone."""
    for name in MultiTaskClassifier().get_params(deep=False):
        for i, value in enumerate(VALUES):
            methods = ["coupled"] if name in ("learners", "budget") else ["multi_task"]
            if name in ("relations", "relatedness", "noise", "couplings"):
                methods = ["coupled", "multi_task"]
            for method in methods:
                if name == "cache" and isinstance(value, str):
                    continue  # any text is a folder
                changed = {"method": method, name: value}
                yield Misuse(
                    f"{method} {name} = {i}: {str(value)[:30]!r}",
                    partial(fit, changed),
                    "" if name in ("missing", "categorical", "learning_rate") else name,
                )


def input_kinds() -> Iterator[Misuse]:
    """Give inputs and labels of every kind, at fit and at predict."""
    import scipy.sparse
    import torch

    X, y, n = frame(), labels(), ROWS
    numbers = X[["u", "v"]]
    kind = y["kind"].to_numpy()
    multi = pd.MultiIndex.from_tuples([("a", "u"), ("a", "v"), ("b", "w")])
    lists: Any = [[1]] * n
    odd: Any = [Odd()] * n
    tables: Any = [X] * n
    inputs: dict[str, Any] = {
        "multi-index columns": X.set_axis(multi, axis=1), "duplicate columns": X[["u", "u", "v"]],
        "tensor": torch.ones(n, 2), "list of lists": numbers.to_numpy().tolist(), "set": {1, 2},
        "generator": (row for row in [[1, 2]] * n), "sparse": scipy.sparse.eye(n, 3).tocsr(),
        "3-d": np.ones((n, 2, 2)), "1-d": np.ones(n), "0-d": np.float64(1), "text": "abc",
        "None": None, "bytes": b"abc", "list cells": X.assign(w=lists), "dict": X.to_dict(),
        "dictionary of lists": {"u": [1] * n}, "object cells": X.assign(w=odd),
        "complex": numbers.to_numpy() + 1j, "infinite": numbers.mask(numbers > 1, np.inf),
        "all missing": numbers * np.nan, "no rows": X[:0], "no columns": X[[]], "one row": X[:1],
        "series": X["u"], "empty name": X.rename(columns={"u": ""}), "iterator": iter([[1]]),
        "None name": X.rename(columns={"u": None}), "bytes cells": X.assign(w=[b"oak"] * n),
        "datetime": X.assign(w=pd.Timestamp("2024-01-01")), "period": X.assign(
            w=pd.period_range("2024", periods=n, freq="D")), "interval": X.assign(
            w=pd.cut(X["u"], 3)), "structured": np.zeros(n, dtype=[("a", "f4"), ("b", "i4")]),
        "surrogate": X.assign(
            colour=pd.Series(["\ud800"] * n, dtype=object)), "long number": X.assign(w=10**30),
        "ragged": [[1, 2], [3]], "matrix": np.asmatrix(numbers.to_numpy()), "range": range(n),
        "timedelta": X.assign(w=pd.Timedelta(1)), "function": len, "class": Odd,
        "string array": np.array([["a", "b"]] * n), "half": numbers.astype("float16"),
        "decimal comma": X.assign(w=["1,5"] * n), "mixed index": X.set_axis([*range(n - 1), "x"]),
        "category": X.assign(colour=X["colour"].astype("category")), "nested": X.assign(w=tables),
    }  # fmt: skip
    for name, value in inputs.items():
        yield Misuse(f"fit X {name}", partial(made().fit, value, y))
    targets: dict[str, Any] = {
        "tensor": torch.zeros(n), "dict of tensors": {"kind": torch.zeros(n)}, "set": {1},
        "generator": (v for v in [1] * n), "dict of generators": {"kind": (v for v in "ab" * 12)},
        "sparse": scipy.sparse.eye(n, 3).tocsr(), "dict of sparse": {
            "kind": scipy.sparse.eye(n, 3).tocsr()}, "3-d": {"kind": np.zeros((n, 2, 2))},
        "list cells": {"kind": [[1]] * n}, "dict cells": {"kind": [{}] * n}, "None": None,
        "list": kind.tolist(), "array": kind, "unnamed series": pd.Series(kind), "text": "abc",
        "short": y[:-1], "long": pd.concat([y, y]), "no task": y[[]], "empty": {},
        "int name": {1: kind}, "None name": {None: kind}, "empty name": {"": kind},
        "multi-index": y.set_axis(pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]), axis=1),
        "duplicate": y[["kind", "kind"]], "one class": {"kind": ["a"] * n},
        "all missing": {"kind": [None] * n}, "bytes": {"kind": [b"oak", b"elm"] * (n // 2)},
        "infinite": {"kind": [np.inf, 1.0] * (n // 2)}, "complex": {"kind": [1j, 2] * (n // 2)},
        "objects": {"kind": [Odd() for _ in range(n)]}, "surrogate": {"kind": ["\ud800", "a"] * 12},
        "0-d": {"kind": np.array("a")}, "scalar": {"kind": 3}, "None values": {"kind": None},
        "other index": y.set_axis(range(100, 100 + n)), "string rows": {"kind": "ab" * (n // 2)},
        "set values": {"kind": {"a", "b"}}, "dates": {"kind": pd.date_range("2024", periods=n)},
        "minus one": {"kind": np.resize([-1, 0, 1], n)}, "frame of lists": pd.DataFrame(
            {"kind": [[1]] * n}), "2-d floats": {
            "kind": np.random.default_rng(0).normal(size=(n, 2))},
        "escape": {"\x1b[31mred": kind}, "Annotations of others": Annotations(
                (Multiclass("kind", ("a", "b")),), {"kind": np.zeros(3, np.int64)}),
        "duplicate index": y.set_axis([0] * n),
    }  # fmt: skip
    for name, value in targets.items():
        yield Misuse(f"fit y {name}", partial(made().fit, X, value))
    fitted = made().fit(X, y)
    for name, value in inputs.items():
        yield Misuse(f"predict X {name}", partial(fitted.predict_proba, value))
        yield Misuse(f"array model, predict X {name}", partial(array_model().predict, value))
    for name, value in targets.items():
        yield Misuse(f"score y {name}", partial(fitted.score, X, value))
    for i, value in enumerate(VALUES):
        shown = f"{i}: {str(value)[:30]!r}"
        yield Misuse(f"prior {shown}", partial(fitted.predict_proba, X, value))
        yield Misuse(f"task {shown}", partial(fitted.task, value))
        yield Misuse(f"sample_weight {shown}", partial(made(method="coupled").fit, X, y, value))
        yield Misuse(f"groups {shown}", partial(made().fit, X, y, groups=value))
        yield Misuse(f"save {shown}", partial(_saved, fitted, value))
        yield Misuse(f"load {shown}", partial(MultiTaskClassifier.load, value))
    yield Misuse("not fitted", lambda: made().predict(X))


_ARRAY_MODEL: list[MultiTaskClassifier] = []


def array_model() -> MultiTaskClassifier:
    """Return a classifier that was fitted on an array."""
    if not _ARRAY_MODEL:
        _ARRAY_MODEL.append(made().fit(frame()[["u", "v"]].to_numpy(), labels()))
    return _ARRAY_MODEL[0]


def _saved(fitted: MultiTaskClassifier, folder: Any) -> None:
    if isinstance(folder, str) and folder.strip() and len(folder) < 100:
        return  # a folder's name like any other
    fitted.save(folder)


def parts() -> Iterator[Misuse]:
    """Give tasks, relations, labels, sources and learners values of every kind."""
    kind, form = Multiclass("kind", ("a", "b", "c")), Multiclass("form", ("x", "y"))
    annotations = Annotations.from_columns([kind, form], labels())
    probabilities = {"kind": np.full((ROWS, 3), 1 / 3), "form": np.full((ROWS, 2), 0.5)}

    def three(v: Any) -> Any:
        return [("kind", "form", v)]

    calls: dict[str, Callable[[Any], Any]] = {
        "Multiclass name": lambda v: Multiclass(v, ("a", "b")),
        "Multiclass classes": lambda v: Multiclass("t", v),
        "Multilabel names": lambda v: Multilabel("t", v),
        "Binary positive": lambda v: Binary("t", positive=v),
        "Relation table": lambda v: Relation(kind, form, v),
        "Relation known": lambda v: Relation(kind, form, np.full((3, 2), 0.5), v),
        "Relation strength": lambda v: Relation(kind, form, np.full((3, 2), 0.5), strength=v),
        "Annotations tasks": lambda v: Annotations(v, {}),
        "Annotations labels": lambda v: Annotations((kind,), v),
        "Annotations of columns": lambda v: Annotations.from_columns([kind], {"kind": v}),
        "annotations at": lambda v: annotations[v],
        "relate pairs": lambda v: relate(annotations, probabilities, v),
        "relate three": lambda v: relate(annotations, probabilities, three(v)),
        "relate predictions": lambda v: relate(
            annotations, {"kind": v, "form": v}, [("kind", "form")]),
        "Source inputs": lambda v: Source("s", v, annotations),
        "Source groups": lambda v: Source("s", frame(), annotations, v),
        "Source split": lambda v: Source("s", frame(), annotations, None, v),
        "read_table path": lambda v: read_table(v),
        "learner option": lambda v: made(method="coupled", learners=[{"svm": v}]).fit(
            frame(), labels()),
    }  # fmt: skip
    for name, call in calls.items():
        for i, value in enumerate(VALUES):
            yield Misuse(f"{name} = {i}: {str(value)[:30]!r}", partial(call, value))
    for name in LEARNERS:
        for field in getattr(LEARNERS[name], "__dataclass_fields__", {}):
            for value in (-1, 0, float("nan"), 10**12, "x", None, 1e308):
                yield Misuse(
                    f"learner {name}.{field} = {value!r}",
                    partial(fit, {"method": "coupled", "learners": [{name: {field: value}}]}),
                )


KINDS: dict[str, Callable[[], Iterator[Misuse]]] = {
    "parameters": parameters, "inputs": input_kinds, "parts": parts,
}  # fmt: skip


def misuses(seed: int = 0, share: float = 1.0) -> list[Misuse]:
    """Return wrong calls of all kinds in random order, or a share of them."""
    found = [each for kind in KINDS.values() for each in kind()]
    random.Random(seed).shuffle(found)
    return found[: round(share * len(found))]


def failure(given: Misuse) -> str | None:
    """Return how a call failed; None = it worked, or it was refused in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("default", LabelweaveWarning)
            given.call()
    except NotFittedError:
        return None
    except (LabelweaveError, TrainingError) as error:
        text = str(error)
        if "\n" in text or not text.isprintable() or len(text) > LONGEST:
            return "not one printable line"
        if given.parameter and given.parameter not in text:
            return f"unnamed: {text}"
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None

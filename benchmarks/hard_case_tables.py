"""A case of `benchmarks.hard_cases`: tables whose classes are lacking or whose sources differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from labelweave.datasets import write_digits, write_leaves
from labelweave.experiments import Study

CASES = (
    "leaves",
    "leaves, no species",
    "leaves, no attributes",
    "leaves, both",
    "leaves, shift .5",
    "leaves, shift 1",
    "digits",
    "digits, no digit",
    "digits, no strokes",
    "digits, inverted",
    "digits, rotated",
)
BASELINE = "single_task"
METHODS: list[Any] = [
    "multi_task",
    "full",
    {"method": "full", "name": "given", "relations": {"from": "given"}, "couplings": {}},
    {
        "method": "full",
        "name": "predictions",
        "relations": {"from": "predictions"},
        "couplings": {},
    },
]
FIRST, SECOND = "first_lab", "second_lab"
TEST = 500


class HardCase:
    """One case on one seed, as tables and a study.

    Args:
        case: one of `CASES`.
        folder: a separate folder, for the tables, the study file and the runs.
        seed: decides which rows are whose.
    """

    def __init__(self, case: str, folder: Path, seed: int) -> None:
        self.data, _, self.kind = case.partition(", ")
        write = write_leaves if self.data == "leaves" else write_digits
        path = write(folder, 1, 2)
        self.folder, self.seed, self.rng = folder, seed, np.random.default_rng([seed, 1])
        self.study: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.first: str = self.study["tasks"][0]["name"]
        others = self.study["tasks"][1:]
        self.others = [label for task in others for label in task.get("labels", [task["name"]])]
        table = pd.read_csv(folder / self.study["sources"][0]["path"], keep_default_na=False)
        self.classes = sorted(table[self.first].unique())
        quarter = len(self.classes) // 4
        few = np.random.default_rng(1).permutation(len(self.classes))[:quarter]
        lacking = [self.classes[i] for i in few]
        cut = len(lacking) // 2 if self.kind == "both" else len(lacking)
        one, two = (lacking[:cut], lacking[cut:]) if self.kind == "both" else (lacking, lacking)
        self.unlabelled = one if self.kind in ("no species", "no digit", "both") else []
        self.absent = two if self.kind in ("no attributes", "no strokes", "both") else []
        self.table = table.sample(frac=1, random_state=seed).reset_index(drop=True)

    def write(self) -> Study:
        """Write the tables of both labs and of their test rows, and return the study."""
        train = self.table[TEST:]
        known = train[~train[self.first].isin(self.unlabelled)]
        chosen = known.groupby(self.first).head(2).index
        rest = train.drop(chosen)
        other = self.changed(rest[~rest[self.first].isin(self.absent)])
        test = self.table[:TEST]
        parts = {
            FIRST: train.loc[chosen].drop(columns=self.others),
            SECOND: other.drop(columns=self.first),
        }
        if self.kind.startswith(("shift", "inverted", "rotated")):
            parts["first_test"] = test.drop(columns=self.others)
            parts["second_test"] = self.changed(test).drop(columns=self.first)
        else:
            parts["test"] = test
        for name, table in parts.items():
            table.to_csv(self.folder / f"{name}.csv", index=False)
        sources: list[dict[str, Any]] = [
            {"path": f"{name}.csv"} | ({"split": "test"} if "test" in name else {})
            for name in parts
        ]
        self.study["tasks"][0]["classes"] = [str(name) for name in self.classes]
        for key in ("scatter", "split"):
            self.study.pop(key)
        self.study |= {"sources": sources, "methods": METHODS, "seeds": [self.seed]}
        return Study(self.study, self.folder)

    def changed(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return rows as the second lab sees them."""
        what, _, size = self.kind.partition(" ")
        if what not in ("shift", "inverted", "rotated"):
            return table
        columns = [name for name in table.columns if name not in (self.first, *self.others)]
        values = table[columns].to_numpy(np.float64)
        if what == "shift":
            # the same lab for training and test rows
            lab = np.random.default_rng([self.seed, 2])
            spread = self.table[columns].std().to_numpy(np.float64)
            moved = float(size) * lab.choice([-1.0, 1.0], len(columns)) * spread
            centre = self.table[columns].mean().to_numpy(np.float64)
            values = centre + (values - centre) * lab.uniform(0.8, 1.25, len(columns)) + moved
            values += 0.5 * spread * self.rng.standard_normal(values.shape)
        elif what == "inverted":
            values = 16 - values
        else:
            values = np.rot90(values.reshape(-1, 8, 8), axes=(1, 2)).reshape(values.shape)
        return table.assign(**dict(zip(columns, values.T, strict=True)))

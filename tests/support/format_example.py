"""Folders of a final model as each format wrote them, kept so that later versions open them.

Run `python tests/support/format_example.py` (with `src` on the path) when a format rises: it writes
``tests/formats/N`` of the current format. A folder that is there is never written again.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from study_example import tables, write_study

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study
from labelweave.serving import finish, monitor
from labelweave.serving._final import FORMAT

FOLDER = Path(__file__).parents[1] / "formats"
ROWS = 24
TRAINING = {"steps": 60, "batch_size": 32, "learning_rate": 0.02}


def write_format(folder: Path) -> None:
    """Write a small model, rows, and what is predicted of them, by the current format.

    Raises:
        LabelweaveError: the folder is there.
    """
    if folder.exists():
        raise LabelweaveError(f"{folder}: is there already; a kept format is never written again")
    with tempfile.TemporaryDirectory() as made:
        study = write_study(
            Path(made), methods=["coupled"], learners=["logistic"], training=TRAINING,
            network={"hidden": [4]},
        )  # fmt: skip
        Study.from_file(study).run(jobs=1, progress=False)
        model = finish(study, "coupled")
        shutil.copytree(model, folder / "model")
    rows = tables(ROWS, seed=9)[0].drop(columns="kind")
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "predicted.json").write_text(json.dumps(predicted(folder)), "utf-8")


def predicted(folder: Path) -> dict[str, Any]:
    """Return what a kept model makes of its rows."""
    model, rows = labelweave.load(folder / "model"), pd.read_csv(folder / "rows.csv")
    probabilities = model.predict_proba(rows)
    tasks = {
        task: {
            "probabilities": [[round(float(x), 6) for x in row] for row in probabilities[task]],
            "labels": labels.tolist(),
        }
        for task, labels in model.predict(rows).items()
    }
    signals = [each.name for each in monitor(model, rows).signals]
    return {"tasks": tasks, "seen": model.seen(rows).tolist(), "signals": signals}


if __name__ == "__main__":
    write_format(FOLDER / str(FORMAT))
    sys.stdout.write(f"{FOLDER / str(FORMAT)}\n")

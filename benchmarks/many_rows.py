"""Training and prediction on a Parquet file on disk: memory and speed against a table in memory.

    python -m benchmarks.many_rows --rows 5000000 --folder /tmp/rows

Writes a table of 64 columns and two tasks (10 classes, half of whose labels are missing, and 2).
Then three processes: `--epochs` from disk (`fit_parquet`), as many in memory (the file read and
encoded whole, the same network), predictions of all rows to another file. The memory is what the
system reports for the process, at its peak (VmHWM). A process from disk that is above `--limit`
gigabytes is ended, and fails the run.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelweave.fitting import FitConfig
    from labelweave.tasks import Task

COLUMNS, GROUP = 64, 100_000
BATCH, HIDDEN = 4096, [128]


def write(path: Path, rows: int) -> None:
    """Write the table: a million rows, again and again."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    n = min(10**6, rows)
    x = rng.normal(size=(n, COLUMNS)).astype(np.float32)
    scores = x @ rng.normal(size=(COLUMNS, 11)) / 3 + rng.normal(size=(n, 11))
    kind = pa.array(scores[:, :10].argmax(axis=1).astype(np.int8), mask=rng.random(n) < 0.5)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(x.T)}
    table = pa.table({**columns, "kind": kind, "high": pa.array(scores[:, 10] > 0)})
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, n):
            writer.write_table(table.slice(0, min(n, rows - start)), row_group_size=GROUP)


def watched(limit: float) -> None:
    """End this process when its resident memory is above `limit` gigabytes."""
    import os

    def watch() -> None:
        while True:
            if memory("VmRSS") > limit:
                print(f"above {limit} GB", file=sys.stderr)
                os._exit(9)
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()


def tasks() -> "list[Task]":
    """Return the tasks."""
    from labelweave import Binary, Multiclass

    return [Multiclass("kind"), Binary("high")]


def config(epochs: int) -> "FitConfig":
    """Return the settings."""
    from labelweave.fitting import FitConfig

    training = {"epochs": epochs, "batch_size": BATCH}
    network = {"hidden": HIDDEN, "dropout": 0.0}
    return FitConfig.model_validate({"network": network, "training": training})


def memory(key: str) -> float:
    """Return gigabytes of this process: VmRSS now, VmHWM at most."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(text.split(f"{key}:")[1].split()[0]) / 1e6


def train_on_disk(path: Path, epochs: int) -> None:
    """Train from disk and keep the model."""
    from labelweave.fitting import fit_parquet

    fit_parquet(path, tasks(), config(epochs)).save(path.parent / "model")


def train_in_memory(path: Path, epochs: int) -> None:
    """Read and encode the file whole, and train the same network as long in memory."""
    import numpy as np

    from labelweave.balancing import sampler
    from labelweave.data._batches import Batches
    from labelweave.fitting._streamed import BUFFER, encoder_of_sample, streamed_labels
    from labelweave.losses import Objective
    from labelweave.networks import MultiTaskNetwork, backbone
    from labelweave.tables import ParquetTable
    from labelweave.training import Trainer

    table, settings = ParquetTable(path), config(epochs)
    labels = streamed_labels(table, tasks())
    names = [task.name for task in labels.tasks]
    rng = np.random.default_rng(0)
    schema, encoder = encoder_of_sample(table, names, (), settings, rng, 10**5)
    features = np.concatenate(
        [
            encoder.transform(schema.apply(part))
            for part in table.parts(BUFFER, list(schema.columns))
        ]
    )
    drawn = sampler("proportional", [np.arange(len(table))], BATCH, 0)
    network = MultiTaskNetwork(backbone("mlp", 64, hidden=HIDDEN, dropout=0.0), labels.tasks)
    batches, steps = Batches(features, labels, drawn), settings.training.total_steps(len(table))
    Trainer(settings.training).fit(network, Objective(labels.tasks), batches, steps)


def predict_on_disk(path: Path, epochs: int) -> None:
    """Predict all rows to another file."""
    from labelweave.model import Model
    from labelweave.serving import predict_parquet

    predict_parquet(Model.load(path.parent / "model"), path, path.parent / "predicted.parquet")


STEPS = {"disk": train_on_disk, "memory": train_in_memory, "predict": predict_on_disk}


def main() -> None:
    """Write the table and measure each step in a separate process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=4.0, help="gigabytes; of disk and predict")
    parser.add_argument("--only", choices=list(STEPS), nargs="*", default=list(STEPS))
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    path = given.folder / "rows.parquet"
    if given.step:
        if given.step != "memory":
            watched(given.limit)
        STEPS[given.step](path, given.epochs)
        seconds = time.process_time()
        print(json.dumps({"step": given.step, "seconds": seconds, "GB": memory("VmHWM")}))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write(path, given.rows)
    for step in given.only:
        command = [sys.executable, "-m", "benchmarks.many_rows", "--step", step]
        command += ["--epochs", str(given.epochs), "--folder", str(given.folder)]
        subprocess.run([*command, "--limit", str(given.limit)], check=True)


if __name__ == "__main__":
    main()

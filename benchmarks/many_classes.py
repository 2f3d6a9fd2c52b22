"""Many classes: a study on made data in CelebA's shape, and a coupled step over a bare loop's.

Run ``python -m benchmarks.many_classes [--rows 20000] [--classes 2000] [--json OUT]``. Each row has
128 columns and the label of its identity or of 40 attributes, as data sets of faces have. Every
method is a study of one seed in a process that the benchmark starts, with processor seconds
(user and system, all its processes) and the largest resident memory of one process. ``--only``
names methods; ``--step`` measures the steps alone: supervised and coupled by our objective, and a
loop as one would write it by hand, taking turns, as a ratio of processor time. ``--posterior``
measures the coupled prediction of rows alone.

The figure ``check`` is that of reading and splitting without any training: what every study costs
before its methods.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.coupling_overhead import COUPLINGS, Case, objective_loss, plain_loss, step_of, times
from labelweave.coupling._posterior import joint_posterior, make_link
from labelweave.networks import MultiTaskNetwork, backbone
from labelweave.relations import Relation
from labelweave.tasks import Multiclass, Multilabel
from labelweave.training._trainer import keep_freed_memory

COLUMNS, ATTRIBUTES = 128, 40
LABELS = [f"attribute {j}" for j in range(ATTRIBUTES)]
METHODS = ("single_task", "multi_task", "full", "coupled")
LIMIT = 1.5  # a coupled step over a bare loop's


def write_tables(folder: Path, rows: int, classes: int, seed: int = 0) -> None:
    """Write half of the rows with identities, half with attributes, and the table between them."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    identity = rng.permutation(np.arange(rows) % classes)
    table = rng.beta(0.3, 0.6, (classes, ATTRIBUTES)).round(3)
    attributes = (rng.random((rows, ATTRIBUTES)) < table[identity]).astype(np.int8)
    centres = rng.normal(size=(classes, COLUMNS)) + table @ rng.normal(size=(ATTRIBUTES, COLUMNS))
    inputs = (centres[identity] + rng.normal(size=(rows, COLUMNS))).astype(np.float32)
    names = [f"person {i:05}" for i in range(classes)]
    frame = pd.DataFrame(inputs, columns=[f"x{i}" for i in range(COLUMNS)])
    # in turn by the identity's rows, so that both sources know every identity
    first = np.argsort(np.argsort(identity, kind="stable"), kind="stable") % 2 == 0
    with_identity = frame[first].assign(identity=np.array(names, object)[identity[first]])
    with_identity.to_parquet(folder / "identities.parquet", index=False)
    seen = pd.DataFrame(attributes[~first], columns=LABELS, index=frame.index[~first])
    pd.concat([frame[~first], seen], axis=1).to_parquet(folder / "attributes.parquet", index=False)
    known = pd.DataFrame(table, columns=LABELS)
    known.insert(0, "identity", names)
    known.to_csv(folder / "known.csv", index=False)


def study_text(methods: list[str], steps: int) -> str:
    """Return the study file of a benchmark."""
    return json.dumps(
        {
            "name": "faces",
            "tasks": [
                {"name": "identity"},
                {"name": "attributes", "kind": "multilabel", "labels": LABELS},
            ],
            "sources": [
                {"name": "identities", "path": "identities.parquet"},
                {"name": "attributes", "path": "attributes.parquet"},
            ],
            "relations": [{"table": "known.csv", "source": "identity", "targets": ["attributes"]}],
            "split": {"test": 0.1, "validation": 0.1},
            "training": {"steps": steps, "batch_size": 512, "evaluations": 2},
            "methods": methods,
            "seeds": 1,
            "label_curves": False,
            "label_next": 0,
        }
    )


def measured(method: str, folder: Path, steps: int) -> dict[str, Any]:
    """Return what a study costs: of one method, of "all", or "check" without any training."""
    names = {"check": ["single_task"], "all": list(METHODS)}.get(method, [method])
    study = folder / f"{method}.yaml"
    study.write_text(study_text(names, steps).replace("faces", method), encoding="utf-8")
    command = [sys.executable, "-m", "labelweave", "check" if method == "check" else "run"]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [*command, str(study)], check=False, capture_output=True, text=True, cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode:
        raise SystemExit(f"{method}: exit status {ended.returncode}\n{ended.stderr[-2000:]}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # of all children so far: the methods are measured from the least to the most
    return {
        "method": method,
        "seconds": seconds,
        "wall": time.monotonic() - started,
        "gigabytes": after.ru_maxrss / 2**20,
    }


def steps_ratio(classes: int, turns: int) -> dict[str, float]:
    """Return median processor seconds of a supervised, a coupled and a bare step, and ratios."""
    rng = np.random.default_rng(0)
    identity = Multiclass("identity", tuple(f"person {i}" for i in range(classes)))
    attributes = Multilabel("attributes", tuple(f"attribute {j}" for j in range(ATTRIBUTES)))
    tasks = (identity, attributes)
    relation = Relation(identity, attributes, rng.beta(0.3, 0.6, (classes, ATTRIBUTES)))
    codes = rng.integers(0, classes, 512)
    on = rng.integers(0, 2, (512, ATTRIBUTES)).astype(np.int8)
    codes[256:], on[:256] = -1, -1
    labels = {"identity": torch.from_numpy(codes), "attributes": torch.from_numpy(on)}

    def network() -> MultiTaskNetwork:
        return MultiTaskNetwork(backbone("mlp", COLUMNS), tasks)

    case = Case(tasks, [relation], torch.randn(512, COLUMNS), labels, network)
    losses = (objective_loss(case, {}), objective_loss(case, COUPLINGS), plain_loss(case))
    seconds = times([step_of(case, loss) for loss in losses], turns)
    names = ("supervised", "coupled", "bare")
    found = {name: float(np.median(seconds[:, i])) for i, name in enumerate(names)}
    for i, name in enumerate(names[:2]):
        found[f"{name} / bare"] = float(np.median(seconds[:, i] / seconds[:, 2]))
    return found


def posterior_seconds(classes: int, rows: int) -> float:
    """Return processor seconds of the coupled prediction of so many rows, 400 at a time."""
    rng = np.random.default_rng(0)
    identity = Multiclass("identity", tuple(f"person {i}" for i in range(classes)))
    attributes = Multilabel("attributes", tuple(LABELS))
    table = rng.beta(0.3, 0.6, (classes, ATTRIBUTES))
    rates = {"identity": np.full(classes, 1 / classes), "attributes": table.mean(axis=0)}
    link = make_link(Relation(identity, attributes, table), rates).with_strengths(0.7, 0.8)
    seconds = 0.0
    for first in range(0, rows, 400):
        size = min(400, rows - first)
        p = {
            "identity": rng.dirichlet(np.ones(classes), size),
            "attributes": rng.uniform(0.02, 0.98, (size, ATTRIBUTES)),
        }
        started = time.process_time()
        joint_posterior(p, [link])
        seconds += time.process_time() - started
    return seconds


def main() -> None:
    """Measure, print a table and write the figures as JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=300, help="of every training")
    parser.add_argument("--turns", type=int, default=15, help="of the ratio of steps")
    parser.add_argument("--step", action="store_true", help="the ratio of steps alone")
    parser.add_argument("--posterior", action="store_true", help="coupled prediction of rows alone")
    parser.add_argument("--only", nargs="+", choices=("check", "all", *METHODS), help="studies")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if options.posterior:
        seconds = posterior_seconds(options.classes, options.rows)
        print(f"posterior of {options.rows} rows, {options.classes} classes: {seconds:.2f} s")
        return
    steps = steps_ratio(options.classes, options.turns)
    print(f"one step of 512 rows, {options.classes} classes, {ATTRIBUTES} labels")
    for name, value in steps.items():
        aim = f"  (aim: at most {LIMIT})" if name == "coupled / bare" else ""
        print(f"  {name:18} {value:8.3f}{'' if '/' in name else ' s'}{aim}", flush=True)
    found: dict[str, Any] = {"rows": options.rows, "classes": options.classes, "step": steps}
    if not options.step:
        found["studies"] = []
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_tables(folder, options.rows, options.classes)
            for method in options.only or ("check", *METHODS):
                row = measured(method, folder, options.steps)
                found["studies"].append(row)
                print(
                    f"{method:12} {row['seconds']:8.1f} s of processor {row['wall']:8.1f} s "
                    f"{row['gigabytes']:6.2f} GB",
                    flush=True,
                )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The case ``yeast`` of `benchmarks.strength`: two halves of river's 14 labels on other genes."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.noisy_or import yeast
from labelweave._files import write_text
from labelweave.relations import NoisyOr
from labelweave.tasks import Multilabel


def write_yeast(folder: Path, seed: int = 0, validation: int = 0) -> Path:
    """Write 817 test rows, 1,600 training rows and a noisy-OR either way, and return a study.

    The noisy-ORs are fitted to both halves on all training rows, which no study would see: as true
    as such a relation can be. In the study 800 rows keep the one half, 800 the other; with 100
    validation rows, 740 each.

    Raises:
        SystemExit: the package river is not installed.
    """
    inputs, annotations, tests, held = yeast(seed, scattered=False)
    a, b = annotations.tasks
    names = [f"x{i}" for i in range(inputs.shape[1])]
    splits = {"train": (inputs, annotations.labels), "test": (tests, held)}
    for split, (values, codes) in splits.items():
        frame = pd.DataFrame(np.round(values, 5), columns=names)
        frame[[*a.names, *b.names]] = np.concatenate([codes["a"], codes["b"]], axis=1)
        frame.to_csv(folder / f"{split}.csv", index=False)
    relations = []
    for source, target in ((a, b), (b, a)):
        assert isinstance(source, Multilabel)
        assert isinstance(target, Multilabel)
        fitted = NoisyOr.estimate(
            source, target, annotations.labels[source.name], annotations.labels[target.name]
        )
        rows = [*source.labels, "leak"]
        values = np.concatenate([fitted.weights, fitted.leak[None]])
        table = pd.DataFrame(values, index=pd.Index(rows, name=source.name), columns=target.labels)
        table.to_csv(folder / f"{source.name}.csv")
        relations.append({"table": f"{source.name}.csv", "source": source.name})
    # validation rows are taken by their labels, a few more or less
    own = (len(inputs) - validation) // 2 - (10 if validation else 0)
    study = {
        "name": "yeast",
        "tasks": [
            {"name": task.name, "kind": task.kind, "labels": list(task.names)} for task in (a, b)
        ],
        "sources": [{"path": "train.csv"}, {"path": "test.csv", "split": "test"}],
        "relations": relations,
        "split": {"validation": validation},
        "scatter": [
            {"name": "first", "tasks": ["a"], "rows": own},
            {"name": "second", "tasks": ["b"], "rows": own},
        ],
        "training": {"steps": 800, "sampling": "equal", "learning_rate": 0.005},
    }
    write_text(folder / "study.yaml", yaml.safe_dump(study, sort_keys=False))
    return folder / "study.yaml"

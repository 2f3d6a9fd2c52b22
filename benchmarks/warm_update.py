"""A final model fitted again with new labels: from new weights, and from those of the one before.

Handwritten digits and leaves (see `benchmarks.monitor_faults`), a third of at most 2,400 rows to
test, a third as earlier rows, a third as new ones; of each part few labels a class of the first
task, all of the others. The fit with both parts is made twice, from new weights and from those of
the fit on the earlier rows for half of the steps, and both predict the same test rows.

Run: python -m benchmarks.warm_update [--sets digits leaves] [--methods coupled multi_task]
     [--seeds 3]
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.monitor_faults import SETS, Data
from labelweave.experiments import Study
from labelweave.model import EncodedPredictor
from labelweave.serving._finish import all_rows, fit_all

ROWS, LABELS = 2400, 10  # rows in all; labels of a class of the first task, a part


def data_of(name: str) -> Data:
    """Return a set without columns that hardly vary: half of the rows would not show them all."""
    found = SETS[name]()
    numbers = found.frame[found.numbers]
    still = [c for c in numbers if (numbers[c] != numbers[c].mode()[0]).mean() < 0.05]
    return replace(found, frame=found.frame.drop(columns=still))


def fewer(rows: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return rows with few labels of a class."""
    return rows.assign(**{task: rows[task].where(rows.groupby(task).cumcount() < LABELS)})


def fitted(
    rows: pd.DataFrame, data: Data, method: str, seed: int, start: EncodedPredictor | None
) -> tuple[EncodedPredictor, float]:
    """Return the model of a fit on all rows, and its seconds of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        rows.to_csv(Path(folder, "rows.csv"), index=False)
        study = {
            "name": "warm", "tasks": [{"name": name} for name in data.tasks],
            "sources": [{"path": "rows.csv"}], "methods": [method], "seeds": [seed],
        }  # fmt: skip
        Path(folder, "study.yaml").write_text(yaml.safe_dump(study))
        given = Study.from_file(Path(folder, "study.yaml"))
        split, begun = all_rows(given), time.process_time()
        made = fit_all(given, given.config.method(method), split, False, start).model
        return made, time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["digits", "leaves"])
    parser.add_argument("--methods", nargs="+", default=["coupled", "multi_task"])
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    print("| set, method | task | earlier | new weights | warm | difference | least, most |")
    print("|---|---|---|---|---|---|---|")
    for name in asked.sets:
        data = data_of(name)
        for method in asked.methods:
            scores: dict[str, list[list[float]]] = {task: [] for task in data.tasks}
            seconds = []
            for seed in range(asked.seeds):
                some = data.frame.sample(min(ROWS, len(data.frame)), random_state=seed)
                test, earlier, new = np.array_split(np.arange(len(some)), 3)
                parts = [fewer(some.iloc[each], data.tasks[0]) for each in (earlier, new)]
                former, _ = fitted(parts[0], data, method, seed, None)
                both = pd.concat(parts)
                cold, cold_seconds = fitted(both, data, method, seed, None)
                warm, warm_seconds = fitted(both, data, method, seed, former)
                assert warm.record.warm  # type: ignore[attr-defined]
                seconds.append((cold_seconds, warm_seconds))
                shown = some.iloc[test]
                for task in data.tasks:
                    truth = shown[task].astype(str).to_numpy()
                    given = [
                        each.predict(shown.drop(columns=data.tasks))[task].astype(str)
                        for each in (former, cold, warm)
                    ]
                    scores[task].append([float((each == truth).mean()) for each in given])
            for task, found in scores.items():
                first, anew, again = np.mean(found, axis=0)
                apart = [row[2] - row[1] for row in found]
                print(
                    f"| {name}, {method} | {task} | {first:.3f} | {anew:.3f} | {again:.3f} | "
                    f"{np.mean(apart):+.3f} | {min(apart):+.3f}, {max(apart):+.3f} |",
                    flush=True,
                )
            anew, again = np.mean(seconds, axis=0)
            print(
                f"{name}, {method}: {anew:.1f} s from new weights, {again:.1f} s warm", flush=True
            )


if __name__ == "__main__":
    main()

"""Does the jointly most likely answer help? Accuracy and contradictions on the suite's sets.

Run: python -m benchmarks.coherence [--sets leaves,gapminder,...] [--seeds 2]

For each set: accuracy of every task, and share of rows with all tasks right, of separate answers
and of joint ones, from the guarded probabilities and from those of each task alone.
"""

import numpy as np
import pandas as pd

from benchmarks.conformal_sets import fitted
from benchmarks.suite._lines import measured_lines
from benchmarks.suite._scatterings import make_case
from benchmarks.suite._sets import SETS
from labelweave.tasks import Multiclass
from labelweave.trust import coherent

NAMES = "leaves,gapminder,loans,olive,pitches,rodents,adult,ames,penguins"


def measured(name: str, seed: int) -> list[dict[str, object]]:
    data_set = SETS[name]
    case = make_case(data_set, data_set.scatterings[0], seed)
    stack = fitted(case, seed)
    _, X = case.encoded
    guarded = stack.predict_proba(X)
    alone = {n: p["alone"] for n, p in stack.candidates(X).items()}
    links = [link for link in stack.links if link.to_source + link.to_target > 0]
    ways = {
        "separate": coherent(guarded, [], case.tasks),
        "joint": coherent(guarded, links, case.tasks),
        "joint of alone": coherent(alone, links, case.tasks),
    }
    labels, found = case.test_labels.labels, []
    for way, codes in ways.items():
        right = {}
        for task in case.tasks:
            truth = labels[task.name]
            same = codes[task.name] == truth
            if not isinstance(task, Multiclass):
                same, truth = same.all(axis=1), truth.min(axis=1)
            right[task.name] = np.where(truth >= 0, same, np.nan)
        table = pd.DataFrame(right)
        line: dict[str, object] = {"set": name, "way": way, "rare": data_set.scatterings[0].rare}
        line["rare_accuracy"] = table[data_set.scatterings[0].rare].mean()
        line["mean_accuracy"] = table.mean().mean()
        line["all_right"] = table.dropna().all(axis=1).mean()
        found.append(line)
    return found


def main() -> None:
    lines = measured_lines(__doc__, NAMES, 2, measured)
    table = lines.groupby(["set", "way"], sort=False).mean(numeric_only=True)
    print(table.round(4).to_string())
    print(table.groupby("way", sort=False).mean().round(4).to_string())


if __name__ == "__main__":
    main()

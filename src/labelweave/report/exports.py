"""Results as a CSV table."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelweave.files import write_text
from labelweave.report.tables import arm_names, checked, estimate, verdict

COLUMNS = (
    "arm", "task", "metric", "mean", "low", "high", "n", "seeds",
    "difference", "difference_low", "difference_high", "p", "effect", "detectable", "verdict",
)  # fmt: skip


def write_csv(results: Mapping[str, Any], path: str | Path) -> None:
    """Write one row for every arm, task and metric; an empty field is "no data".

    Values are in the metric's own unit and unrounded; `difference` is the paired difference to
    the baseline, `p` its p-value before the correction for the number of tasks, `effect` Cohen's
    h, `detectable` the smallest true change that would have been found; the verdict stands with
    the task's main metric only.

    Args:
        results: the content of a study's results.json.
        path: the file to write, replaced as a whole.

    Raises:
        LabelweaveError: the results are not those of a study, or the file cannot be written.
    """
    results = checked(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for arm in arm_names(results):
        for task in results["tasks"]:
            name = task["name"]
            for metric in results["arms"][arm].get(name, {}):
                value = estimate(results, "arms", arm, name, metric)
                change = estimate(results, "differences", arm, name, metric)
                word = verdict(results, arm, task) if metric == task["main_metric"] else None
                writer.writerow(
                    (
                        *(arm, name, metric),
                        *(value.mean, value.low, value.high, value.n, value.seeds),
                        *(change.mean, change.low, change.high, change.p),
                        *(change.effect, change.detectable, word),
                    )
                )
    write_text(Path(path), text.getvalue())

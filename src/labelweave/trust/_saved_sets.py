"""The thresholds of conformal sets as a file: for any coverage, without the rows behind them."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from labelweave._files import write_text
from labelweave._saved import MOST_CLASSES, Saved, Share, read_description
from labelweave.errors import LabelweaveError, in_place
from labelweave.evaluation._questions import question_names
from labelweave.tasks import Multiclass, Task
from labelweave.trust._predictions import Predictions
from labelweave.trust._quantiles import check_coverage, least_labels
from labelweave.trust._sets import Promise, SetRule, fit_sets

FORMAT, FILE = 1, "sets.json"
COVERAGES = tuple(round(0.50 + step / 100, 2) for step in range(50))  # .50 to .99
DIGITS = 6
Cuts = Annotated[list[Share], Field(min_length=len(COVERAGES), max_length=len(COVERAGES))]


class SavedQuestion(Saved):
    """The thresholds of one question, a task or a label, for all coverages.

    Attributes:
        labels: labelled groups of rows behind it.
        cuts: by coverage the highest score, 1 - P(class), that is let in; 1 = every class.
        class_labels: labelled groups of each class.
        class_cuts: by coverage and class the same, for a promise to each class.
    """

    labels: Annotated[int, Field(ge=0)]
    cuts: Cuts
    class_labels: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MOST_CLASSES)]
    class_cuts: Annotated[
        list[Annotated[list[Share], Field(max_length=MOST_CLASSES)]],
        Field(min_length=len(COVERAGES), max_length=len(COVERAGES)),
    ]

    @model_validator(mode="after")
    def _as_wide(self) -> Self:
        if {len(row) for row in self.class_cuts} != {len(self.class_labels)}:
            raise ValueError("'class_cuts' and 'class_labels' do not fit each other")
        return self


class SavedSets(Saved):
    """Thresholds of conformal sets for coverages from .50 to .99, by question.

    Attributes:
        format: of the file.
        questions: by the name of a task, or ``task=label``.
    """

    format: Annotated[int, Field(ge=1, le=1_000_000)]
    questions: dict[str, SavedQuestion]

    def rule(
        self, tasks: Sequence[Task], coverage: float, per: Literal["task", "class"] = "task"
    ) -> SetRule:
        """Return the thresholds of a coverage.

        Args:
            tasks: of the model.
            coverage: from .50 to .99, in hundredths.
            per: what it is for: each ``task``, or each ``class``.

        Raises:
            LabelweaveError: another coverage, or a task without thresholds.
        """
        wanted = check_coverage(coverage)
        place = min(range(len(COVERAGES)), key=lambda i: abs(COVERAGES[i] - wanted))
        if abs(COVERAGES[place] - wanted) > 1e-9:
            raise LabelweaveError(
                f"coverage: found {coverage:g}, expected .50 to .99 in steps of .01, such as .9"
            )
        needed, cuts, promises = least_labels(wanted), {}, []
        for task in tasks:
            words = task.names if isinstance(task, Multiclass) else ("off", "on")
            for name in question_names(task):
                saved = self.questions.get(name)
                if saved is None or len(saved.class_labels) != len(words):
                    raise LabelweaveError(f"found no thresholds of '{name}', expected some")
                promises.append(Promise(name, "all", saved.labels, needed))
                if per == "task":
                    cuts[name] = np.full(len(words), saved.cuts[place])
                    continue
                cuts[name] = np.array(saved.class_cuts[place])
                promises += [
                    Promise(name, f"class={word}", count, needed)
                    for word, count in zip(words, saved.class_labels, strict=True)
                ]
        return SetRule(tuple(tasks), wanted, per, tuple(promises), {None: cuts})

    def write(self, folder: Path) -> None:
        """Write ``sets.json`` to a folder."""
        write_text(folder / FILE, json.dumps(self.model_dump()))


def saved_sets(rows: Predictions, shares: Mapping[str, ArrayLike] | None = None) -> SavedSets:
    """Return thresholds for every coverage, as `fit_sets` sets them.

    Args:
        rows: labelled rows that the model was not trained on; a group counts as one row.
        shares: by task the shares of its classes among the rows to predict (`fit_sets`).
    """
    found: dict[str, dict[str, Any]] = {}
    for coverage in COVERAGES:
        plain, each = (
            fit_sets(rows, coverage, per=per, shares=shares) for per in ("task", "class")
        )
        for task in rows.tasks:
            for name in question_names(task):
                mine = found.setdefault(name, {"cuts": [], "class_cuts": []})
                mine["cuts"].append(_up(float(plain.cuts[None][name][0])))
                mine["class_cuts"].append([_up(v) for v in each.cuts[None][name].tolist()])
                counts = [p.labels for p in each.promises if p.question == name]
                mine["labels"], mine["class_labels"] = counts[0], counts[1:]
    questions = {name: SavedQuestion(**values) for name, values in found.items()}
    return SavedSets(format=FORMAT, questions=questions)


def read_sets(folder: Path, tasks: Sequence[Task]) -> SavedSets | None:
    """Return the thresholds in a model's folder; None where it has none.

    Raises:
        LabelweaveError: a damaged file, or one that is not of these tasks.
    """
    path = folder / FILE
    if not path.exists():
        return None
    found = read_description(path, SavedSets, FORMAT)
    with in_place(path):
        found.rule(tasks, 0.9, "class")
    return found


def _up(cut: float) -> float:
    """Return a threshold rounded up, so that no set becomes smaller; scores end at 1."""
    return 1.0 if cut >= 1 else math.ceil(cut * 10**DIGITS) / 10**DIGITS

"""A study's private model: one network with differential privacy, in a separate folder."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import labelweave
from labelweave._files import unwritable
from labelweave._messages import Message
from labelweave.data import Collection, Source
from labelweave.data._splitting import split_rows
from labelweave.errors import LabelweaveError, in_place, listing, nearest
from labelweave.evaluation._comparison import Estimate
from labelweave.results import Check, MeanInterval
from labelweave.serving._finish import study_at
from labelweave.tables import Table, read_cells
from labelweave.trust import Predictions, fit_private, membership_advantage
from labelweave.trust._card import scored
from labelweave.trust._privacy_file import FORMAT, Privacy

if TYPE_CHECKING:
    from labelweave.experiments import Study

FOLDER, NEW = "private", ".private.new"
STEPS = 300


@dataclass(frozen=True, eq=False)
class PrivateModel:
    """A private model that was written, and what it gave on rows that it has not seen.

    Attributes:
        folder: of the model.
        privacy: what it promises.
        rows: training rows.
        rows_of_a_group: most training rows of one group, such as a person; the promise is for one
            row of them.
        scores: by task its main metric on the test rows.
        membership: what `membership_advantage` gives.
        left_out: relations that were counted or estimated on the rows.
    """

    folder: Path
    privacy: Privacy
    rows: int
    rows_of_a_group: int
    scores: dict[str, tuple[str, Estimate]]
    membership: pd.DataFrame
    left_out: tuple[str, ...]

    def checks(self) -> tuple[Check, ...]:
        """Return what the study's report shows of it."""
        found = [
            Check(
                Message("checks.epsilon", {"source": name}), MeanInterval(value),
                note=Message("checks.delta", {"delta": f"{self.privacy.delta:.1g}"}),
            )
            for name, value in self.privacy.epsilons.items()
        ]  # fmt: skip
        for name, (metric, each) in self.scores.items():
            value = None if each.mean is None else MeanInterval(each.mean, each.low, each.high)
            found.append(
                Check(
                    Message("checks.score", {"task": name, "metric": Message(f"metric.{metric}")}),
                    value, each.n, Message("checks.test_rows"),
                )
            )  # fmt: skip
        for line in self.membership.to_dict("records"):
            if line["part"] == "all" and not pd.isna(line["advantage"]):
                value = MeanInterval(line["advantage"], line["low"], line["high"])
                what = Message("checks.advantage", {"task": line["task"]})
                found.append(Check(what, value, int(line["others"])))
        return tuple(found)


def finish_private(
    study: "str | Path | Study",
    public: str | Path,
    epsilon: float | Mapping[str, float],
    *,
    folder: str | Path | None = None,
    steps: int = STEPS,
    seed: int | None = None,
) -> PrivateModel:
    """Fit one network of a study's tasks with differential privacy, and write it to a folder.

    `labelweave.trust.fit_private` on all rows but the study's test rows, which measure it. The
    folder holds the network, what the public rows show about the columns, and ``privacy.json``; no
    calibration, threshold or count of the private rows. Tables of experts couple the tasks; those
    that would be counted on the rows are left out. Figures of the test rows are not in it: nothing
    is promised for these rows.

    Args:
        study: a study file or a `Study`; it need not have run.
        public: a table of rows that are not private, with the study's input columns.
        epsilon: for the rows of every source, or by source; 0.01 to 100.
        folder: where to write the model; None = ``private`` in the study's results folder.
        steps: of the training.
        seed: decides everything; None = from the operating system, as privacy needs it.

    Raises:
        LabelweaveError: opacus is not installed, a model that is there already, inputs that are
            images or texts, or a source, epsilon or public table that does not fit.
        WriteError: the folder cannot be written.
    """
    given = study_at(study)
    target = given.output / FOLDER if folder is None else Path(folder)
    if target.exists():
        raise LabelweaveError(
            f"{target}: is there already; another fit on the same rows spends its epsilon, too"
        )
    config, data = given.config, given.data
    if config.inputs.pixels or config.inputs.tokens or config.network.backbone != "mlp":
        raise LabelweaveError(
            "a private model reads columns by an 'mlp'; found other inputs or another 'network'"
        )
    collection, kept = data.collection, [task.name for task in data.tasks]
    parts = split_rows(
        collection, test=config.split.test, seed=config.seed_list()[0], folds=config.split.folds
    )
    inside = np.ones(len(collection.groups), np.bool_)
    inside[parts.test] = False
    shown = _public_rows(Path(public), collection)
    sources = _training(collection, inside, kept, shown.columns)
    names = [each.name for each in sources]
    wanted = dict(epsilon) if isinstance(epsilon, Mapping) else epsilon
    made = fit_private(
        sources, wanted, shown, relations=data.known, hidden=config.network.hidden, steps=steps,
        seed=seed,
    )  # fmt: skip

    def predicted(rows: NDArray[np.bool_]) -> Predictions:
        labels = collection.annotations[rows].only(kept)
        p = made.model.predict_proba(collection.inputs.loc[rows, shown.columns])
        return Predictions(labels, p, collection.groups[rows])

    test, members = predicted(~inside), predicted(inside)
    privacy = Privacy(
        format=FORMAT, labelweave=labelweave.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"), study=config.name,
        epsilons={name: made.epsilons[name] for name in names}, delta=made.delta,
        noises=made.noises, rate=made.rate, steps=made.steps,
        relations=[relation.name for relation in data.known],
    )  # fmt: skip
    new = target.with_name(NEW)
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.parent.mkdir(parents=True, exist_ok=True)
        made.model.save(new)
        privacy.write(new)
        new.replace(target)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return PrivateModel(
        target, privacy, int(inside.sum()), int(np.bincount(collection.groups[inside]).max()),
        {task.name: scored(task, test) for task in test.tasks},
        membership_advantage(members, test),
        tuple(f"{each.source}->{name}" for each in data.counted for name in each.targets or ()),
    )  # fmt: skip


def _public_rows(path: Path, collection: Collection) -> Table:
    """Return the input columns of a table, as it writes them."""
    table = read_cells(path)
    wanted = [str(name) for name in collection.inputs]
    with in_place(path):
        for name in wanted:
            if name not in table.columns:
                raise LabelweaveError(
                    f"no column '{name}', found {listing(table.columns)}"
                    f"{nearest(name, table.columns)}"
                )
    return table.selected(wanted)


def _training(
    collection: Collection, inside: NDArray[np.bool_], tasks: list[str], columns: list[str]
) -> list[Source]:
    """Return the rows of every source that train the model."""
    found = []
    for number, name in enumerate(collection.names):
        rows = inside & (collection.source == number)
        if rows.any():
            inputs = collection.inputs.loc[rows, columns].reset_index(drop=True)
            found.append(Source(name, inputs, collection.annotations[rows].only(tasks)))
    return found

"""A study: methods x seeds, run in parallel, resumable, with results as files.

What trains is imported where it is used, so that a study is checked without PyTorch.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from labelweave._files import (
    check_free,
    check_makeable,
    locked,
    make_folder,
    remove_unfinished,
    write_text,
)
from labelweave.data._batch_shares import BatchShares
from labelweave.errors import LabelweaveError, TrainingError
from labelweave.experiments._checking import check_tracking, check_value, description
from labelweave.experiments._config import StudyConfig, parse_study, read_study_file
from labelweave.experiments._loading import StudyData, load_data, make_split
from labelweave.experiments._power import power_findings
from labelweave.fitting._checking import batch_shares, check_split
from labelweave.fitting._methods import UNCOUPLED
from labelweave.fitting._split import Split
from labelweave.relations._relate import Origin
from labelweave.results import Results
from labelweave.tables import DataFinding

if TYPE_CHECKING:
    from labelweave.experiments._context import StudyContext
    from labelweave.experiments._engines import Engine
    from labelweave.experiments._scheduler import Trained
    from labelweave.relations import Relatedness

LONGEST = 80


def stage_name(study: str, tasks: Sequence[str]) -> str:
    """Return ``<study>.<task>-<task>...`` in plain letters; what is cut or changed gets a hash."""
    text = "-".join(re.sub(r"[^A-Za-z0-9_]", "_", task) for task in tasks)
    plain = all(re.fullmatch(r"[A-Za-z0-9_]+", task) for task in tasks)
    if plain and len(text) <= LONGEST:
        return f"{study}.{text}"
    digest = hashlib.blake2b("\0".join(tasks).encode(), digest_size=4).hexdigest()
    return f"{study}.{text[:LONGEST]}-{digest}"


class Study:
    """A comparison of methods on the same data, splits and seeds.

    >>> kinds, sizes = ["box", "ball"] * 20, ["big", "small", "", ""] * 10
    >>> rows = {"weight": range(40), "kind": kinds, "size": sizes}
    >>> pd.DataFrame(rows).to_csv("parts.csv", index=False)
    >>> tasks = [{"name": "kind"}, {"name": "size"}]
    >>> study = Study({"name": "parts", "tasks": tasks, "sources": [{"path": "parts.csv"}]})
    >>> study.methods
    ['single_task', 'multi_task', 'distillation', 'strong_single_task']
    >>> len(study.splits())  # one a seed; `run` trains every method on each
    5

    Args:
        config: the settings, or a dictionary of them (the content of a study file).
        folder: the folder that paths in the settings are relative to.
        data: the data, instead of the tables that the settings name.
        command: how to run the study again, for the report.

    Attributes:
        methods: the names of the methods to compare.
        mislabelled: labels that are likely wrong (`mislabelled_table`), as found by the last
            `compare`, `run` or `relate`; None where no label noise was estimated.

    Raises:
        LabelweaveError: settings or data are wrong; one line.
    """

    def __init__(
        self,
        config: StudyConfig | Mapping[str, Any],
        folder: str | Path = ".",
        *,
        data: StudyData | None = None,
        command: str = "Study(config).run()",
    ) -> None:
        self.folder = Path(folder)
        given = config if isinstance(config, StudyConfig) else parse_study(dict(config))
        self.config = given.located(self.folder)
        self.data = data or load_data(self.config, self.folder)
        self.command = command
        self.methods = self.config.method_list(bool(self.data.known or self.data.counted))
        self.mislabelled: pd.DataFrame | None = None
        check_tracking(self.config)
        if self.config.statistics.by is not None:
            from labelweave.experiments._groups import check_groups

            check_groups(self.config, self.data)
        check_value(self.config, self.methods, [task.name for task in self.data.collection.tasks])
        self._trained: Trained | None = None  # by the last `compare`

    @classmethod
    def from_file(cls, path: str | Path, **changes: Any) -> "Study":
        """Return the study of a YAML file, with keys changed.

        Args:
            path: the study file.
            changes: valid values of keys, in place of the file's.
        """
        config = read_study_file(path).model_copy(update=changes)
        return cls(config, Path(path).parent, command=f"labelweave run {Path(path).name}")

    @property
    def output(self) -> Path:
        """The folder that holds the study's results."""
        name = stage_name(self.config.name, [task.name for task in self.data.tasks])
        return self.folder / self.config.output / (name if self.config.only else self.config.name)

    def splits(self) -> list[Split]:
        """Return the data of every seed, checked for all that would stop a run on them."""
        return [self._split(seed) for seed in self.config.seed_list()]

    def first_split(self) -> Split:
        """Return the data of the first seed, checked."""
        return self._split(self.config.seed_list()[0])

    def batch_shares(self) -> BatchShares:
        """Return what the study's batches are mixed of, on the first seed."""
        return batch_shares(self.first_split(), self.config.training)

    def _split(self, seed: int) -> Split:
        split = make_split(self.config, self.data, seed)
        check_split(split, self.config)
        return split

    def run(
        self,
        *,
        jobs: int | None = None,
        engine: "Engine | None" = None,
        progress: bool = True,
        announce: Callable[[BatchShares, Sequence[DataFinding]], object] | None = None,
        formulas: bool = False,
    ) -> Results:
        """Run every method on every seed, compare, and write the results.

        Runs that are there already, made from the same content, are not repeated. Writes
        ``results.json`` and ``label_next.csv`` to `output`, and ``mislabelled.csv`` where a method
        estimates label noise. The report is a function of the results:
        ``labelweave.report.write_report(study.run(), study.output)``.

        Args:
            jobs: processes at the same time; None = one a core.
            engine: where the runs are trained, instead of processes of this machine.
            progress: show a bar when on a terminal.
            announce: called when all is checked and the training is about to begin, with what the
                batches are mixed of, on the first seed, and the tasks on which the study could not
                detect a change of 5 points.
            formulas: write cells that start a formula into the CSV files as they are; default: with
                a ' in front, for spreadsheets run them.

        Returns:
            The results, as ``results.json`` holds them.

        Raises:
            LabelweaveError: the data do not allow the study, or another process has the study's
                folder.
            WriteError: a file cannot be written.
            TrainingError: every method failed on some seed.
        """
        from labelweave.experiments._details import add_details
        from labelweave.experiments._engines import engine_of
        from labelweave.experiments._relating import write_mislabelled
        from labelweave.experiments._value import add_value

        runs_on = engine_of(jobs, engine)
        check_makeable(self.output)
        check_free(self.output)
        checked = self.splits()
        with self._working(runs_on, progress, formulas) as context:
            if announce is not None:
                announce(
                    batch_shares(checked[0], self.config.training),
                    power_findings(self.config, checked),
                )
            results = self._compare(context, checked, recommend=True)
            assert self._trained is not None
            trained = self._trained.splits, self._trained.runs
            results = add_value(context, results, *trained)
            results = add_details(context, results, *trained)
            make_folder(self.output)
            write_text(self.output / "results.json", results.to_json())
            if self.mislabelled is not None:
                write_mislabelled(self.mislabelled, self.output, formulas=formulas)
        return results

    def compare(
        self,
        *,
        jobs: int | None = None,
        engine: "Engine | None" = None,
        progress: bool = True,
    ) -> Results:
        """Do the same as `run`, but keep the runs only: the results are not written."""
        from labelweave.experiments._engines import engine_of

        runs_on = engine_of(jobs, engine)
        check_free(self.output)
        splits = self.splits()
        with self._working(runs_on, progress) as context:
            return self._compare(context, splits)

    @contextmanager
    def _working(
        self, engine: "Engine", progress: bool, formulas: bool = False
    ) -> Iterator["StudyContext"]:
        """Keep the study's folder for this process, without what a killed one left half-written."""
        from labelweave.experiments._context import StudyContext
        from labelweave.experiments._dask import remove_files
        from labelweave.experiments._tracking import Tracking

        with locked(self.output):
            remove_unfinished(self.output)
            remove_unfinished(self.output / "held_out")
            tracking = Tracking(self.config, self.output, self.folder)
            yield StudyContext(
                self.config,
                self.data,
                self.output,
                tracking,
                engine,
                progress,
                self.folder,
                formulas,
            )
            remove_files(self.output)

    def _compare(
        self, context: "StudyContext", splits: Sequence[Split], *, recommend: bool = False
    ) -> Results:
        from labelweave.experiments._groups import group_effects
        from labelweave.experiments._results import collect
        from labelweave.experiments._scheduler import train_methods
        from labelweave.experiments._selection import held_out_scores
        from labelweave.experiments._teaching import teaching

        trained = self._trained = train_methods(context, self.methods, splits)
        related = trained.related
        self._note_mislabelled(splits, related)
        scores = held_out_scores(context, trained, splits) if recommend else None
        results = collect(
            self.config, splits, trained.runs, trained.failures, related, self.command, scores
        )
        level = self.config.statistics.level
        return replace(
            results,
            groups=group_effects(self.config, self.data, results, trained.runs),
            teaching=teaching(results, trained.runs, splits, level) if recommend else None,
        )

    def relate(self, origin: Origin = "all", *, progress: bool = True) -> "Relatedness":
        """Return how the tasks relate, estimated on the first seed.

        Trains the method ``multi_task`` of that seed, where it is not there already.

        Args:
            origin: which evidence enters the tables: ``knowledge``, ``annotations``,
                ``predictions`` or ``all``.
            progress: show a bar when on a terminal.

        Raises:
            LabelweaveError: the data do not allow it.
            TrainingError: the training failed.
        """
        from labelweave.experiments._engines import LocalProcesses
        from labelweave.experiments._executor import train_runs
        from labelweave.experiments._relating import relate_run
        from labelweave.experiments._scheduler import plan_runs
        from labelweave.fitting._relating import RelationQuery

        if origin == "knowledge" and not self.data.known:
            raise LabelweaveError("relations from knowledge: found no table, expected one")
        check_free(self.output)
        split = self.first_split()
        plan = plan_runs({UNCOUPLED: [split]}, self.config, self.output)
        with self._working(LocalProcesses(1), progress) as context:
            failures = train_runs(context, plan, {UNCOUPLED: [split]})
            if failures:
                raise TrainingError(failures[0]["error"])
            query = RelationQuery(self.data.pairs, self.data.known, noise=True)
            found = relate_run(split, plan[UNCOUPLED][0], self.config, [origin], query)
        related = found[origin]
        self._note_mislabelled([split], {origin: [related]})
        return related

    def _note_mislabelled(
        self, splits: Sequence[Split], related: Mapping[Origin, Sequence["Relatedness"]]
    ) -> None:
        from labelweave.fitting._relating import mislabelled_table

        # an evidence that is judged on the first seed only has no method
        whole = [r for r in related.values() if len(r) == len(splits) and any(f.noise for f in r)]
        if whole:
            self.mislabelled = mislabelled_table(self.data.collection, splits, whole)

    def describe(self) -> list[Any]:
        """Return what a reader should see before training, as lines and tables to print.

        Makes every seed's split, so that whatever the data do not allow is found.
        """
        return description(self.config, self.data.tasks, self.methods, self.splits())

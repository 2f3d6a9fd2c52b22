"""A study: arms x seeds, run in parallel, resumable, with results as files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from labelweave.data import BatchShares
from labelweave.errors import LabelweaveError, TrainingError
from labelweave.files import remove_unfinished
from labelweave.lock import check_free, locked
from labelweave.relations import Origin, Relatedness
from labelweave.remarks import plain
from labelweave.report import known_language
from labelweave.study.arms import BASELINE, UNCOUPLED
from labelweave.study.config import StudyConfig
from labelweave.study.description import description
from labelweave.study.fitting import batch_shares, check_fold
from labelweave.study.fold import Fold, make_fold
from labelweave.study.loading import StudyData, load
from labelweave.study.mislabelled import mislabelled_table, write_mislabelled
from labelweave.study.pool import derive_runs, train_runs
from labelweave.study.progress import runs_bar
from labelweave.study.relating import relate_fold, relate_folds, with_relations
from labelweave.study.results import collect, write_results
from labelweave.study.runs import Run, plan_run
from labelweave.study.stage_name import stage_name
from labelweave.study.study_file import parse_study, read_study_file
from labelweave.study.tracking import Tracking, check_tracking
from labelweave.study.value import add_value, check_value, next_task


class Study:
    """A comparison of arms on the same data, splits and seeds.

    Args:
        config: the settings, or a dictionary of them (the content of a study file).
        folder: the folder that paths in the settings are relative to.
        data: the data, instead of the tables that the settings name.
        command: how to run the study again, for the report.

    Attributes:
        arms: the names of the arms to compare.
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
        self.data = data or load(self.config, self.folder)
        self.command = command
        self.arms = self.config.arm_list(bool(self.data.known or self.data.counted))
        self.mislabelled: pd.DataFrame | None = None
        check_tracking(self.config)
        check_value(self.config, self.arms, [task.name for task in self.data.collection.tasks])
        # by arm its data and its finished runs, of the last `compare`
        self._trained: tuple[dict[str, Sequence[Fold]], dict[str, list[Run]]] = ({}, {})

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

    def folds(self) -> list[Fold]:
        """Return the data of every seed, checked for all that would stop a run on them."""
        return [self._fold(seed) for seed in self.config.seed_list()]

    def first_fold(self) -> Fold:
        """Return the data of the first seed, checked."""
        return self._fold(self.config.seed_list()[0])

    def batch_shares(self) -> BatchShares:
        """Return what the study's batches are mixed of, on the first seed."""
        return batch_shares(self.first_fold(), self.config.training)

    def _fold(self, seed: int) -> Fold:
        fold = make_fold(self.config, self.data, seed)
        check_fold(fold, self.config)
        return fold

    def run(
        self, *, jobs: int | None = None, progress: bool = True, language: str | None = None
    ) -> dict[str, Any]:
        """Run every arm on every seed, compare, and write results and report.

        Runs that are there already, made from the same content, are not repeated. Writes
        ``results.json``, ``results.csv``, ``report.html``, ``report.md``, ``summary.png`` and
        ``label_next.csv`` to `output`, and ``mislabelled.csv`` where an arm estimates label noise.

        Args:
            jobs: processes side by side; None = one a core.
            progress: show a bar when on a terminal.
            language: of the report; None = as the study says.

        Returns:
            The content of ``results.json``.

        Raises:
            LabelweaveError: the data do not allow the study, no such language, or another process
                has the study's folder.
            WriteError: a file cannot be written.
            TrainingError: every arm failed on some seed.
        """
        known_language(language or self.config.language)  # told before hours of training, not after
        check_free(self.output)
        checked = self.folds()
        with self._working() as tracking:
            results = self._compare(checked, jobs, progress, tracking)
            folds, runs = self._trained
            add_value(
                results, self.config, self.data, folds, runs, self.output, jobs, progress, tracking
            )
            told: dict[str, Any] = plain(results)
            write_results(told, self.output, language)
            if self.mislabelled is not None:
                write_mislabelled(self.mislabelled, self.output)
        return told

    def compare(self, *, jobs: int | None = None, progress: bool = True) -> dict[str, Any]:
        """Do the same as `run`, but keep the runs only: results and report are not written."""
        check_free(self.output)
        folds = self.folds()
        with self._working() as tracking:
            results: dict[str, Any] = plain(self._compare(folds, jobs, progress, tracking))
            return results

    @contextmanager
    def _working(self) -> Iterator[Tracking]:
        """Keep the study's folder for this process, without what a killed one left half-written."""
        with locked(self.output):
            remove_unfinished(self.output)
            remove_unfinished(self.output / "kept_out")
            yield Tracking(self.config, self.output, self.folder)

    def _compare(
        self, folds: Sequence[Fold], jobs: int | None, progress: bool, tracking: Tracking
    ) -> dict[str, Any]:
        arms = {arm: self.config.arm(arm) for arm in self.arms}
        first = {arm: folds for arm, spec in arms.items() if not spec.comes_second}
        plan = self._plan(first)
        failures = train_runs(plan, first, self.config, jobs, progress, tracking)
        derive_runs(plan, folds, self.config, tracking)
        related = self._related(folds, plan, jobs, progress)
        self._note_mislabelled(folds, related)
        taught = all(run.done for run in plan[BASELINE])
        second: dict[str, Sequence[Fold]] = {}
        for arm, spec in arms.items():
            if arm in first or (spec.distils and not taught):
                continue
            if spec.estimated is None:
                second[arm] = folds
            elif by_seed := related[spec.estimated]:
                second[arm] = [
                    with_relations(fold, found, noise=spec.noise)
                    for fold, found in zip(folds, by_seed, strict=True)
                ]
        runs = self._plan(second)
        failures += train_runs(runs, second, self.config, jobs, progress, tracking)
        plan |= runs
        ended = [arm for arm in self.arms if arm in plan and all(run.done for run in plan[arm])]
        whole = {arm: plan[arm] for arm in ended}
        if not whole:
            raise TrainingError(f"every arm failed, the first: {failures[0]['error']}")
        results = collect(self.config, folds, whole, failures, self.command)
        results["next_task"] = next_task(related)
        self._trained = ({**first, **second}, whole)
        results["relatedness"] = {
            origin: by_seed[0].to_dict() for origin, by_seed in related.items() if by_seed
        }
        return results

    def relate(self, origin: Origin = "all", *, progress: bool = True) -> Relatedness:
        """Return how the tasks relate, estimated on the first seed.

        Trains the arm ``multi_task`` of that seed, where it is not there already.

        Args:
            origin: which evidence enters the tables: ``knowledge``, ``annotations``,
                ``predictions`` or ``all``.
            progress: show a bar when on a terminal.

        Raises:
            LabelweaveError: the data do not allow it.
            TrainingError: the training failed.
        """
        if origin == "knowledge" and not self.data.known:
            raise LabelweaveError("relations from knowledge: found no table, expected one")
        check_free(self.output)
        fold = self.first_fold()
        plan = self._plan({UNCOUPLED: [fold]})
        with self._working() as tracking:
            failures = train_runs(plan, {UNCOUPLED: [fold]}, self.config, 1, progress, tracking)
            if failures:
                raise TrainingError(failures[0]["error"])
            run, data = plan[UNCOUPLED][0], self.data
            found = relate_fold(
                fold, run, data.pairs, data.known, self.config, [origin], noise=True
            )
        related = found[origin]
        self._note_mislabelled([fold], {origin: [related]})
        return related

    def _plan(self, folds: Mapping[str, Sequence[Fold]]) -> dict[str, list[Run]]:
        """Return the runs of arms on their folds."""
        prints: dict[int, dict[str, str]] = {}
        for fold in (fold for of_arm in folds.values() for fold in of_arm):
            prints.setdefault(id(fold), fold.fingerprint())
        return {
            arm: [
                plan_run(arm, fold, prints[id(fold)], self.config, self.output) for fold in of_arm
            ]
            for arm, of_arm in folds.items()
        }

    def _related(
        self,
        folds: Sequence[Fold],
        plan: Mapping[str, Sequence[Run]],
        jobs: int | None,
        progress: bool,
    ) -> dict[Origin, list[Relatedness]]:
        """Return by origin the relatedness of every seed, or nothing where a run has failed.

        Arms that take an expert's tables as given use them all; on the first seed these are
        judged all the same, so that the report says what holds.
        """
        origins_of_arms = (self.config.arm(name).estimated for name in self.arms)
        wanted = list(dict.fromkeys(origin for origin in origins_of_arms if origin is not None))
        related: dict[Origin, list[Relatedness]] = {origin: [] for origin in wanted}
        base = plan.get(UNCOUPLED, ())
        noise = any(self.config.arm(name).noise for name in self.arms)
        if not (wanted or self.data.known) or not base or not all(run.done for run in base):
            return related
        with runs_bar(progress) as bar:
            shown = bar.add_task(f"{self.config.name}: relations", total=len(folds), last="")
            first = [*wanted, "knowledge"] if self.data.known else wanted
            origins = [list(dict.fromkeys(first)), *[wanted] * (len(folds) - 1)]
            found = relate_folds(
                folds, base, origins, self.data.pairs, self.data.known, self.config,
                noise=noise, jobs=jobs,
            )  # fmt: skip
            for fold, by_origin in zip(folds, found, strict=True):
                for origin, each in by_origin.items():
                    related.setdefault(origin, []).append(each)
                bar.update(shown, advance=1, last=f"seed {fold.seed}")
        return related

    def _note_mislabelled(
        self, folds: Sequence[Fold], related: Mapping[Origin, Sequence[Relatedness]]
    ) -> None:
        # an evidence that is judged on the first seed only has no arm
        whole = [r for r in related.values() if len(r) == len(folds) and any(f.noise for f in r)]
        if whole:
            self.mislabelled = mislabelled_table(self.data.collection, folds, whole)

    def describe(self) -> list[Any]:
        """Return what a reader should see before training, as lines and tables to print.

        Makes every seed's split, so that whatever the data do not allow is found.
        """
        return description(self.config, self.data.tasks, self.arms, self.folds())

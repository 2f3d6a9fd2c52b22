"""A study: arms x seeds, run in parallel, resumable, with results as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelweave.errors import LabelweaveError, TrainingError, listing
from labelweave.priors import assumed_prior
from labelweave.relations import Origin, Relatedness
from labelweave.study.arms import BASELINE, UNCOUPLED
from labelweave.study.config import StudyConfig
from labelweave.study.fitting import check_fold
from labelweave.study.fold import Fold, make_fold
from labelweave.study.loading import StudyData, load
from labelweave.study.mislabelled import mislabelled_table, write_mislabelled
from labelweave.study.pool import derive_runs, train_runs
from labelweave.study.progress import runs_bar
from labelweave.study.relating import relate_fold, with_relations
from labelweave.study.results import collect, notes, write_results
from labelweave.study.runs import Run, plan_run
from labelweave.study.study_file import parse_study, read_study_file
from labelweave.tasks import Binary


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
        self.config = config if isinstance(config, StudyConfig) else parse_study(dict(config))
        self.folder = Path(folder)
        self.data = data or load(self.config, self.folder)
        self.command = command
        self.arms = self.config.arm_list(bool(self.data.known or self.data.counted))
        self.mislabelled: pd.DataFrame | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> "Study":
        """Return the study of a YAML file."""
        config = read_study_file(path)
        return cls(config, Path(path).parent, command=f"labelweave run {Path(path).name}")

    @property
    def output(self) -> Path:
        """The folder that holds the study's results."""
        return self.folder / self.config.output / self.config.name

    def folds(self) -> list[Fold]:
        """Return the data of every seed, checked for all that would stop a run on them."""
        return [self._fold(seed) for seed in self.config.seed_list()]

    def first_fold(self) -> Fold:
        """Return the data of the first seed, checked."""
        return self._fold(self.config.seed_list()[0])

    def _fold(self, seed: int) -> Fold:
        fold = make_fold(self.config, self.data, seed)
        check_fold(fold, self.config)
        return fold

    def run(self, *, jobs: int | None = None, progress: bool = True) -> dict[str, Any]:
        """Run every arm on every seed, compare, and write results and report.

        Runs that are there already, made from the same content, are not repeated. Writes
        ``results.json``, ``results.csv`` and ``report.html`` to `output`, and ``mislabelled.csv``
        where an arm estimates label noise.

        Args:
            jobs: processes side by side; None = one a core.
            progress: show a bar when on a terminal.

        Returns:
            The content of ``results.json``.

        Raises:
            LabelweaveError: the data do not allow the study.
            TrainingError: every arm failed on some seed.
        """
        results = self.compare(jobs=jobs, progress=progress)
        write_results(results, self.output)
        if self.mislabelled is not None:
            write_mislabelled(self.mislabelled, self.output)
        return results

    def compare(self, *, jobs: int | None = None, progress: bool = True) -> dict[str, Any]:
        """Do the same as `run`, but keep the runs only: results and report are not written."""
        folds = self.folds()
        arms = {arm: self.config.arm(arm) for arm in self.arms}
        first = {arm: folds for arm, spec in arms.items() if not spec.comes_second}
        plan = self._plan(first)
        failures = train_runs(plan, first, self.config, jobs, progress)
        derive_runs(plan, folds, self.config)
        related = self._related(folds, plan, progress)
        self._note_mislabelled(folds, related)
        taught = all(run.done for run in plan[BASELINE])
        second: dict[str, list[Fold]] = {}
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
        failures += train_runs(runs, second, self.config, jobs, progress)
        plan |= runs
        ended = [arm for arm in self.arms if arm in plan and all(run.done for run in plan[arm])]
        whole = {arm: plan[arm] for arm in ended}
        if not whole:
            raise TrainingError(f"every arm failed, the first: {failures[0]['error']}")
        results = collect(self.config, folds, whole, failures, self.command)
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
        fold = self.first_fold()
        plan = self._plan({UNCOUPLED: [fold]})
        failures = train_runs(plan, {UNCOUPLED: [fold]}, self.config, 1, progress)
        if failures:
            raise TrainingError(failures[0]["error"])
        run = plan[UNCOUPLED][0]
        related = relate_fold(fold, run, self.data, self.config, [origin], noise=True)[origin]
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
        self, folds: Sequence[Fold], plan: Mapping[str, Sequence[Run]], progress: bool
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
            for number, (fold, run) in enumerate(zip(folds, base, strict=True)):
                origins = wanted
                if self.data.known and number == 0 and "knowledge" not in wanted:
                    origins = [*wanted, "knowledge"]
                found = relate_fold(fold, run, self.data, self.config, origins, noise=noise)
                for origin in origins:
                    related.setdefault(origin, []).append(found[origin])
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
        folds = self.folds()
        fold = folds[0]
        coverage = fold.coverage()
        lines: list[Any] = [f"study {self.config.name}", ""]
        for task in self.data.tasks:
            kind = "binary" if isinstance(task, Binary) else task.kind
            names = "" if kind == "binary" else f", {listing(task.names, 12)}"
            lines.append(f"task {task.name}: {kind}{names}")
        lines += ["", "Training rows and their labels (first seed):", coverage]
        lines += [
            f"rows: {len(fold.train.index)} training, {len(fold.validation.index)} validation, "
            f"{len(fold.test.index)} test; inputs: {fold.train.inputs.shape[1]}"
        ]
        lines += [*coverage.partial_lines(), *coverage.shared_lines()]
        for relation in fold.relations:
            known = int(relation.mask.sum())
            lines.append(
                f"relation {relation.name}: {relation.origin}, {known} of {relation.mask.size} "
                "entries known"
            )
        assumed = assumed_prior(self.config.label_shift.prediction, self.data.tasks)
        lines += [f"prior that predictions assume: {assumed}"]
        lines += ["arms: " + ", ".join(self.arms)]
        lines += [f"seeds: {', '.join(str(f.seed) for f in folds)}"]
        lines += [f"note: {note}" for note in notes(folds)]
        return lines

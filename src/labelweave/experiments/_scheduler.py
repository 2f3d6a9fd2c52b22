"""The course of a study: arms that come first, then relations and teachers, then the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelweave._progress import runs_bar
from labelweave.errors import TrainingError
from labelweave.experiments._config import StudyConfig
from labelweave.experiments._executor import derive_runs, train_runs
from labelweave.experiments._loading import StudyData
from labelweave.experiments._relating import relate_folds, with_relations
from labelweave.experiments._runs import Run, plan_run
from labelweave.experiments._tracking import Tracking
from labelweave.fitting._methods import BASELINE, UNCOUPLED
from labelweave.fitting._split import Fold
from labelweave.relations import Origin, Relatedness

ByOrigin = dict[Origin, list[Relatedness]]


@dataclass(frozen=True)
class Trained:
    """What training all arms gave.

    Attributes:
        folds: by arm the data that it was trained on, one a seed.
        runs: by arm its runs, in the same order; an arm that failed on some seed is left out.
        related: by origin the relatedness of every seed; of an origin that no arm asks for, of the
            first seed only.
        failures: what went wrong: arm, seed, error.
    """

    folds: dict[str, Sequence[Fold]]
    runs: dict[str, list[Run]]
    related: ByOrigin
    failures: list[dict[str, Any]]


def train_arms(
    config: StudyConfig,
    data: StudyData,
    arms: Sequence[str],
    folds: Sequence[Fold],
    output: Path,
    jobs: int | None,
    progress: bool,
    tracking: Tracking,
) -> Trained:
    """Train every arm on every seed, as far as its runs are not there.

    Args:
        config: the study's settings.
        data: its data.
        arms: the arms' names.
        folds: the data of every seed.
        output: the study's folder.
        jobs: processes side by side; None = one a core.
        progress: show a bar when on a terminal.
        tracking: told of every run that is done.

    Raises:
        TrainingError: every arm failed on some seed, or no process lived to find the relations.
        WriteError: a file cannot be written.
    """
    specs = {arm: config.arm(arm) for arm in arms}
    first = {arm: folds for arm, spec in specs.items() if not spec.comes_second}
    plan = plan_runs(first, config, output)
    failures = train_runs(plan, first, config, jobs, progress, tracking)
    derive_runs(plan, folds, config, tracking)
    related = find_related(config, data, arms, folds, plan, jobs, progress)
    taught = all(run.done for run in plan[BASELINE])
    second: dict[str, Sequence[Fold]] = {}
    for arm, spec in specs.items():
        if arm in first or (spec.distils and not taught):
            continue
        if spec.estimated is None:
            second[arm] = folds
        elif by_seed := related[spec.estimated]:
            second[arm] = [
                with_relations(fold, found, noise=spec.noise)
                for fold, found in zip(folds, by_seed, strict=True)
            ]
    runs = plan_runs(second, config, output)
    failures += train_runs(runs, second, config, jobs, progress, tracking)
    plan |= runs
    ended = [arm for arm in arms if arm in plan and all(run.done for run in plan[arm])]
    if not ended:
        raise TrainingError(f"every arm failed, the first: {failures[0]['error']}")
    return Trained({**first, **second}, {arm: plan[arm] for arm in ended}, related, failures)


def plan_runs(
    folds: Mapping[str, Sequence[Fold]], config: StudyConfig, output: Path
) -> dict[str, list[Run]]:
    """Return by arm its runs on its folds."""
    prints: dict[int, dict[str, str]] = {}
    for fold in (fold for of_arm in folds.values() for fold in of_arm):
        prints.setdefault(id(fold), fold.fingerprint())
    return {
        arm: [plan_run(arm, fold, prints[id(fold)], config, output) for fold in of_arm]
        for arm, of_arm in folds.items()
    }


def find_related(
    config: StudyConfig,
    data: StudyData,
    arms: Sequence[str],
    folds: Sequence[Fold],
    plan: Mapping[str, Sequence[Run]],
    jobs: int | None,
    progress: bool,
) -> ByOrigin:
    """Return by origin the relatedness of every seed, or nothing where a run has failed.

    Arms that take an expert's tables as given use them all; on the first seed these are judged
    all the same, so that the report says what holds.
    """
    specs = [config.arm(name) for name in arms]
    wanted = list(dict.fromkeys(o for spec in specs if (o := spec.estimated) is not None))
    related: ByOrigin = {origin: [] for origin in wanted}
    base = plan.get(UNCOUPLED, ())
    noise = any(spec.noise for spec in specs)
    if not (wanted or data.known) or not base or not all(run.done for run in base):
        return related
    first = [*wanted, "knowledge"] if data.known else wanted
    origins = [list(dict.fromkeys(first)), *[wanted] * (len(folds) - 1)]
    found: dict[int, dict[Origin, Relatedness]] = {}
    with runs_bar(progress) as bar:
        shown = bar.add_task(f"{config.name}: relations", total=len(folds), last="")
        for number, by_origin in relate_folds(
            folds, base, origins, data.pairs, data.known, config, noise=noise, jobs=jobs
        ):
            found[number] = by_origin
            bar.update(shown, advance=1, last=f"seed {folds[number].seed}")
    for number in range(len(folds)):
        for origin, each in found[number].items():
            related.setdefault(origin, []).append(each)
    return related

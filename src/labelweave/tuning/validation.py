"""A study on its validation rows: the same training, and no test row within reach."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labelweave.errors import LabelweaveError, TrainingError
from labelweave.lock import check_free, locked
from labelweave.study.arms import BASELINE, UNCOUPLED, Arm
from labelweave.study.config import StudyConfig
from labelweave.study.course import find_related, plan_runs
from labelweave.study.fold import Fold
from labelweave.study.planning import plan_run
from labelweave.study.pool import train_runs
from labelweave.study.relating import with_relations
from labelweave.study.runs import Run, borrow
from labelweave.study.study import Study
from labelweave.study.tracking import Tracking

FOLDER = "tuning"


@dataclass(frozen=True)
class Prepared:
    """What the trials of a search share.

    Attributes:
        folds: the data of every seed, the relations of the arm included.
        baseline: their runs of the arm ``single_task``.
    """

    folds: list[Fold]
    baseline: list[Run]


class ValidationStudy(Study):
    """A study whose validation rows stand in the place of its test rows.

    Its runs are in the folder ``tuning`` of the study's own folder. Those that the study has
    trained already are not trained again: their networks predict the validation rows.

    Args:
        study: the study; its test rows are used for nothing but the name of its own runs.
        arm: the arm to be tuned.

    Raises:
        LabelweaveError: an arm that cannot be tuned.
    """

    def __init__(self, study: Study, arm: str) -> None:
        self.original = study
        self.tuned = tunable(study.config, arm)
        entry = next((e for e in study.config.arms if getattr(e, "called", e) == arm), arm)
        seeds = study.config.seed_list()[: study.config.tune.seeds]
        only_this = {"arms": [entry], "seeds": seeds, "tracking": [], "label_curves": False}
        super().__init__(study.config.model_copy(update=only_this), study.folder, data=study.data)

    @property
    def output(self) -> Path:
        """The folder that holds the search."""
        return self.original.output / FOLDER

    def _fold(self, seed: int) -> Fold:
        fold = super()._fold(seed)
        if not len(fold.validation.index):
            raise LabelweaveError(
                "tuning needs validation rows, found none: set 'split: {validation: 0.2}', or give "
                "a source 'split: validation'"
            )
        return replace(fold, test=fold.validation)

    @contextmanager
    def working(self) -> Iterator[Tracking]:
        """Keep the study's folder, and the search's, for this process."""
        check_free(self.original.output)
        with locked(self.original.output), self._working() as tracking:
            yield tracking

    def prepare(self, jobs: int | None, progress: bool, tracking: Tracking) -> Prepared:
        """Train what is not there of the baseline, and of what relations are estimated from."""
        folds = self.folds()
        names = [BASELINE, *([UNCOUPLED] if self.tuned.estimated else [])]
        plan = plan_runs(dict.fromkeys(names, folds), self.config, self.output)
        self._borrow(plan, folds)
        failures = train_runs(
            plan, dict.fromkeys(names, folds), self.config, jobs, progress, tracking
        )
        if failures:
            raise TrainingError(f"{failures[0]['arm']}: {failures[0]['error']}")
        if self.tuned.estimated is not None:
            by_origin = find_related(self.config, self.data, self.arms, folds, plan, jobs, progress)
            by_seed = by_origin[self.tuned.estimated]
            folds = [
                with_relations(fold, found, noise=self.tuned.noise)
                for fold, found in zip(folds, by_seed, strict=True)
            ]
        return Prepared(folds, plan[BASELINE])

    def _borrow(self, plan: Mapping[str, Sequence[Run]], folds: Sequence[Fold]) -> None:
        """Take over the runs that the study itself has trained."""
        original = self.original
        if not (original.output / "runs").is_dir():
            return
        for i, fold in enumerate(folds):
            own = original._fold(fold.seed)
            prints = own.fingerprint()
            for arm, runs in plan.items():
                found = plan_run(arm, own, prints, self.config, original.output)
                if found.done and not runs[i].done:
                    borrow(runs[i], found, fold)


def tunable(config: StudyConfig, name: str) -> Arm:
    """Return an arm that can be tuned: one joint network that no other network teaches.

    Raises:
        LabelweaveError: another arm.
    """
    arm = config.arm(name)
    if arm.kind != "joint" or arm.all_labels or arm.relations != "given":
        raise LabelweaveError(
            f"arm '{name}' cannot be tuned: expected one that trains one network for all tasks, "
            "and is no control"
        )
    if arm.distils:
        raise LabelweaveError(
            f"arm '{name}' cannot be tuned: the single-task networks teach it; tune another arm"
        )
    return arm


def default_arm(config: StudyConfig, related: bool) -> str:
    """Return the arm that is tuned where the study does not say: the last coupled one of its arms.

    Args:
        config: the study's settings.
        related: whether the study has relations.
    """
    names: list[str] = []
    for name in config.arm_list(related):
        arm: Any = config.arm(name)
        if arm.kind == "joint" and not (arm.distils or arm.all_labels or arm.relations != "given"):
            names.append(name)
    return names[-1] if names else UNCOUPLED

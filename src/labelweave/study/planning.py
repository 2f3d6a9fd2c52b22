"""Planning a run: its folder is named by the hash of everything that its result depends on."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelweave.networks import identity
from labelweave.study.arms import BASELINE
from labelweave.study.config import StudyConfig
from labelweave.study.fold import Fold
from labelweave.study.label_shift_section import LabelShiftSection
from labelweave.study.runs import Run
from labelweave.training import TrainingConfig

LATER = ("backbone_rate", "layer_decay", "augment")
FORMAT = 4  # part of every run's hash: raised when what a run does changes


def plan_run(
    arm: str, fold: Fold, fingerprint: Mapping[str, str], config: StudyConfig, folder: Path
) -> Run:
    """Return the run of an arm on a fold, named by its content.

    Arms that differ in name only share their runs.

    Args:
        arm: the arm's name in results.
        fold: its data.
        fingerprint: the fold's hashes.
        config: the study's settings.
        folder: the study's folder.
    """
    spec = config.arm(arm)
    # where its relations come from is told by what they are
    name = spec.name.partition(".")[0]
    content: dict[str, Any] = {"format": FORMAT, "arm": name, "data": fingerprint["data"]}
    if spec.needs_relations:
        content["relations"] = fingerprint["relations"]
        if fold.needs:
            content["needs"] = fingerprint["needs"]
    # where no noise was found the run is that of the arm without it
    if spec.noise and fold.noise:
        content["noise"] = fingerprint["noise"]
    if spec.all_labels:
        content["hidden"] = fingerprint["hidden"]
    if spec.kind != "trees":
        content["network"] = identity(config.network.backbone, config.network.options())
        training = spec.training_of(config.training)
        content["training"] = _training(training)
        if config.losses():
            content["losses"] = config.losses()
        # networks of one task have no weighting, and the plain sum is what runs always had
        if spec.kind == "single" or training.weighting == "sum":
            del content["training"]["weighting"]
        content["couplings"] = spec.coupling_options(config.couplings)
    if config.label_shift != LabelShiftSection():
        content["label_shift"] = config.label_shift.model_dump()
    teachers: Run | None = None
    if spec.distils:
        teachers = plan_run(BASELINE, fold, fingerprint, config, folder)
        folds = config.teachers.folds
        content["teachers"] = [teachers.key, folds, fingerprint["groups"] if folds else ""]
    text = json.dumps(content, sort_keys=True, default=str)
    key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    own = folder / "runs" / f"{name}-seed{fold.seed}-{key}"
    return Run(arm, fold.seed, key, own, teachers.folder if teachers else None)


def _training(config: TrainingConfig) -> dict[str, Any]:
    """Return what a run depends on; keys that came later count only where they are used."""
    said = config.model_dump(exclude={"checkpoint_seconds"})
    fields = TrainingConfig.model_fields
    return {k: v for k, v in said.items() if k not in LATER or v != fields[k].default}

"""The notes of a study: what its splits and inputs are, and whether there is too little of them."""

from collections.abc import Sequence

import numpy as np

from labelweave.remarks import Remark
from labelweave.study.fold import Fold

FEW_GROUPS = 10


def notes(folds: Sequence[Fold]) -> list[str]:
    """Return every fold's notes once, with the seeds where not all folds have it.

    Besides, whether there are too few seeds or groups of test rows for intervals to say much.
    """
    seeds: dict[str, list[int]] = {}
    for fold in folds:
        for note in fold.notes:
            seeds.setdefault(note, []).append(fold.seed)
    found: list[str] = []
    if len(folds) == 1:
        found.append(Remark("note.one_seed"))
    groups = len(np.unique(np.concatenate([fold.test.groups for fold in folds])))
    if 0 < groups < FEW_GROUPS:
        found.append(Remark("note.few_groups", groups=groups))
    return found + [
        note
        if len(where) == len(folds)
        else Remark("note.of_seeds", note=note, seeds=", ".join(map(str, where)))
        for note, where in seeds.items()
    ]

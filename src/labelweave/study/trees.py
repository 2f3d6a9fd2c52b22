"""The control that a user would pick instead of a network: scikit-learn's trees for each task."""

import numpy as np
from numpy.typing import NDArray

from labelweave.annotations import Annotations, Codes
from labelweave.tasks import Multiclass

ROWS_PER_CLASS = 50  # below this, boosting's leaves of 20 rows see too little; a forest is better


def fit_trees(
    inputs: NDArray[np.float32], labels: Annotations, test: NDArray[np.float32], seed: int
) -> dict[str, NDArray[np.float32]]:
    """Fit trees for every task (and every label of a multilabel one) and predict the test rows.

    Gradient boosting where a class has on average at least 50 labelled rows, else a random forest
    of 300 trees. Classes without a labelled row get probability 0.

    Args:
        inputs: (n, d) training inputs.
        labels: their labels; missing elements are left out.
        test: (m, d) inputs to predict.
        seed: seed of the trees.

    Returns:
        Per task (m, K) or (m, L) probabilities.
    """
    result: dict[str, NDArray[np.float32]] = {}
    for task in labels.tasks:
        codes = labels.labels[task.name]
        if isinstance(task, Multiclass):
            result[task.name] = _fit_one(inputs, codes, test, task.width, seed)
        else:
            columns = [_fit_one(inputs, codes[:, j], test, 2, seed) for j in range(task.width)]
            result[task.name] = np.stack([column[:, 1] for column in columns], axis=1)
    return result


def _fit_one(
    inputs: NDArray[np.float32],
    codes: Codes,
    test: NDArray[np.float32],
    width: int,
    seed: int,
) -> NDArray[np.float32]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    seen = codes >= 0
    classes, counts = np.unique(codes[seen], return_counts=True)
    given = np.zeros((len(test), width), dtype=np.float32)
    if len(classes) < 2:
        given[:, classes] = 1.0
        return given
    if seen.sum() >= ROWS_PER_CLASS * len(classes):
        # stopping early sets rows aside, for which it needs two of every class
        stopping = "auto" if counts.min() > 1 else False
        trees = HistGradientBoostingClassifier(early_stopping=stopping, random_state=seed)
    else:
        trees = RandomForestClassifier(300, random_state=seed, n_jobs=1)
    given[:, classes] = trees.fit(inputs[seen], codes[seen]).predict_proba(test)
    return given

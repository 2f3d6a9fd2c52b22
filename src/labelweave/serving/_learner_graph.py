"""Fitted learners as tensor operations, or as nodes of ONNX where they are trees.

Linear and kernel learners are a few tensor operations. Forests and boosting become one node
``TreeEnsembleRegressor`` each, of float64 thresholds, as scikit-learn compares them. Any other
classifier of scikit-learn is converted by skl2onnx.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from torch import Tensor

from labelweave.learners._fitting import TaskModel
from labelweave.learners._forests import FORESTS
from labelweave.serving._onnx_nodes import (
    LearnerNodes,
    Predict,
    at_least,
    boosting_nodes,
    converted_nodes,
    forest_nodes,
    number,
)


def learner_graph(model: TaskModel, task: str, nodes: LearnerNodes) -> Predict:
    """Return `TaskModel.predict` as tensor operations, the labels of a task side by side.

    Args:
        model: the fitted learner.
        task: the task's name, for errors.
        nodes: where a learner adds what is no tensor operation.

    Raises:
        LabelweaveError: a classifier that nothing converts.
    """
    parts = [part for part in model.parts if part.classifier is not None]
    if model.multiclass:
        floor, share = model.parts[0].floor, np.array(model.parts[0].share)
        seen = parts[0].classes if parts else np.zeros(0, np.int64)
    else:
        floor = np.array([part.floor[1] for part in model.parts])
        share = np.array([part.share for part in model.parts])
        seen = np.flatnonzero([part.classifier is not None for part in model.parts])
    least, rest = _tensor(share * floor)[None], _tensor(1 - share)
    if not parts:
        return lambda X, _: least.expand(X.shape[0], -1)
    classifiers = [part.classifier for part in parts]
    place = f"task '{task}': learner '{model.key}'"
    predict = _probabilities(classifiers, len(parts[0].classes), place, nodes, model.multiclass)
    # what was not seen reads the column of zeros behind the others
    places = np.full(len(floor), len(seen))
    places[seen] = np.arange(len(seen))
    index = torch.from_numpy(places)

    def whole(X: Tensor, given: Tensor | None) -> Tensor:
        p = predict(X, given)
        if len(seen) < len(floor):
            p = torch.cat([p, torch.zeros_like(p[:, :1])], dim=1).index_select(1, index)
        return least + rest * p

    return whole


def _probabilities(
    found: Sequence[Any], classes: int, place: str, nodes: LearnerNodes, multiclass: bool
) -> Predict:
    """Return the probabilities of a classifier's classes, or of labels that are on.

    Args:
        found: one classifier, or one a label, all of one kind.
        classes: how many each has seen.
        place: of errors.
        nodes: where nodes are added.
        multiclass: all classes of the one classifier, (n, K), else of each the second, (n, L).
    """
    first, slope = found[0], 1.0
    if type(first) in FORESTS and first.n_outputs_ == 1:
        width = classes if multiclass else len(found)
        return nodes.add_trees(forest_nodes(found, multiclass), width)
    if type(first) is LinearDiscriminantAnalysis or _is_logistic(first):
        scores = _linear(found)
    elif type(first) is HistGradientBoostingClassifier and first.is_categorical_ is None:
        scores = _boosting(found, nodes)
    elif _is_kernel_logistic(first):
        scores = _side_by_side([_kernel_logistic(*dict(each.steps).values()) for each in found])
    elif _is_svm(first, classes):
        # it gives no probabilities: `learners._fitting` doubles the score of two classes
        slope = 2.0
        several = classes > 2
        scores = _svm(first, classes) if several else _side_by_side(list(map(_binary_svm, found)))
    else:
        each = [nodes.add(converted_nodes(one, place), classes) for one in found]
        if multiclass:
            return each[0]
        return lambda X, given: torch.cat([one(X, given)[:, 1:] for one in each], dim=1)
    if multiclass and classes > 2:
        return lambda X, given: scores(X, given).softmax(dim=1)

    def two(X: Tensor, given: Tensor | None) -> Tensor:
        on = (slope * scores(X, given)).sigmoid()
        return torch.cat([1 - on, on], dim=1) if multiclass else on

    return two


def _side_by_side(scores: Sequence[Predict]) -> Predict:
    if len(scores) == 1:
        return scores[0]
    return lambda X, given: torch.cat([each(X, given) for each in scores], dim=1)


def _is_logistic(found: Any) -> bool:
    several = type(found) is LogisticRegression and len(found.classes_) > 2
    return type(found) is LogisticRegression and not (several and found.solver == "liblinear")


def _is_kernel_logistic(found: Any) -> bool:
    if type(found) is not Pipeline:
        return False
    steps = [step for _, step in found.steps]
    if [type(step) for step in steps] != [Nystroem, LogisticRegression]:
        return False
    return steps[0].kernel == "rbf" and steps[0].gamma is not None and _is_logistic(steps[1])


def _is_svm(found: Any, classes: int) -> bool:
    if type(found) is not SVC or found.kernel != "rbf" or hasattr(found, "predict_proba"):
        return False
    return classes == 2 or found.decision_function_shape == "ovr"


def _tensor(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values, np.float64, order="C"))


def _linear(found: Sequence[Any]) -> Predict:
    weight = _tensor(np.concatenate([each.coef_ for each in found]).T)
    bias = _tensor(np.concatenate([each.intercept_ for each in found]))
    return lambda X, _: X @ weight + bias


def _gaussian(points: Any, gamma: float) -> Callable[[Tensor], Tensor]:
    """Return exp(-gamma |x - z|^2) of the rows and all points."""
    factor = number(-gamma)
    rows, squares = _tensor(points.T), _tensor((points**2).sum(axis=1))

    def kernel(X: Tensor) -> Tensor:
        distance = (X * X).sum(dim=1, keepdim=True) + squares - 2 * (X @ rows)
        return (factor * at_least(distance, 0.0)).exp()

    return kernel


def _kernel_logistic(landmarks: Nystroem, last: LogisticRegression) -> Predict:
    kernel = _gaussian(landmarks.components_, float(landmarks.gamma))
    weight = _tensor(landmarks.normalization_.T @ last.coef_.T)
    bias = _tensor(last.intercept_)
    return lambda X, _: kernel(X) @ weight + bias


def _binary_svm(found: SVC) -> Predict:
    kernel = _gaussian(found.support_vectors_, found._gamma)
    weight, bias = _tensor(found.dual_coef_.T), _tensor(found.intercept_)
    return lambda X, _: kernel(X) @ weight + bias


def _svm(found: SVC, classes: int) -> Predict:
    """Return the votes and confidences of all pairs, as scikit-learn's 'ovr' counts them."""
    kernel = _gaussian(found.support_vectors_, found._gamma)
    ends = np.cumsum(found.n_support_)
    own = [slice(end - count, end) for end, count in zip(ends, found.n_support_, strict=True)]
    # of class i the columns (K - 1) are its scores against the others, in their order
    weights = [_tensor(found.dual_coef_[:, part].T) for part in own]
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    first = torch.tensor([i * (classes - 1) + j - 1 for i, j in pairs])
    second = torch.tensor([j * (classes - 1) + i for i, j in pairs])
    sign = np.zeros((len(pairs), classes))
    for k, (i, j) in enumerate(pairs):
        sign[k, i], sign[k, j] = 1.0, -1.0
    bias, signs = _tensor(found.intercept_), _tensor(sign)
    wins, losses = _tensor(sign > 0), _tensor(sign < 0)

    def predict(X: Tensor, _: Tensor | None) -> Tensor:
        near = kernel(X)
        sums = torch.cat([near[:, p] @ w for p, w in zip(own, weights, strict=True)], dim=1)
        scores = sums.index_select(1, first) + sums.index_select(1, second) + bias
        lost = (scores < 0).double()
        votes = (1 - lost) @ wins + lost @ losses
        confidence = scores @ signs
        return votes + confidence / (3 * (confidence.abs() + 1))

    return predict


def _boosting(found: Sequence[Any], nodes: LearnerNodes) -> Predict:
    base = _tensor(np.concatenate([each._baseline_prediction.reshape(-1) for each in found]))
    scores = nodes.add_trees(boosting_nodes(found), len(base))
    return lambda X, given: scores(X, given) + base

"""Learners by name, scikit-learn objects and classes of trusted packages, all as `Learner`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone, is_classifier

from labelweave._trust import MODULE, trusted_attribute
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.learners._learner import Learner, Size
from labelweave.learners._library import (
    Boosting,
    ExtraTrees,
    KernelLogistic,
    Logistic,
    RandomForest,
    Svm,
)

LEARNERS: dict[str, Learner] = {
    learner.key: learner
    for learner in (
        Logistic(),
        Logistic(0.3, "logistic_strong"),
        KernelLogistic(),
        Svm(),
        ExtraTrees(),
        RandomForest(),
        Boosting(),
    )
}
LearnerChoice = str | Learner | Any  # Any: a scikit-learn classifier


@dataclass(frozen=True, eq=False)
class UserLearner(Learner):
    """A scikit-learn classifier of the user's own, cloned for every fit.

    Args:
        classifier: an object with ``fit``, ``get_params`` and ``predict_proba`` or
            ``decision_function``. A parameter ``random_state`` left at None gets the seed.
        label: the name that results use.
    """

    classifier: Any
    label: str

    @property
    def key(self) -> str:
        return self.label

    def build(self, size: Size, seed: int) -> Any:
        made = clone(self.classifier)
        unset = {n: seed for n, v in made.get_params().items() if _is_seed(n) and v is None}
        return made.set_params(**unset) if unset else made

    def seconds(self, size: Size) -> float:
        return 0.0  # the user wants it: it is never left out for its time


def resolve_learners(choice: Sequence[LearnerChoice] | None) -> tuple[Learner, ...]:
    """Return learners from names, `Learner` objects, classifiers and ``module:`` paths.

    Args:
        choice: None = the whole library. ``module:package.Class`` names a class, or an object, of
            a trusted package.

    Raises:
        LabelweaveError: an unknown name, two of one name, nothing at all, an object that is no
            classifier, or a package that is not trusted.
    """
    if choice is None:
        return tuple(LEARNERS.values())
    if isinstance(choice, str):
        raise LabelweaveError(f"learners: found the text '{choice}', expected a list")
    found: list[Learner] = []
    for each in choice:
        found.append(_resolved(each))
    keys = [learner.key for learner in found]
    for key in keys:
        if keys.count(key) > 1:
            raise LabelweaveError(f"learners: found '{key}' {keys.count(key)} times, expected once")
    if not found:
        raise LabelweaveError(f"learners: found none, expected at least one of {listing(LEARNERS)}")
    return tuple(found)


def _resolved(choice: LearnerChoice) -> Learner:
    if isinstance(choice, Learner):
        return choice
    if isinstance(choice, str) and choice.startswith(MODULE):
        named = trusted_attribute(choice)
        return _of_user(named() if isinstance(named, type) else named, choice)
    if isinstance(choice, str):
        if choice not in LEARNERS:
            raise LabelweaveError(
                f"learners: no learner '{choice}', expected {listing(LEARNERS)}, a scikit-learn "
                f"classifier or '{MODULE}package.Class'{nearest(choice, LEARNERS)}"
            )
        return LEARNERS[choice]
    return _of_user(choice, type(choice).__name__)


def _of_user(classifier: Any, label: str) -> Learner:
    if isinstance(classifier, Learner):
        return classifier
    scores = hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")
    usable = hasattr(classifier, "fit") and hasattr(classifier, "get_params") and scores
    if isinstance(classifier, type) or not usable or not is_classifier(classifier):
        raise LabelweaveError(
            f"learners: '{label}' is no scikit-learn classifier, expected an object with fit and "
            "predict_proba or decision_function"
        )
    return UserLearner(classifier, label)


def _is_seed(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")

"""Learners by name, scikit-learn objects and classes of trusted packages, all as `Learner`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone, is_classifier

from labelweave._arguments import a_mapping
from labelweave._trust import MODULE, trusted_attribute
from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.learners._learner import Learner, Size
from labelweave.learners._library import (
    Boosting,
    Discriminant,
    ExtraTrees,
    KernelLogistic,
    Logistic,
    RandomForest,
    Svm,
)

PLACE = "learners"  # of errors
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
        Discriminant(),
    )
}
NETWORKS = {
    "network": "a network for each task",
    "shared_network": "one network for all tasks, with its coupling losses",
}
"""Joint learners by name; `labelweave.fitting` makes them, since they need its settings."""

LearnerChoice = str | Mapping[str, Any] | Learner | Any  # Any: a scikit-learn classifier


@dataclass(frozen=True)
class ChosenLearners:
    """What a user wants to have fitted.

    Attributes:
        learners: of one task at a time.
        networks: by name of `NETWORKS` the options given; None = those that pay their time.
    """

    learners: tuple[Learner, ...]
    networks: Mapping[str, Mapping[str, Any]] | None = field(default=None)


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
        choice: None = the whole library. An entry ``{name: {option: value}}`` sets options.
            ``module:package.Class`` names a class, or an object, of a trusted package; its options
            are the arguments of the class.

    Raises:
        LabelweaveError: an unknown name or option, two of one name, nothing at all, an object that
            is no classifier, or a package that is not trusted.
    """
    found = choose_learners(choice)
    if found.networks:
        raise LabelweaveError(
            f"'{next(iter(found.networks))}' is a network, expected learners of one task",
            place=PLACE,
        )
    return found.learners


def choose_learners(choice: Sequence[LearnerChoice] | None) -> ChosenLearners:
    """Return learners as `resolve_learners` does, and which networks are to join them.

    Raises:
        LabelweaveError: see `resolve_learners`.
    """
    if choice is None:
        return ChosenLearners(tuple(LEARNERS.values()))
    if isinstance(choice, str) or not isinstance(choice, Sequence):
        kind = f"the text '{choice}'" if isinstance(choice, str) else type(choice).__name__
        raise LabelweaveError(f"found {kind}, expected a list", place=PLACE)
    learners: list[Learner] = []
    networks: dict[str, Mapping[str, Any]] = {}
    keys: list[str] = []
    for each in choice:
        name, options = _named(each)
        if isinstance(name, str) and name in NETWORKS:
            networks[name] = options
            keys.append(name)
            continue
        learner = _resolved(name, options)
        learners.append(learner)
        keys.append(learner.key)
    for key in keys:
        if keys.count(key) > 1:
            raise LabelweaveError(
                f"found '{key}' {keys.count(key)} times, expected once", place=PLACE
            )
    if not keys:
        raise LabelweaveError(f"found none, expected at least one of {_known()}", place=PLACE)
    return ChosenLearners(tuple(learners), networks)


def _named(choice: LearnerChoice) -> tuple[Any, Mapping[str, Any]]:
    """Return a name, or an object, and its options."""
    if not isinstance(choice, Mapping):
        return choice, {}
    if len(choice) != 1:
        raise LabelweaveError(
            f"found {len(choice)} names ({listing(list(choice))}), expected one with its options",
            place=PLACE,
        )
    ((name, options),) = choice.items()
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise LabelweaveError(
            f"learner '{name}': found {options!r}, expected options by name, {{option: value}}"
        )
    return str(name), options


def _resolved(choice: Any, options: Mapping[str, Any]) -> Learner:
    options = a_mapping(f"learner '{choice}': options", options)
    if isinstance(choice, Learner):
        return choice
    if isinstance(choice, str) and choice.startswith(MODULE):
        named = trusted_attribute(choice)
        return _of_user(_made(choice, named, options), choice)
    if isinstance(choice, str):
        if choice not in LEARNERS:
            raise LabelweaveError(
                f"no learner '{choice}', expected {_known()}, a scikit-learn "
                f"classifier or '{MODULE}package.Class'{nearest(choice, [*LEARNERS, *NETWORKS])}",
                place=PLACE,
            )
        learner = LEARNERS[choice]
        return learner.with_options(**options) if options else learner
    return _of_user(choice, type(choice).__name__)


def _made(path: str, named: Any, options: Mapping[str, Any]) -> Any:
    """Return the object that a path names, or one of the class with the options."""
    if not isinstance(named, type):
        if options:
            raise LabelweaveError(f"learner '{path}': is no class, expected no options")
        return named
    try:
        return named(**options)
    except (TypeError, ValueError) as error:
        raise LabelweaveError(f"learner '{path}': cannot be made ({error})") from None


def _known() -> str:
    return listing([*LEARNERS, *NETWORKS], 20)


def _of_user(classifier: Any, label: str) -> Learner:
    if isinstance(classifier, Learner):
        return classifier
    scores = hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")
    usable = hasattr(classifier, "fit") and hasattr(classifier, "get_params") and scores
    if isinstance(classifier, type) or not usable or not is_classifier(classifier):
        raise LabelweaveError(
            f"'{label}' is no scikit-learn classifier, expected an object with fit and "
            "predict_proba or decision_function",
            place=PLACE,
        )
    return UserLearner(classifier, label)


def _is_seed(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")

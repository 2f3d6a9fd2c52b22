"""The library: learners that are good on small tables, and one for large ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from labelweave._search_space import Choice, Space, log_uniform
from labelweave.learners._learner import Learner, Size

# from so many labels on, forests grow half of their trees, and a quarter
MANY, LARGE = 300, 5_000
MANY_CLASSES = 300
MOST_SCORES = 20_000_000  # rows times classes of a logistic regression: 160 MB, several times
MOST_BYTES = 1_000_000_000  # of a forest's leaves, each with all classes


@dataclass(frozen=True)
class Logistic(Learner):
    """Multinomial logistic regression on standardised inputs, L2 penalty.

    Args:
        inverse_penalty: scikit-learn's C; small = strong penalty.
        label: distinguishes two of them: ``logistic`` is weak, ``logistic_strong`` strong.
    """

    inverse_penalty: float = 10.0
    label: str = "logistic"
    name: ClassVar[str] = "logistic"
    space: ClassVar[Space] = {"inverse_penalty": log_uniform(1e-3, 1e3)}
    most_rows: ClassVar[int] = 50_000

    @property
    def key(self) -> str:
        return self.label

    def build(self, size: Size, seed: int) -> Any:
        return LogisticRegression(C=self.inverse_penalty, max_iter=200, tol=1e-3)

    def seconds(self, size: Size) -> float:
        return 0.01 + 4e-8 * size.rows * (size.columns + 5) * size.classes

    def reason_against(self, size: Size) -> str | None:
        return _many_scores(size.cut(self.most_rows))


@dataclass(frozen=True)
class KernelLogistic(Learner):
    """Logistic regression on Nystroem features of a Gaussian kernel (Williams, Seeger, 2001).

    Args:
        components: landmark rows.
        width: the kernel is ``exp(-width |x - z|^2 / d)``.
        inverse_penalty: scikit-learn's C.
    """

    components: int = 200
    width: float = 0.5
    inverse_penalty: float = 10.0
    name: ClassVar[str] = "kernel_logistic"
    space: ClassVar[Space] = {
        "components": Choice((100, 200, 400)),
        "width": log_uniform(0.05, 5),
        "inverse_penalty": log_uniform(1e-2, 1e3),
    }
    most_rows: ClassVar[int] = 20_000

    def build(self, size: Size, seed: int) -> Any:
        landmarks = Nystroem(
            gamma=self.width / max(1, size.columns),
            n_components=min(self.components, size.rows),
            random_state=seed,
        )
        last = LogisticRegression(C=self.inverse_penalty, max_iter=200, tol=1e-3)
        return Pipeline([("landmarks", landmarks), ("logistic", last)])

    def seconds(self, size: Size) -> float:
        components = min(self.components, size.rows)
        return 0.02 + 5e-8 * size.rows * components * (size.classes + 2)

    def reason_against(self, size: Size) -> str | None:
        return _many_scores(size.cut(self.most_rows))


@dataclass(frozen=True)
class Svm(Learner):
    """Support vector machine with a Gaussian kernel, one against one.

    Its scores become probabilities by a softmax (sigmoid) and the temperature that every learner
    of a stack gets.

    Args:
        inverse_penalty: scikit-learn's C.
        width: the kernel is ``exp(-width |x - z|^2 / d)``.
    """

    inverse_penalty: float = 5.0
    width: float = 1.0
    name: ClassVar[str] = "svm"
    space: ClassVar[Space] = {
        "inverse_penalty": log_uniform(1e-1, 1e3),
        "width": log_uniform(0.05, 5),
    }
    most_rows: ClassVar[int] = 3_000

    def build(self, size: Size, seed: int) -> Any:
        gamma = self.width / max(1, size.columns)
        return SVC(C=self.inverse_penalty, gamma=gamma)

    def seconds(self, size: Size) -> float:
        return 0.01 + 1e-9 * size.rows**2 * (size.columns + 30)

    def reason_against(self, size: Size) -> str | None:
        return "more than 60 classes" if size.classes > 60 else None


@dataclass(frozen=True)
class ExtraTrees(Learner):
    """Extremely randomised trees (Geurts, Ernst, Wehenkel, 2006).

    Args:
        trees: number of trees; half of it from 300 labels on, a quarter from 5,000.
        least: least rows in a leaf.
    """

    trees: int = 100
    least: int = 1
    name: ClassVar[str] = "extra_trees"
    space: ClassVar[Space] = {"trees": Choice((50, 100, 300)), "least": Choice((1, 2, 5))}
    most_rows: ClassVar[int] = 20_000

    def build(self, size: Size, seed: int) -> Any:
        return ExtraTreesClassifier(
            fewer(self.trees, size), min_samples_leaf=self.least, random_state=seed
        )

    def seconds(self, size: Size) -> float:
        return 0.05 + 1.2e-6 * fewer(self.trees, size) * size.rows * (1 + size.classes / 30)

    def reason_against(self, size: Size) -> str | None:
        return _large_forest(self.trees, size.cut(self.most_rows))


@dataclass(frozen=True)
class RandomForest(Learner):
    """Random forest (Breiman, 2001).

    Args:
        trees: number of trees; half of it from 300 labels on, a quarter from 5,000.
        least: least rows in a leaf.
    """

    trees: int = 100
    least: int = 1
    name: ClassVar[str] = "random_forest"
    space: ClassVar[Space] = {"trees": Choice((50, 100, 300)), "least": Choice((1, 2, 5))}
    most_rows: ClassVar[int] = 20_000

    def build(self, size: Size, seed: int) -> Any:
        return RandomForestClassifier(
            fewer(self.trees, size), min_samples_leaf=self.least, random_state=seed
        )

    def seconds(self, size: Size) -> float:
        return 0.07 + 3e-6 * fewer(self.trees, size) * size.rows * (1 + size.classes / 30)

    def reason_against(self, size: Size) -> str | None:
        return _large_forest(self.trees, size.cut(self.most_rows))


@dataclass(frozen=True)
class Boosting(Learner):
    """Gradient boosting over binned inputs (Ke et al., "LightGBM", 2017, in scikit-learn).

    Args:
        iterations: trees of every class.
        rate: learning rate.
        leaves: most leaves of a tree.
    """

    iterations: int = 60
    rate: float = 0.12
    leaves: int = 15
    name: ClassVar[str] = "boosting"
    space: ClassVar[Space] = {
        "iterations": Choice((60, 120, 300)),
        "rate": log_uniform(0.02, 0.3),
        "leaves": Choice((7, 15, 31)),
    }
    least_rows: ClassVar[int] = 150

    def build(self, size: Size, seed: int) -> Any:
        return HistGradientBoostingClassifier(
            max_iter=self.iterations,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=10,
            early_stopping=False,
            random_state=seed,
        )

    def seconds(self, size: Size) -> float:
        trees = self.iterations * (size.classes if size.classes > 2 else 1)
        return 0.1 + trees * (3e-3 + 4e-9 * size.rows * size.columns)

    def reason_against(self, size: Size) -> str | None:
        if size.rows < self.least_rows:
            return f"{size.rows} labels, takes part from {self.least_rows} on"
        if size.rows < 10 * size.classes:
            return "fewer than 10 labels a class"
        return None


@dataclass(frozen=True)
class Discriminant(Learner):
    """Linear discriminant analysis: one mean a class, one covariance (Fisher, 1936).

    Its time and memory are linear in classes and small, where those of other learners are not.

    Args:
        shrinkage: how much of the covariance is a multiple of the identity, at most 1.
    """

    shrinkage: float = 0.1
    name: ClassVar[str] = "discriminant"
    space: ClassVar[Space] = {"shrinkage": log_uniform(0.01, 0.9)}

    def build(self, size: Size, seed: int) -> Any:
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=min(1.0, self.shrinkage))

    def seconds(self, size: Size) -> float:
        return 0.02 + 5e-4 * size.classes + 1e-9 * size.rows * (size.columns**2 + size.classes)

    def reason_against(self, size: Size) -> str | None:
        few = size.classes < MANY_CLASSES
        return f"fewer than {MANY_CLASSES} classes" if few else None


def _many_scores(size: Size) -> str | None:
    many = size.rows * size.classes > MOST_SCORES
    return f"more than {MOST_SCORES // 10**6} million rows times classes" if many else None


def _large_forest(trees: int, size: Size) -> str | None:
    size_of_all = fewer(trees, size) * 2 * size.rows * size.classes * 8
    if size_of_all <= MOST_BYTES:
        return None
    return f"up to {size_of_all / 1e9:.1f} GB of memory, expected at most {MOST_BYTES / 1e9:.0f}"


def fewer(trees: int, size: Size) -> int:
    """Return the trees of a forest: many labels need fewer."""
    if size.rows >= LARGE:
        return max(25, trees // 4)
    return trees if size.rows < MANY else max(25, trees // 2)

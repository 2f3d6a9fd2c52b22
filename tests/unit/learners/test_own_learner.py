"""A learner of the user's own, as docs/howto/own-learner.md shows it: from a local checkpoint."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelweave import MultiTaskClassifier
from labelweave.errors import LabelweaveError

# the interface of TabICLClassifier: no weights of rows, context instead of training
SOURCE = """
import json
from pathlib import Path
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class InContextClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, n_estimators=32, model_path=None, allow_auto_download=True,
                 device=None, random_state=None):
        self.n_estimators = n_estimators
        self.model_path = model_path
        self.allow_auto_download = allow_auto_download
        self.device = device
        self.random_state = random_state

    def fit(self, X, y):
        if self.model_path is None or not Path(self.model_path).exists():
            raise ValueError(f"no checkpoint at {self.model_path}")
        self.width_ = json.loads(Path(self.model_path).read_text())["width"]
        self.X_, self.y_, self.classes_ = X, y, np.unique(y)
        return self

    def predict_proba(self, X):
        near = np.exp(-((X[:, None] - self.X_) ** 2).sum(axis=2) / self.width_)
        mass = np.stack([near[:, self.y_ == c].sum(axis=1) for c in self.classes_], axis=1) + 1e-6
        return mass / mass.sum(axis=1, keepdims=True)
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in_context_stub.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LABELWEAVE_TRUST", "in_context_stub")
    monkeypatch.delitem(sys.modules, "in_context_stub", raising=False)
    path = tmp_path / "model.ckpt"
    path.write_text(json.dumps({"width": 2.0}))
    return path


def rings(seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Return two rings, which no line divides, and a task that follows from them."""
    rng = np.random.default_rng(seed)
    ring, turn = rng.integers(0, 2, 160), rng.uniform(0, 2 * np.pi, 160)
    X = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (1 + 1.5 * ring)[:, None]
    kind = np.array(["inner", "outer"])[ring].astype(object)
    return X + rng.normal(scale=0.2, size=X.shape), {"kind": kind, "wide": ring.astype(bool)}


def test_a_model_from_a_checkpoint_is_a_learner(checkpoint: Path) -> None:
    X, y = rings(0)
    path = "module:in_context_stub.InContextClassifier"
    options = {"model_path": str(checkpoint), "allow_auto_download": False}
    by_path = MultiTaskClassifier(learners=["logistic", {path: options}]).fit(X, y)
    assert by_path.weights_["kind"][path] > 0.9
    X_new, y_new = rings(1)
    assert by_path.score(X_new, y_new) > 0.9
    from in_context_stub import InContextClassifier  # type: ignore[import-not-found]

    learners = ["logistic", InContextClassifier(**options)]
    by_object = MultiTaskClassifier(learners=learners).fit(X, y)
    assert by_object.weights_["kind"]["InContextClassifier"] > 0.9
    np.testing.assert_array_equal(
        by_object.predict_proba(X_new)["kind"], by_path.predict_proba(X_new)["kind"]
    )


def test_what_is_wrong_with_it_is_one_line(checkpoint: Path, tmp_path: Path) -> None:
    X, y = rings(0)
    path = "module:in_context_stub.InContextClassifier"

    def message(options: dict[str, Any]) -> str:
        with pytest.raises(LabelweaveError) as error:
            MultiTaskClassifier(learners=["logistic", {path: options}]).fit(X, y)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "cannot be made" in message({"checkpoint": "a"})
    assert f"no checkpoint at {tmp_path}" in message({"model_path": str(tmp_path / "no.ckpt")})

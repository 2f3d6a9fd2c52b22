import signal
import warnings

import pytest
from training_setup import Setup, assert_same, raise_once

from labelweave.errors import LabelweaveError
from labelweave.training._checkpoint import load_tensors


def scripted(scores, seen):
    """Return a validation with given scores, that keeps the weights it was called with."""
    script = iter(scores)

    def validate(network):
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return next(script)

    return validate


def test_early_stopping_takes_back_the_best_weights(tmp_path):
    seen = []
    scores = [{"a": s, "b": -s / 2} for s in (0.1, 0.5, 0.4, float("nan"), 0.3, 0.9)]
    setup = Setup(tmp_path, patience=3, evaluations=10)
    history = setup.fit(validate=scripted(scores, seen))
    assert len(seen) == 5
    assert_same(setup.weights(), seen[1])
    assert history.records[-1]["step"] == 115
    best, state = load_tensors(tmp_path / "best.safetensors")
    assert_same({name.removeprefix("network/"): value for name, value in best.items()}, seen[1])
    assert state == {"step": 46}
    # a stopped run stays stopped
    again = Setup(tmp_path, patience=3, evaluations=10)
    again.fit(validate=scripted([], seen))
    assert_same(again.weights(), seen[1])


def test_early_stopping_is_resumed_with_its_best_weights(tmp_path):
    scores = [{"a": s} for s in (0.1, 0.5, 0.4, 0.3, 0.2)]
    seen = []
    whole = Setup(patience=3, evaluations=10)
    whole.fit(validate=scripted(scores, seen))
    broken = scripted(scores, [])
    with pytest.raises(KeyboardInterrupt):
        Setup(tmp_path, patience=3, evaluations=10).fit(
            validate=raise_once(3, lambda: signal.raise_signal(signal.SIGINT), broken)
        )
    again = Setup(tmp_path, patience=3, evaluations=10)
    again.fit(validate=broken)
    assert_same(again.weights(), whole.weights())


def test_tasks_without_validation_labels_are_named_once():
    scores = [{"a": s, "b": None, "c": None} for s in (0.1, 0.5, 0.2, 0.1)]
    seen = []
    setup = Setup(patience=2, evaluations=10)
    with pytest.warns(UserWarning, match="early stopping") as caught:
        setup.fit(validate=scripted(scores, seen))
    assert [str(warning.message) for warning in caught] == [
        "early stopping leaves out tasks without validation labels: 'b', 'c'"
    ]
    assert_same(setup.weights(), seen[1])


def test_without_patience_nothing_is_said_and_the_last_weights_are_taken():
    seen = []
    setup = Setup(evaluations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        setup.fit(20, scripted([{"a": 0.9, "b": None}, {"a": 0.1, "b": None}], seen))
    assert_same(setup.weights(), seen[1])


def test_patience_needs_validation_rows():
    with pytest.raises(LabelweaveError, match="patience needs validation rows, found none"):
        Setup(patience=3).fit()

"""`MultiTaskClassifier` that checks its relations, and finds wrong labels through them."""

import numpy as np
import pandas as pd
import pytest

from labelweave.errors import LabelweaveError
from labelweave.estimator import MultiTaskClassifier
from labelweave.relations import Relation
from labelweave.tasks import Binary, Multiclass

KINDS = Multiclass("kind", tuple("abcdefgh"))
MARKS = [Binary(name) for name in ("spots", "stripes", "rings")]
MARKED = np.array([[(k >> j) & 1 for j in range(3)] for k in range(8)])
TABLES = [Relation(KINDS, mark, MARKED[:, j : j + 1]) for j, mark in enumerate(MARKS)]
FLIPPED = 0.25


def scattered() -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Return inputs, labels (kinds of 80 rows, marks of 800 others), and which marks are wrong."""
    rng = np.random.default_rng(0)
    kind = np.arange(880) % 8
    inputs = 3.5 * np.eye(8)[kind] + rng.normal(size=(880, 8))
    wrong = rng.random((880, 3)) < FLIPPED
    marks = (MARKED[kind] ^ wrong).astype(object)
    labels = pd.DataFrame({"kind": np.array(KINDS.names, dtype=object)[kind]})
    labels[[mark.name for mark in MARKS]] = marks
    labels.loc[:79, [mark.name for mark in MARKS]] = None
    labels.loc[80:, "kind"] = None
    return pd.DataFrame(inputs, columns=list("stuvwxyz")), labels, wrong


X, Y, WRONG = scattered()


def classifier(**options) -> MultiTaskClassifier:
    quick = {"steps": 150, "hidden": [32], "learning_rate": 0.02}
    return MultiTaskClassifier([KINDS, *MARKS], **{"method": "full"} | quick | options)


@pytest.fixture(scope="module")
def noisy() -> MultiTaskClassifier:
    return classifier(noise="estimate").fit(X, Y)


def test_the_noise_is_found_without_any_table(noisy: MultiTaskClassifier) -> None:
    assert {noise.task.name for noise in noisy.noise_} == {mark.name for mark in MARKS}
    for noise in noisy.noise_:
        # a source is what has the same tasks labelled; only one of the two has marks
        assert noise.rate[noise.support.sum(axis=1).argmax()] == pytest.approx(FLIPPED, abs=0.06)


def test_the_labels_named_as_wrong_mostly_are(noisy: MultiTaskClassifier) -> None:
    named = noisy.mislabelled_
    assert list(named) == ["source", "row", "task", "label", "found", "likely", "probability"]
    column = named["task"].map({mark.name: j for j, mark in enumerate(MARKS)})
    right = WRONG[named["row"], column]
    assert named["probability"].is_monotonic_decreasing
    assert right.mean() > 0.85
    assert right[:100].mean() > 0.95
    assert right.sum() > 0.7 * WRONG[80:].sum()


def test_probabilities_are_of_clean_marks(noisy) -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 8, 2000)
    inputs = pd.DataFrame(3.5 * np.eye(8)[kind] + rng.normal(size=(2000, 8)), columns=X.columns)
    plain = classifier(relatedness={"from": "predictions", "folds": 0}).fit(X, Y)
    assert plain.noise_ == ()
    assert plain.mislabelled_.empty

    def accuracy(model):
        p = model.predict_proba(inputs)
        on = np.stack([p[mark.name][:, -1] for mark in MARKS], axis=1)
        return np.where(MARKED[kind], on, 1 - on).mean()

    # without a noise model a mark is as sure as its labels are right
    assert accuracy(plain) < 0.8
    assert accuracy(noisy) > accuracy(plain) + 0.1


@pytest.mark.slow
def test_learners_do_not_see_labels_that_are_likely_wrong(noisy) -> None:
    options = {"method": "coupled", "learners": ["logistic"], "relations": TABLES}
    plain = classifier(**options).fit(X, Y)
    clean = classifier(**options, noise="estimate").fit(X, Y)
    assert {noise.task.name for noise in clean.noise_} == {mark.name for mark in MARKS}
    assert len(clean.mislabelled_) > 300
    kind = np.arange(880) % 8
    truth = MARKED[kind]

    def right(model) -> float:
        p = model.predict_proba(X)
        on = np.stack([p[mark.name][:, -1] for mark in MARKS], axis=1)
        return float(np.where(truth, on, 1 - on).mean())

    # of the noisy labels a mark is as sure as they are right
    assert right(clean) > right(plain) + 0.05


def test_a_shuffled_table_is_left_out_where_the_data_are_asked() -> None:
    shuffled = [table.permuted(3) for table in TABLES]
    given = classifier(relations=shuffled, steps=20).fit(X, Y)
    assert given.relatedness_ is None
    assert len(given.relations_) == 3
    checked = classifier(relations=shuffled, relatedness={"from": "knowledge"}).fit(X, Y)
    assert checked.relatedness_ is not None
    assert checked.relations_ == ()
    sound = classifier(relations=TABLES, relatedness={"from": "all"}).fit(X, Y)
    assert {r.name for r in sound.relations_} == {r.name for r in TABLES}
    assert set(sound.relatedness_.transfer_weights) == {"kind", *(mark.name for mark in MARKS)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "yes"}, "parameter 'noise': found 'yes', expected 'estimate' or None"),
        (
            {"noise": "estimate", "method": "multi_task"},
            "parameter 'noise': found the method 'multi_task', expected 'full', "
            "'distribution_matching', 'co_annotation', 'coupled', 'student'",
        ),
        (
            {"noise": "estimate", "relatedness": {"from": "given"}},
            "parameter 'noise': found relatedness from 'given', expected evidence from the data",
        ),
        ({"relatedness": {"form": "all"}}, "parameter 'relatedness.form': no such key, expected"),
    ],
)
def test_a_wrong_setting_is_reported(options, message) -> None:
    with pytest.raises(LabelweaveError) as error:
        classifier(**options).fit(X, Y)
    assert message in str(error.value)

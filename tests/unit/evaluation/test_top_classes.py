"""What is kept of very many classes: the metrics are those of all classes, bit by bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from labelweave import LabelweaveError
from labelweave.annotations import Annotations
from labelweave.evaluation import TestResult, compare, evaluate
from labelweave.evaluation import _top_classes as top
from labelweave.evaluation._by_class import task_details
from labelweave.evaluation._calibration import confidences
from labelweave.evaluation._selection import held_out_row_scores
from labelweave.evaluation._top_classes import TopClasses, keep
from labelweave.tasks import Multiclass, Multilabel

WIDE = Multiclass("person", tuple(f"p{i}" for i in range(300)))
LABELS = Multilabel("labels", ("a", "b"))


def drawn(n: int = 60, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-1, 300, n)
    scores = rng.normal(size=(n, 300)) * 2
    scores[np.arange(0, n, 2), codes[::2]] += 4
    p = np.exp(scores)
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    p[5] = np.float32(1 / 300)  # all classes alike: the first counts as the likeliest
    return p, codes


def test_metrics_reliability_and_counts_are_those_of_all_classes() -> None:
    (p, codes), (q, _) = drawn(), drawn(seed=1)
    kept, other = TopClasses.of(p, codes, 7), TopClasses.of(q, codes, 7)
    assert evaluate(WIDE, kept, codes) == evaluate(WIDE, p, codes)
    assert all(map(np.array_equal, confidences(WIDE, kept, codes), confidences(WIDE, p, codes)))
    found, expected = (
        compare(WIDE, [TestResult(a, codes)], [TestResult(b, codes)], replicates=20)
        for a, b in ((kept, other), (p, q))
    )
    assert found == expected
    found, expected = (task_details(WIDE, "m", [TestResult(a, codes)]) for a in (kept, p))
    assert found == expected


def test_rows_keep_their_likeliest_classes_and_that_of_their_label() -> None:
    p, codes = drawn()
    kept = TopClasses.of(p, codes, 7)
    assert kept.shape == p.shape
    assert np.array_equal(kept.classes[:, 0], p.argmax(axis=1))
    labelled = codes >= 0
    truth = p[np.arange(len(p)), codes]
    assert np.array_equal(kept.of_class(codes)[labelled], truth[labelled].astype(np.float64))
    least = np.sort(p, axis=1)[:, -7]
    others = kept.probabilities >= least[:, None]
    assert (others | (kept.classes == codes[:, None])).all()
    assert all(len(set(row)) == 7 for row in kept.classes.tolist())
    np.testing.assert_allclose(kept.dense().sum(axis=1), 1, atol=1e-5)


def test_a_task_of_few_classes_keeps_them_all() -> None:
    p, codes = drawn()
    assert np.array_equal(TopClasses.of(p, codes, 1_000).dense(), p)


def test_constant_probabilities_are_judged_as_if_spelled_out() -> None:
    prior, codes = drawn()[0][0].astype(np.float64), drawn()[1]
    expected = evaluate(WIDE, np.broadcast_to(prior, (len(codes), 300)), codes)
    found = evaluate(WIDE, TopClasses.constant(prior, codes), codes)
    assert found["log_loss"] == expected["log_loss"]
    assert found["accuracy"] == expected["accuracy"]


def test_quadratic_scores_are_close_to_those_of_all_classes() -> None:
    p, codes = drawn()
    kept = TopClasses.of(p, codes, 100)
    found, expected = (
        held_out_row_scores([WIDE], {"person": each}, {"person": codes}) for each in (kept, p)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("wide", [True, False])
def test_rows_predicted_in_parts_are_those_predicted_at_once(
    wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, codes = drawn()
    on = np.random.default_rng(0).integers(-1, 2, (60, 2)).astype(np.int8)
    labels = Annotations((WIDE, LABELS), {"person": codes, "labels": on})
    calls: list[int] = []

    def predict(rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        calls.append(len(rows))
        return {"person": p[rows], "labels": p[rows, :2], "another": p[rows]}

    monkeypatch.setattr(top, "MANY", 299 if wide else 1_000)
    whole = keep(predict, np.arange(60), labels)
    monkeypatch.setattr(top, "CELLS", 302 * 25)
    parts = keep(predict, np.arange(60), labels)
    assert calls == [60, 25, 25, 10]
    assert whole.keys() == parts.keys() == {"person", "labels"}
    assert isinstance(parts["person"], TopClasses) == wide
    for name in ("person", "labels"):
        assert np.array_equal(top.dense(parts[name]), top.dense(whole[name]))
    keep(predict, np.arange(60), labels, at_once=True)
    assert calls[-1] == 60


def test_a_kept_row_that_holds_no_probabilities_is_named() -> None:
    p, codes = drawn()
    kept = TopClasses.of(p, codes, 7)
    kept.probabilities[3, 2] = np.nan
    with pytest.raises(LabelweaveError) as error:
        evaluate(WIDE, kept, codes)
    assert str(error.value) == (
        "task 'person', row 4: found no probabilities, expected numbers from 0 to 1 whose sum is "
        "at most 1"
    )
    with pytest.raises(LabelweaveError) as error:
        evaluate(WIDE, TopClasses.of(p, codes, 7)[:9], codes)
    assert str(error.value) == (
        "task 'person': found probabilities of shape (9, 300), expected (60, 300) of a multiclass "
        "task"
    )

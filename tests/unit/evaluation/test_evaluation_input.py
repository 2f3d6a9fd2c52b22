import numpy as np
import pytest

from labelweave.errors import LabelweaveError
from labelweave.evaluation import evaluate
from labelweave.evaluation._comparison import replicate_metrics
from labelweave.tasks import Binary, Multiclass, Multilabel


@pytest.mark.parametrize(
    ("task", "scores", "labels", "thresholds", "message"),
    [
        (
            Multiclass("species", ("a", "b")),
            [[0.5, 0.5], [0.9, 0.8]],
            [0, 1],
            None,
            "task 'species', row 2: found probabilities that sum to 1.7, expected 1",
        ),
        (
            Multiclass("species", ("a", "b")),
            [[0.5, 0.5]],
            [0],
            [0.5, 0.5],
            "task 'species': found thresholds for a multiclass task, expected none",
        ),
        (
            Multiclass("species", ("a", "b")),
            [[0.5, 0.5]],
            [2],
            None,
            "labels of 'species': found codes from 2 to 2, expected -1 (missing) to 1",
        ),
        (
            Multilabel("signs", ("x", "y")),
            [[0.5, 0.5], [np.nan, 0.5]],
            [[0, 1], [0, 1]],
            None,
            "task 'signs', row 2: found nan for 'x' in the probabilities, "
            "expected a number from 0 to 1",
        ),
        (
            Multilabel("signs", ("x", "y")),
            [[0.5, 0.5]],
            [[0, 1]],
            [0.5, -2],
            "task 'signs': found -2 for 'y' in the thresholds, expected a number from 0 to 1",
        ),
        (
            Multilabel("signs", ("x", "y")),
            [[0.5]],
            [[0, 1]],
            None,
            "task 'signs': found probabilities of type float64 and shape (1, 1), "
            "expected numbers of shape (1, 2)",
        ),
        (
            Multilabel("signs", ("x", "y")),
            [[0.5, 0.5]],
            [[0, 1]],
            [0.5],
            "task 'signs': found thresholds of type float64 and shape (1,), "
            "expected numbers of shape (2,)",
        ),
    ],
)
def test_bad_input_gets_one_line(task, scores, labels, thresholds, message):
    with pytest.raises(LabelweaveError) as caught:
        evaluate(task, scores, labels, thresholds)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], "task 'ripe': found weights of shape (2,), expected (replicates, 2)"),
        ([[1, -1]], "task 'ripe': found a weight of -1, expected none below 0"),
    ],
)
def test_bad_weights_get_one_line(weights, message):
    with pytest.raises(LabelweaveError) as caught:
        replicate_metrics(Binary("ripe"), [[0.5], [0.5]], [[0], [1]], weights)
    assert str(caught.value) == message

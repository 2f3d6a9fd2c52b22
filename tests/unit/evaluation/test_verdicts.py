import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.errors import LabelweaveError
from labelweave.evaluation import Difference, holm, verdict


def difference(mean, low, high, counts=(50, 50), p_value=0.01, detectable=0.05):
    values = (mean,) * len(counts)
    return Difference(
        mean, low, high, 50, len(counts), values, counts, p_value=p_value, detectable=detectable
    )


@pytest.mark.parametrize(
    ("found", "lower_is_better", "expected"),
    [
        (difference(0.05, 0.01, 0.09), False, "gain"),
        (difference(0.05, 0.01, 0.09), True, "negative transfer"),
        (difference(-0.05, -0.09, -0.01), False, "negative transfer"),
        (difference(-0.05, -0.09, -0.01), True, "gain"),
        (difference(0.05, -0.01, 0.09), False, "no difference"),
        (difference(0.05, 0.0, 0.09), False, "no difference"),
        (difference(0.05, -0.01, 0.09, detectable=0.1), False, "no difference"),
        (difference(0.05, -0.01, 0.09, detectable=0.11), False, "not enough data"),
        (difference(0.05, -0.01, 0.09, detectable=None), False, "not enough data"),
        (difference(0.2, 0.1, 0.3, detectable=0.15), False, "gain"),
        (difference(0.5, 0.4, 0.6, counts=(10, 10)), False, "gain"),
        (difference(0.5, 0.4, 0.6, counts=(10, 9)), False, "not enough data"),
        (difference(None, None, None, p_value=None), False, "not enough data"),
    ],
)
def test_verdicts(found, lower_is_better, expected):
    assert verdict(found, lower_is_better) == expected


def test_holm_by_hand():
    # sorted: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 1 x 0.04 raised to its predecessor's 0.06
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "no test": None})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(found) == ["a", "b", "c", "d"]
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.lists(st.integers(0, 1000).map(lambda i: i / 1000), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p_values):
    adjusted = holm({str(i): p for i, p in enumerate(p_values)})
    found = [adjusted[str(i)] for i in range(len(p_values))]
    for p, q in zip(p_values, found, strict=True):
        assert p <= q <= min(1, len(p_values) * p)
    assert sorted(found) == [q for _, q in sorted(zip(p_values, found, strict=True))]
    # rejecting by adjusted p-values is Holm's own step-down rule
    ordered = sorted(p_values)
    level = 0.0501  # no multiple of a p-value, so rounding cannot decide
    passes = [p <= level / (len(ordered) - rank) for rank, p in enumerate(ordered)]
    rejected = passes.index(False) if False in passes else len(passes)
    assert sum(q <= level for q in found) == rejected


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(LabelweaveError) as caught:
        holm({"ripe": 1.2})
    assert str(caught.value) == "'ripe': found a p-value of 1.2, expected a number from 0 to 1"

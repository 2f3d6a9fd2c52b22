import json
from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from labelweave.data._table_encoder import TableEncoder, mean_and_scale
from labelweave.errors import LabelweaveError


def error(call: Callable[[], object]) -> str:
    with pytest.raises(LabelweaveError) as caught:
        call()
    return str(caught.value)


def numbers(rng: np.random.Generator, rows: int, columns: int = 6) -> pd.DataFrame:
    values = rng.normal(size=(rows, columns)) * 10.0 ** np.arange(columns)
    values[rng.random(values.shape) < 0.2] = np.nan
    return pd.DataFrame(values).rename(columns=lambda j: f"x{j}")


def test_numbers_equal_the_scikit_learn_pipeline():
    rng = np.random.default_rng(0)
    train, other = numbers(rng, 200), numbers(rng, 70_000)
    encoder = TableEncoder(clip=2.0).fit(train)
    oracle = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(train)
    values = np.clip(oracle.transform(other), -2, 2)
    missing = MissingIndicator(features="all").fit(train).transform(other)
    found = encoder.transform(other)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.hstack([values, missing]), rtol=1e-5, atol=1e-6)
    assert encoder.names_[4:8] == ["x4", "x5", "x0 (missing)", "x1 (missing)"]


def test_categories_equal_the_scikit_learn_encoder():
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"a": rng.choice(list("pqr"), 50), "b": rng.random(50) < 0.5})
    other = pd.DataFrame({"a": rng.choice(list("pqrst"), 50), "b": rng.random(50) < 0.5})
    encoder = TableEncoder().fit(train)
    oracle = OneHotEncoder(handle_unknown="ignore").fit(train)
    found, expected = encoder.transform(other), oracle.transform(other).toarray()
    assert encoder.names_ == [
        "a=p",
        "a=q",
        "a=r",
        "a (unknown)",
        "b=False",
        "b=True",
        "b (unknown)",
    ]
    np.testing.assert_array_equal(found[:, [0, 1, 2, 4, 5]], expected)
    np.testing.assert_array_equal(found[:, 3], other["a"].isin(["s", "t"]))


def test_every_category_column_sums_to_one():
    frame = pd.DataFrame({"a": ["p", None, "q", ""], "b": [1.0, 2.0, 2.0, np.nan]})
    found = TableEncoder(categorical=["b"]).fit(frame).transform(frame)
    np.testing.assert_array_equal(
        found, [[1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]]
    )


def test_a_category_is_the_same_as_number_and_as_text():
    train = pd.DataFrame({"a": ["1", "2", "x"]})
    np.testing.assert_array_equal(
        TableEncoder().fit(train).transform(pd.DataFrame({"a": [2.0, 1.0, np.nan]})),
        [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]],
    )


def test_the_rarest_categories_count_as_unknown():
    frame = pd.DataFrame({"a": list("pppqrrs")})
    encoder = TableEncoder(max_categories=2).fit(frame)
    assert encoder.names_ == ["a=p", "a=r", "a (unknown)"]
    np.testing.assert_array_equal(encoder.transform(frame)[:, 2], [0, 0, 0, 1, 0, 0, 1])
    assert list(map(str, encoder.notes_)) == [
        "input columns with over 2 categories, of which the rarest count as unknown: 'a: 4'"
    ]


def test_notes():
    frame = pd.DataFrame(
        {
            "none": [np.nan] * 4, "same": [3] * 4, "x": [1, np.inf, 3, 4.0], "y": [1, 2, 3, 4],
            "text": ["a", None, "b", "a"], "one": ["a"] * 4, "void": [None] * 4,
        }
    )  # fmt: skip
    assert list(map(str, TableEncoder().fit(frame).notes_)) == [
        "input columns with infinite values, taken as missing: 'x: 1'",
        "input columns with missing values in training: 'x: 25.0%', 'text: 25.0%'",
        "input columns entirely missing in training, dropped: 'none', 'void'",
        "input columns constant in training, dropped: 'same', 'one'",
    ]


def test_a_constant_column_with_gaps_keeps_its_indicator():
    encoder = TableEncoder().fit(pd.DataFrame({"x": [5, np.nan, 5]}))
    assert encoder.names_ == ["x (missing)"]
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": [np.nan, 7]})), [[1], [0]])


any_float = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, 1e308])


@settings(deadline=None)
@given(
    st.lists(st.tuples(any_float, any_float), min_size=2, max_size=20),
    st.lists(st.tuples(any_float, any_float), min_size=1, max_size=20),
)
def test_features_are_always_finite_and_clipped(train, other):
    # the third column makes sure that something varies
    frame = pd.DataFrame(train, columns=["a", "b"]).assign(c=np.arange(len(train)))
    rest = pd.DataFrame(other, columns=["a", "b"]).assign(c=np.nan)
    encoder = TableEncoder().fit(frame)
    for part in (frame, rest):
        features = encoder.transform(part)
        assert features.shape == (len(part), len(encoder.names_))
        assert np.isfinite(features).all()
        assert np.abs(features).max() <= 10


def test_training_rows_alone_decide():
    rng = np.random.default_rng(0)
    frame = numbers(rng, 50)
    encoder = TableEncoder().fit(frame)
    whole = encoder.transform(frame)
    np.testing.assert_array_equal(encoder.transform(frame.iloc[[7]]), whole[[7]])


def test_json_round_trip():
    frame = numbers(np.random.default_rng(0), 30).assign(t=list("abc") * 10, same=1)
    encoder = TableEncoder(clip=3.0, max_categories=2, categorical=["same"]).fit(frame)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))
    assert again.to_dict() == encoder.to_dict()
    assert again.names_ == encoder.names_
    state = encoder.to_dict()
    del state["numeric"]["scale"]
    assert error(lambda: TableEncoder.from_dict(state)) == "table encoder: entry 'scale' is missing"


def test_columns_scaled_together_keep_their_proportions_and_the_constant_ones():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 256, (40, 3)).astype(np.uint8), columns=list("abc"))
    frame["dark"] = np.zeros(40, np.uint8)
    encoder = TableEncoder(scale="together").fit(frame)
    values = frame.to_numpy(float)
    expected = (values - values.mean()) / values.std()
    np.testing.assert_allclose(encoder.transform(frame), expected, rtol=1e-5)
    assert encoder.names_ == ["a", "b", "c", "dark"]
    assert encoder.notes_ == []
    new = encoder.transform(frame.assign(dark=255))
    assert new[0, 3] == pytest.approx((255 - values.mean()) / values.std())
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.scale == "together"
    np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))


def test_columns_together_that_never_vary_are_refused():
    frame = pd.DataFrame({"a": [0.0, 0.0], "b": [0.0, 0.0]})
    with pytest.raises(LabelweaveError, match="no input column varies, found 'a', 'b'"):
        TableEncoder(scale="together").fit(frame)


def test_rows_transformed_in_chunks_are_those_of_the_whole(monkeypatch):
    frame = numbers(np.random.default_rng(0), 50)
    encoder = TableEncoder().fit(frame)
    whole = encoder.transform(frame)
    monkeypatch.setattr("labelweave.data._table_encoder.CELLS", 7)
    np.testing.assert_array_equal(encoder.transform(frame), whole)


def test_extra_columns_order_and_nullable_types_do_not_matter():
    train = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": ["p", "q", "q"]})
    other = pd.DataFrame(
        {"b": pd.Categorical(["q", "p"]), "z": 0, "a": pd.array([1, None], dtype="Int64")}
    )
    encoder = TableEncoder().fit(train)
    expected = encoder.transform(pd.DataFrame({"a": [1.0, np.nan], "b": ["q", "p"]}))
    np.testing.assert_array_equal(encoder.transform(other), expected)


def test_bad_input_of_transform():
    encoder = TableEncoder().fit(pd.DataFrame({"length": [1.0, 2.0], "b": ["p", "q"]}))
    assert error(lambda: encoder.transform(pd.DataFrame({"lenght": [1], "b": ["p"]}))) == (
        "no input column 'length', found 'lenght', 'b'; did you mean 'lenght'?"
    )
    texts = pd.DataFrame({"length": ["1.5", None, "1,5"], "b": "p"})
    assert error(lambda: encoder.transform(texts)) == (
        "row 3, column 'length': found '1,5', expected a number"
    )
    features = encoder.transform(texts.iloc[:2])
    np.testing.assert_allclose(features[:, 0], [0, 0], atol=1e-7)  # 1.5 is mean and median


@pytest.mark.parametrize(
    ("options", "frame", "expected"),
    [
        ({"clip": 0}, {"a": [1, 2]}, "clip: found 0, expected a number above 0"),
        ({"max_categories": 0}, {"a": [1, 2]}, "max_categories: found 0, expected 1 or more"),
        (
            {"categorical": ["b"]},
            {"a": [1, 2]},
            "inputs 'categorical' or 'hashed': no input column 'b', found 'a'",
        ),
        ({}, {"a": []}, "table encoder: found no training rows"),
        ({}, {"a": [1, 1], "b": ["x", "x"]}, "no input column varies, found 'a', 'b'"),
    ],
)
def test_bad_fit(options, frame, expected):
    assert error(lambda: TableEncoder(**options).fit(pd.DataFrame(frame))) == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_mean_and_scale_are_those_of_the_standard_scaler_bit_for_bit(
    order: Literal["C", "F"],
) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 50, 3000):
        values = rng.normal(size=(n, 6)) * 10.0 ** np.arange(-9, 9, 3) + [0, 0, 1e9, 1, -5, 1e12]
        values[:, 3] = 0.1  # constant, its computed deviation is rounding alone
        laid = np.asarray(values, order=order)
        oracle = StandardScaler().fit(laid)
        mean, scale = mean_and_scale(laid)
        assert np.array_equal(mean, oracle.mean_)
        assert np.array_equal(scale, oracle.scale_)

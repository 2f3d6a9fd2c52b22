"""Handwritten digits with gaps: few carry their digit, the others carry attributes only."""

import pandas as pd
from sklearn.datasets import load_digits

KNOWLEDGE = pd.DataFrame(  # one row a digit: what its printed form looks like
    {
        "digit": list("0123456789"),
        "loops": ["one", "none", "none", "none", "none", "none", "one", "none", "two", "one"],
        "strokes": [
            "curved",
            "straight",
            "mixed",
            "curved",
            "straight",
            "mixed",
            "curved",
            "straight",
            "curved",
            "curved",
        ],
        "even": [1, 0] * 5,
    }
)


def digit_tables(
    per_class: int = 2,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return X, y of 400 training rows with gaps, and X, y of 400 complete test rows.

    Args:
        per_class: training rows of each digit that carry their digit.
    """
    digits = load_digits(as_frame=True)
    X = digits.data.sample(800, random_state=0)
    rows = KNOWLEDGE.set_index("digit").loc[digits.target[X.index].astype(str)]
    labels = rows.reset_index().set_index(X.index)
    y = labels[:400].astype(object)
    few = y.groupby("digit").head(per_class).index
    y.loc[few, ["loops", "strokes", "even"]] = None  # these carry their digit alone
    y.loc[y.index.difference(few), "digit"] = None  # and these their attributes alone
    return X[:400], y, X[400:], labels[400:]

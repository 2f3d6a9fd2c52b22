"""The two protocols of data sets of persons: persons apart, or every person on both sides."""

from typing import Literal

import numpy as np
import pandas as pd

Protocol = Literal["official", "shared"]
TEST_EVERY = 5
VALIDATION_EVERY = 10


def shared_parts(owner: pd.Series) -> pd.Series:
    """Return the part of every row such that each owner with five rows or more is in all of them.

    The fifth, tenth, ... row of an owner (a person, a species) is ``test``, the ninth, nineteenth,
    ... ``validation``, all others ``train``, in the order of the rows: the same for every seed.

    Args:
        owner: (n,) whose row it is.
    """
    place = owner.groupby(owner).cumcount().to_numpy() + 1
    test = place % TEST_EVERY == 0
    validation = place % VALIDATION_EVERY == VALIDATION_EVERY - 1
    parts = np.select([test, validation], ["test", "validation"], "train")
    return pd.Series(parts, index=owner.index)


def most_frequent(owner: pd.Series, count: int | None) -> pd.Series:
    """Return whether a row belongs to one of the `count` owners with the most rows; None = all."""
    sizes = owner.value_counts(sort=False).sort_values(ascending=False, kind="stable")
    return owner.isin(sizes.index[:count])


def apart(owner: pd.Series, part: pd.Series) -> bool:
    """Return whether no owner has rows in the test part and elsewhere."""
    test = part == "test"
    return not set(owner[test]) & set(owner[~test])


def hide_unknown(identity: pd.Series, part: pd.Series) -> pd.Series:
    """Return the identities, missing where none of the training rows has them."""
    known = set(identity[part == "train"])
    return identity.where(identity.isin(known), None)

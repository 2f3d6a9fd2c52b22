"""With very many classes relations are judged by some of the rows, and these keep their numbers."""

import numpy as np
import pytest

from labelweave.annotations import Annotations
from labelweave.fitting import _relating
from labelweave.fitting._relating import rows_to_relate
from labelweave.fitting._split import Rows
from labelweave.tasks import Multiclass, one_hot

TASK = Multiclass("kind", tuple(f"k{i}" for i in range(10)))


def rows(n: int) -> Rows:
    codes = np.arange(n) % 10
    index = np.arange(n)
    annotations = Annotations((TASK,), {"kind": codes})
    return Rows(np.zeros((n, 2), np.float32), annotations, index, index)


def test_all_rows_are_used_where_their_probabilities_fit() -> None:
    assert rows_to_relate(rows(5_000), 0) is None


def test_more_rows_than_fit_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_relating, "CELLS", 20_000)
    drawn = rows_to_relate(rows(5_000), 0)
    assert drawn is not None
    assert len(drawn) == 2_000  # 20,000 cells of 10 classes
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, rows_to_relate(rows(5_000), 0))
    assert not np.array_equal(drawn, rows_to_relate(rows(5_000), 1))
    monkeypatch.setattr(_relating, "CELLS", 20)
    fewest = rows_to_relate(rows(5_000), 0)
    assert fewest is not None
    assert len(fewest) == 1_000


def test_one_hot_is_a_row_of_the_identity_for_each_code() -> None:
    codes = np.array([3, 0, 9, -1, 3])
    np.testing.assert_array_equal(one_hot(codes, 10), np.eye(10)[codes])

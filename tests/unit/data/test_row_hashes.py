"""Which rows a model was trained on, from salted hashes."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelweave.data import _row_hashes
from labelweave.data._row_hashes import row_hashes, seen_rows, write_row_hashes
from labelweave.errors import LabelweaveError

ROWS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)


@given(st.permutations(range(12)), st.integers(1, 50))
def test_a_hash_depends_on_the_row_alone(order, step):
    whole = row_hashes(ROWS, b"salt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_row_hashes, "CHUNK", 16 * step)
        assert np.array_equal(row_hashes(ROWS[list(order)], b"salt"), whole[list(order)])


def test_another_salt_gives_other_hashes_and_equal_rows_equal_ones():
    assert not np.isin(row_hashes(ROWS, b"a"), row_hashes(ROWS, b"b")).any()
    assert len(np.unique(row_hashes(ROWS, b"a"))) == len(ROWS)
    zero = np.zeros((1, 2), np.float32)
    assert row_hashes(zero, b"a") == row_hashes(-zero, b"a")


def test_rows_are_found_again_and_the_file_holds_no_input(tmp_path):
    assert seen_rows(tmp_path, ROWS) is None
    write_row_hashes(tmp_path, row_hashes(ROWS[:30], b"salt"), b"salt")
    assert seen_rows(tmp_path, ROWS).tolist() == [True] * 30 + [False] * 20
    written = (tmp_path / "rows.safetensors").read_bytes()
    assert ROWS[0].tobytes() not in written


@pytest.mark.parametrize("content", [b"", b"x" * 40])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "rows.safetensors").write_bytes(content)
    with pytest.raises(LabelweaveError, match=re.escape("rows.safetensors: cannot be read (")):
        seen_rows(tmp_path, ROWS)

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.balancing import SAMPLERS, Equal, Proportional, Temperature, sampler
from labelweave.data.batches import Batches
from labelweave.errors import LabelweaveError
from labelweave.tasks import Multiclass

sizes = st.lists(st.integers(1, 60), min_size=1, max_size=6)
batch_sizes = st.integers(1, 50)
seeds = st.integers(0, 2**32 - 1)
names = pytest.mark.parametrize("name", SAMPLERS)


def split(lengths):
    """Row indices of sources of some lengths, shuffled among each other."""
    rows = np.random.default_rng(0).permutation(sum(lengths))
    return np.split(rows, np.cumsum(lengths)[:-1])


def owners(lengths, sources):
    owner = np.empty(sum(lengths), int)
    for i, rows in enumerate(sources):
        owner[rows] = i
    return owner


@names
@given(lengths=sizes, batch_size=batch_sizes, seed=seeds, step=st.integers(0, 300))
@settings(max_examples=30)
def test_a_step_has_the_same_rows_whenever_it_is_asked_for(name, lengths, batch_size, seed, step):
    sources = split(lengths)
    walked = sampler(name, sources, batch_size, seed)
    for earlier in range(0, step, 7):
        walked(earlier)
    rows = walked(step)
    assert rows.shape == (batch_size,)
    assert rows.dtype == np.int64
    assert np.isin(rows, np.concatenate(sources)).all()
    assert (sampler(name, sources, batch_size, seed)(step) == rows).all()
    walked(step + 40)
    assert (walked(step) == rows).all()


@names
def test_seeds_and_epochs_give_other_orders(name):
    sources = split([60, 20])
    first = sampler(name, sources, 40, 0)
    assert (first(0) != sampler(name, sources, 40, 1)(0)).any()
    assert (first(0) != first(2)).any()


@given(sizes, batch_sizes, seeds)
def test_proportional_covers_every_row_once_an_epoch(lengths, batch_size, seed):
    draw, total = Proportional(split(lengths), batch_size, seed), sum(lengths)
    steps = 3 * total // batch_size + 1
    stream = np.concatenate([draw(step) for step in range(steps)])
    for start in range(0, len(stream) - total + 1, total):
        assert (np.sort(stream[start : start + total]) == np.arange(total)).all()


@given(sizes, batch_sizes, seeds)
def test_proportional_shares_in_every_batch_of_an_epoch(lengths, batch_size, seed):
    sources, total = split(lengths), sum(lengths)
    owner = owners(lengths, sources)
    draw = Proportional(sources, batch_size, seed)
    shares = np.array(lengths) / total
    # for two sources this is one row
    allowed = 1 + shares * (len(lengths) - 2) if len(lengths) > 1 else np.zeros(1)
    for step in range(total // batch_size):
        counts = np.bincount(owner[draw(step)], minlength=len(lengths))
        assert (np.abs(counts - batch_size * shares) <= allowed + 1e-9).all()


@given(sizes, batch_sizes, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.integers(1, 60))
def test_temperature_shares_in_the_long_run(lengths, batch_size, alpha, steps):
    sources = split(lengths)
    owner = owners(lengths, sources)
    draw = Temperature(sources, batch_size, 0, alpha)
    weights = np.array(lengths, float) ** alpha
    given_out = np.zeros(len(lengths))
    for step in range(steps):
        given_out += np.bincount(owner[draw(step)], minlength=len(lengths))
        exact = weights / weights.sum() * batch_size * (step + 1)
        assert (np.abs(given_out - exact) < 1 + 1e-6).all()


@pytest.mark.parametrize(
    ("lengths", "batch_size"),
    [([84, 21, 1, 1, 1, 1], 2), ([44, 44, 1, 1, 1], 1), ([9] + [1] * 40, 3)],
)
def test_sources_far_below_a_row_a_batch(lengths, batch_size):
    # by largest remainders so many small sources would run ahead that a batch overflows
    draw = Temperature(split(lengths), batch_size, 0, 1.0)
    rows = [draw(step) for step in range(100)]
    assert {len(part) for part in rows} == {batch_size}
    done = np.stack(draw.starts)
    exact = np.arange(len(done))[:, None] * batch_size * np.array(lengths) / sum(lengths)
    assert (np.diff(done, axis=0) >= 0).all()
    assert np.abs(done - exact).max() < 1


@given(sizes, batch_sizes)
def test_equal_gives_every_source_the_same_number(lengths, batch_size):
    sources = split(lengths)
    owner = owners(lengths, sources)
    draw = Equal(sources, batch_size, 0)
    for step in range(5):
        counts = np.bincount(owner[draw(step)], minlength=len(lengths))
        assert counts.max() - counts.min() <= 2
        assert batch_size % len(lengths) or counts.max() == counts.min()


@given(sizes, batch_sizes, seeds)
def test_every_source_is_walked_through_before_a_row_comes_again(lengths, batch_size, seed):
    sources = split(lengths)
    draw = Equal(sources, batch_size, seed)
    stream = np.concatenate([draw(step) for step in range(20)])
    for rows in sources:
        seen = stream[np.isin(stream, rows)]
        for start in range(0, len(seen) - len(rows) + 1, len(rows)):
            assert (np.sort(seen[start : start + len(rows)]) == np.sort(rows)).all()


@names
def test_a_batch_larger_than_the_data_repeats_rows(name):
    rows = sampler(name, [np.array([3]), np.array([5, 7])], 12, 0)(1)
    assert set(rows.tolist()) == {3, 5, 7}
    assert len(rows) == 12


@names
def test_sources_without_rows_are_left_out(name):
    empty = np.array([], int)
    found = sampler(name, [empty, np.arange(5), empty], 3, 4)
    expected = sampler(name, [np.arange(5)], 3, 4)
    assert all((found(step) == expected(step)).all() for step in range(5))


@pytest.mark.parametrize(
    ("name", "sources", "batch_size", "error"),
    [
        (
            "proportionel",
            [[1]],
            2,
            "unknown sampling 'proportionel', expected 'proportional', 'equal', 'temperature'; "
            "did you mean 'proportional'?",
        ),
        (
            "equal",
            [[], []],
            2,
            "sampling: found 0 sources with rows and a batch size of 2, "
            "expected at least one of each",
        ),
        (
            "equal",
            [[1]],
            0,
            "sampling: found 1 sources with rows and a batch size of 0, "
            "expected at least one of each",
        ),
    ],
)
def test_bad_input(name, sources, batch_size, error):
    with pytest.raises(LabelweaveError) as caught:
        sampler(name, sources, batch_size, 0)
    assert str(caught.value) == error


# batches ------------------------------------------------------------------------------------------

TASK = Multiclass("species", ("a", "b", "c"))


def batches(inputs, rows, **options):
    labels = Annotations((TASK,), {"species": np.arange(len(inputs)) % 4 - 1})
    return Batches(inputs, labels, lambda step: rows[step], **options)


def test_a_batch_holds_the_inputs_and_labels_of_its_rows():
    inputs = np.arange(20, dtype=np.float32).reshape(10, 2)
    batch = batches(inputs, {3: np.array([7, 0, 7])})[3]
    assert batch.inputs.tolist() == [[14, 15], [0, 1], [14, 15]]
    assert batch.labels["species"].tolist() == [2, -1, 2]


@given(st.integers(1, 12), st.integers(1, 5))
def test_shards_share_the_global_batch_out(size, number):
    inputs = np.arange(20, dtype=np.float32)[:, None]
    rows = {0: np.random.default_rng(size).permutation(20)[:size]}
    parts = [batches(inputs, rows, shard=(i, number))[0].inputs[:, 0] for i in range(number)]
    assert sorted(torch.cat(parts).int().tolist()) == sorted(rows[0].tolist())
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_memory_mapped_inputs_stay_on_disk(tmp_path):
    np.save(tmp_path / "inputs.npy", np.arange(20, dtype=np.float32).reshape(10, 2))
    inputs = np.load(tmp_path / "inputs.npy", mmap_mode="r", allow_pickle=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gathered = batches(inputs, {0: np.array([4])})
    assert gathered.inputs.data_ptr() == inputs.ctypes.data
    assert gathered[0].inputs.tolist() == [[8, 9]]

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labelweave.annotations import Annotations
from labelweave.balancing import SAMPLERS, Equal, Proportional, Temperature, sampler
from labelweave.balancing._sampling import label_shares
from labelweave.data._batch_shares import BatchShares, row_weights
from labelweave.data._batches import Batches
from labelweave.errors import LabelweaveError
from labelweave.tasks import Binary, Multiclass, Multilabel

sizes = st.lists(st.integers(1, 60), min_size=1, max_size=6)
batch_sizes = st.integers(1, 50)
seeds = st.integers(0, 2**32 - 1)
CHOICES = [*SAMPLERS, {"temperature": 0.3}, *({n: {"balance": "species"}} for n in SAMPLERS)]
names = pytest.mark.parametrize("name", CHOICES, ids=str)
TASK = Multiclass("species", ("a", "b", "c"))


def split(lengths):
    """Row indices of sources of some lengths, shuffled among each other."""
    rows = np.random.default_rng(0).permutation(sum(lengths))
    return np.split(rows, np.cumsum(lengths)[:-1])


def drawn(name, sources, batch_size, seed):
    """A sampler over rows that all carry a class of one task."""
    rows = max(max(rows) for rows in sources if len(rows)) + 1
    labels = Annotations((TASK,), {"species": np.arange(rows) % 3})
    return sampler(name, sources, batch_size, seed, labels)


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
    walked = drawn(name, sources, batch_size, seed)
    for earlier in range(0, step, 7):
        walked(earlier)
    rows = walked(step)
    assert rows.shape == (min(batch_size, sum(lengths)),)
    assert rows.dtype == np.int64
    assert np.isin(rows, np.concatenate(sources)).all()
    assert (drawn(name, sources, batch_size, seed)(step) == rows).all()
    walked(step + 40)
    assert (walked(step) == rows).all()


@names
def test_seeds_and_epochs_give_other_orders(name):
    sources = split([60, 20])
    first = drawn(name, sources, 40, 0)
    assert (first(0) != drawn(name, sources, 40, 1)(0)).any()
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
def test_a_batch_is_never_larger_than_the_data(name):
    draw = drawn(name, [np.array([3]), np.array([5, 7])], 12, 0)
    assert {len(draw(0)), len(draw(1))} == {3}
    steps = [draw(step).tolist() for step in range(10)]
    assert {row for rows in steps for row in rows} == {3, 5, 7}
    if name == "proportional":
        assert all(sorted(rows) == [3, 5, 7] for rows in steps)


@names
def test_sources_without_rows_are_left_out(name):
    empty = np.array([], int)
    found = drawn(name, [empty, np.arange(5), empty], 3, 4)
    expected = drawn(name, [np.arange(5)], 3, 4)
    assert all((found(step) == expected(step)).all() for step in range(5))


@pytest.mark.parametrize(
    ("name", "sources", "batch_size", "error"),
    [
        (
            "proportionel",
            [[1]],
            2,
            "no such sampling 'proportionel', expected 'proportional', 'equal', 'temperature', "
            "'round_robin', 'labels'; did you mean 'proportional'?",
        ),
        (
            {"temperature": 2},
            [[1]],
            2,
            "sampling 'temperature': option 'alpha' should be less than or equal to 1, found 2",
        ),
        (
            {"equal": {"balance": "species"}},
            [[1]],
            2,
            "sampling 'equal': found no annotations, expected the rows' labels",
        ),
        (
            {"equal": 3},
            [[1]],
            2,
            "sampling 'equal': found 3, expected options by name: 'balance'",
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


def test_tasks_that_cannot_be_balanced():
    labels = Annotations(
        (TASK, Binary("sick"), Multilabel("marks", ("p", "q"))),
        {"species": [0], "sick": [[1]], "marks": [[1, 0]]},
    )
    for name, error in (
        ("marks", "'marks' has several labels"),
        ("speces", "no task 'speces'"),
    ):
        with pytest.raises(LabelweaveError) as caught:
            sampler({"equal": {"balance": name}}, [[0]], 2, 0, labels)
        assert str(caught.value).startswith(
            f"sampling: option 'balance': {error}, expected a multiclass or binary task: "
            "'species', 'sick'"
        )


# what the strategies are --------------------------------------------------------------------------


@given(sizes, batch_sizes)
def test_round_robin_gives_every_source_whole_batches_in_turn(lengths, batch_size):
    sources = split(lengths)
    owner = owners(lengths, sources)
    draw = sampler("round_robin", sources, batch_size, 0)
    for step in range(2 * len(lengths)):
        assert set(owner[draw(step)]) == {step % len(lengths)}
    # and each source is walked through before a row comes again
    stream = np.concatenate([draw(step * len(lengths)) for step in range(lengths[0] + 1)])
    assert (np.sort(stream[: lengths[0]]) == np.sort(sources[0])).all()


@st.composite
def sparse_annotations(draw):
    """Sources of which each labels some of three tasks on some of its rows."""
    lengths = draw(st.lists(st.integers(2, 30), min_size=1, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    total = sum(lengths)
    tasks = (TASK, Binary("sick"), Multilabel("marks", ("p", "q", "r")))
    labels = {
        "species": rng.integers(0, 3, total),
        "sick": rng.integers(0, 2, (total, 1)).astype(np.int8),
        "marks": rng.integers(0, 2, (total, 3)).astype(np.int8),
    }
    sources = split(lengths)
    for rows in sources:
        for codes in labels.values():
            if rng.random() < 0.5:
                codes[rows] = -1
            codes[rows[rng.random(len(rows)) < 0.2]] = -1
    return Annotations(tasks, labels), sources


@given(sparse_annotations())
def test_label_shares_are_shares_and_leave_no_source_without_labels_out(case):
    annotations, sources = case
    shares = label_shares(sources, annotations)
    assert shares.sum() == pytest.approx(1)
    assert (shares >= 0).all()
    for rows, share in zip(sources, shares, strict=True):
        if not any(annotations.labelled(task.name)[rows].any() for task in annotations.tasks):
            assert share == pytest.approx(len(rows) / len(annotations))


@given(st.lists(st.integers(1, 3), min_size=2, max_size=3, unique=True), st.integers(1, 200))
def test_labels_makes_tasks_of_separate_sources_equal(widths, rows):
    """Whatever the sizes and the labels a row, where every task has its own source."""
    tasks = tuple(Multilabel(f"t{w}", tuple("abc"[:w])) for w in widths)
    lengths = [rows * (i + 1) ** 2 for i in range(len(tasks))]
    sources = split(lengths)
    labels = {t.name: np.full((sum(lengths), t.width), -1, np.int8) for t in tasks}
    for task, own in zip(tasks, sources, strict=True):
        labels[task.name][own] = 1
    annotations = Annotations(tasks, labels)
    mixture = sampler("labels", sources, 60, 0, annotations)
    names = [task.name for task in tasks]
    frame = BatchShares(annotations, owners(lengths, sources), names, mixture, 60).to_frame()
    elements = frame[names].iloc[-1]
    assert elements.max() / elements.min() < 1.03


def test_sources_that_label_the_same_share_it_by_their_rows():
    labels = Annotations((TASK, Binary("sick")), {
        "species": np.repeat([0, 1, -1], [30, 10, 60]),
        "sick": np.repeat([-1, 1], [40, 60])[:, None].astype(np.int8),
    })  # fmt: skip
    shares = label_shares(np.split(np.arange(100), [30, 40]), labels)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] > 1.5 * shares[1] > 0
    assert shares[:2].sum() == pytest.approx(0.5, abs=0.01)


@given(sparse_annotations(), st.sampled_from(["equal", "proportional", "round_robin", "labels"]))
def test_balanced_classes_are_drawn_equally_often(case, name):
    annotations, sources = case
    mixture = sampler({name: {"balance": "species"}}, sources, 32, 0, annotations)
    weights = row_weights(mixture, len(annotations))
    plain = row_weights(sampler(name, sources, 32, 0, annotations), len(annotations))
    assert weights.sum() == pytest.approx(1)
    codes = annotations.labels["species"]
    for rows in sources:
        # of a source, neither its share nor that of its labelled rows changes
        assert weights[rows].sum() == pytest.approx(plain[rows].sum())
        seen = [c for c in range(3) if (codes[rows] == c).any()]
        parts = [weights[rows][codes[rows] == c].sum() for c in seen]
        assert parts == pytest.approx([np.mean(parts)] * len(seen) if seen else [])
        labelled = codes[rows] >= 0
        assert weights[rows][labelled].sum() == pytest.approx(plain[rows][labelled].sum())


@names
@given(lengths=sizes, batch_size=batch_sizes, number=st.integers(1, 4))
@settings(max_examples=10)
def test_processes_take_the_rows_of_one_batch_apart(name, lengths, batch_size, number):
    """So over all processes an epoch holds the rows that it holds in one process."""
    sources = split(lengths)
    draws = [drawn(name, sources, batch_size, 0) for _ in range(number)]
    for step in range(3):
        parts = [draw(step)[index::number] for index, draw in enumerate(draws)]
        assert sorted(np.concatenate(parts)) == sorted(drawn(name, sources, batch_size, 0)(step))


def test_batch_shares_are_what_the_batches_hold():
    rng = np.random.default_rng(0)
    labels = Annotations((TASK, Binary("sick")), {
        "species": np.where(rng.random(90) < 0.5, rng.integers(0, 3, 90), -1),
        "sick": np.where(rng.random((90, 1)) < 0.2, 1, -1).astype(np.int8),
    })  # fmt: skip
    source = np.repeat([0, 1], [70, 20])
    for choice in CHOICES:
        mixture = sampler(choice, [np.arange(70), np.arange(70, 90)], 16, 0, labels)
        shares = BatchShares(labels, source, ["one", "two"], mixture, 16)
        rows = np.concatenate([mixture(step) for step in range(700)])
        for index, line in shares.to_frame().iloc[:2].iterrows():
            own = rows[source[rows] == index]
            assert len(own) / len(rows) == pytest.approx(line["share"], abs=0.01)
            for task in ("species", "sick"):
                found = labels.labelled(task)[own].sum() / 700
                assert found == pytest.approx(line[task], abs=0.1)
        assert "one" in shares.render()


# batches ------------------------------------------------------------------------------------------


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

"""Training and prediction on a Parquet file that stays on disk."""

from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from labelweave import Binary, Multiclass
from labelweave.data._streamed import BlockShuffled
from labelweave.errors import LabelweaveError
from labelweave.fitting import FitConfig, fit_parquet
from labelweave.model import Model
from labelweave.serving import predict_parquet, prediction_table
from labelweave.tables import ParquetTable, read_cells

TASKS = [Multiclass("kind"), Binary("high")]


def config(**training: object) -> FitConfig:
    network = {"hidden": [16], "dropout": 0.0}
    return FitConfig.model_validate({"network": network, "training": {"batch_size": 64} | training})


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,030 rows in groups of 100: numbers with gaps, a category, a third of the kinds missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1030, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["colour"] = np.where(x[:, 0] > 0, "red", "blue")
    frame["kind"] = np.array(["u", "v", "w"])[x.argmax(axis=1)]
    frame.loc[::3, "kind"] = None
    frame["high"] = (x[:, 1] > 0).astype(int)
    frame.loc[frame.index % 7 == 0, "c"] = None
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.to_parquet(path, row_group_size=100)
    return path


@pytest.mark.parametrize("buffer", [1, 250, 10**6])
def test_an_epoch_has_every_row_once_and_each_block_few_row_groups(buffer: int) -> None:
    groups = np.array([100, 0, 30, 250, 7, 100])
    sampler = BlockShuffled(groups, 50, seed=1, buffer=buffer)
    drawn = np.concatenate([sampler(step) for step in range(2 * 487)])  # 2 x 50 x 487 rows
    for epoch in drawn.reshape(-1, 487)[:3]:
        assert np.array_equal(np.sort(epoch), np.arange(487))
    assert not np.array_equal(drawn[:487], drawn[487:974])
    blocks, ends = sampler.blocks(0)
    assert ends[-1] == 487
    assert all(groups[block].sum() < buffer + groups.max() for block in blocks)
    again = BlockShuffled(groups, 50, seed=1, buffer=buffer)
    assert np.array_equal(again(400), sampler(400))
    assert not np.array_equal(BlockShuffled(groups, 50, seed=2, buffer=buffer)(0), sampler(0))


def test_it_learns_and_the_same_seed_gives_the_same_model(rows: Path, tmp_path: Path) -> None:
    settings = config(epochs=8, learning_rate=0.02)
    model = fit_parquet(rows, TASKS, settings, sample=500, buffer=300)
    frame = pd.read_parquet(rows)
    inputs = frame.drop(columns=["kind", "high"])
    assert model.tasks[0].names == ("u", "v", "w")
    found = model.predict(inputs)
    assert (found["high"] == frame["high"]).mean() > 0.9
    again = fit_parquet(rows, TASKS, settings, sample=500, buffer=300)
    assert np.array_equal(again.predict_proba(inputs)["kind"], model.predict_proba(inputs)["kind"])
    shares = frame["kind"].value_counts(normalize=True).sort_index().to_numpy()
    assert np.allclose(model.priors["population"]["kind"], shares, atol=0.002)
    model.save(tmp_path / "model")
    assert (
        predict_parquet(Model.load(tmp_path / "model"), rows, tmp_path / "p.parquet", rows=250)
        == 1030
    )
    written = pd.read_parquet(tmp_path / "p.parquet")
    whole = prediction_table(model, read_cells(rows))
    assert list(written.columns) == list(whole.columns)
    assert np.allclose(written["kind=u"], whole["kind=u"], atol=1e-6)
    assert (written["kind predicted"] == whole["kind predicted"]).all()


def test_an_address_of_fsspec_gives_the_same_as_a_file(rows: Path) -> None:
    with fsspec.open("memory://labelweave/rows.parquet", "wb") as file:
        file.write(rows.read_bytes())
    here, there = (
        fit_parquet(path, TASKS, config(steps=3))
        for path in (rows, "memory://labelweave/rows.parquet")
    )
    inputs = pd.read_parquet(rows).drop(columns=["kind", "high"])
    assert np.array_equal(here.predict_proba(inputs)["kind"], there.predict_proba(inputs)["kind"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "http://a/b.parquet",
            "http://a/b.parquet: found the protocol 'http', expected 's3', 'gs', 'memory', or a "
            "file of this machine",
        ),
        ("none.parquet", "none.parquet: no such file"),
        ("memory://none.parquet", "memory://none.parquet: no such file"),
        ("text.parquet", "text.parquet: not a readable Parquet file"),
        ("empty.parquet", "empty.parquet: found no data rows, expected at least one"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.parquet").write_text("a,b\n1,2\n")
    pd.DataFrame({"a": []}).to_parquet("empty.parquet")
    with pytest.raises(LabelweaveError) as caught:
        ParquetTable(path)
    assert str(caught.value) == message


def test_a_row_group_that_is_too_large_is_refused(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labelweave.tables._parquet.LARGEST_GROUP", 100)
    with pytest.raises(LabelweaveError, match=r"found a row group of [\d,]+ bytes, expected at mo"):
        ParquetTable(rows)


def test_settings_and_tasks_that_do_not_fit_are_one_line(rows: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelweaveError, match=r"^a table on disk: found training.sampling or pat"):
        fit_parquet(rows, TASKS, config(sampling="equal"))
    with pytest.raises(LabelweaveError, match=r"no label column, expected some of 'size'$"):
        fit_parquet(rows, [Multiclass("size")])
    with pytest.raises(LabelweaveError, match=r"found ending '.txt', expected .csv or .parquet$"):
        predict_parquet(fit_parquet(rows, TASKS, config(steps=1)), rows, tmp_path / "p.txt")

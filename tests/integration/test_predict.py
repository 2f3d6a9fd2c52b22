import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from study_example import tables

from labelweave.errors import LabelweaveError
from labelweave.fitting._opening import find_model
from labelweave.model import Model
from labelweave.serving._prediction import prediction_table

COLUMNS = [
    "kind predicted", "kind=bolt", "kind=disc", "kind=ring",
    "form=round predicted", "form=hole predicted", "form=round", "form=hole",
]  # fmt: skip
PRIOR = "prior: training (the shares among the labelled training rows)\n"


@pytest.fixture(scope="module")
def folder(trained_copy: Path) -> Path:
    """Return the results of a study with a new table, ``new.csv``, next to them."""
    output = trained_copy.parent / "runs" / "parts"
    tables(20, seed=9)[0].drop(columns="kind").to_csv(output / "new.csv", index=False)
    return output


def test_a_table_of_probabilities_equals_the_models_own(folder: Path, cli: CommandLine) -> None:
    new = folder / "new.csv"
    answer = cli("predict", folder, new, "--method", "full", "--seed", 2)
    assert (answer.code, answer.err) == (0, PRIOR)
    table = pd.read_csv(StringIO(answer.out))
    assert list(table) == COLUMNS
    model = find_model(folder, "full", 2)
    given = model.predict_proba(pd.read_csv(new))
    assert np.allclose(table[COLUMNS[1:4]], given["kind"], atol=1e-6)
    assert np.allclose(table[COLUMNS[6:]], given["form"], atol=1e-6)
    assert table["kind predicted"].tolist() == model.predict(pd.read_csv(new))["kind"].tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_written_by_its_ending(
    suffix: str, folder: Path, cli: CommandLine, tmp_path: Path
) -> None:
    out = tmp_path / f"predicted.{suffix}"
    arguments = [folder, folder / "new.csv", "--method", "full", "--no-labels"]
    assert cli("predict", *arguments, "--out", out) == (0, "", PRIOR)
    read = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    assert list(read) == [name for name in COLUMNS if "predicted" not in name]
    expected = pd.read_csv(StringIO(cli("predict", *arguments).out))
    assert np.allclose(read, expected, atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_a_models_folder_will_do(folder: Path, cli: CommandLine, tmp_path: Path) -> None:
    find_model(folder, "single_task", 1).save(tmp_path)
    of_model = cli("predict", tmp_path, folder / "new.csv")
    of_study = cli("predict", folder, folder / "new.csv", "--method", "single_task")
    assert of_model.code == 0
    assert of_model == of_study


def test_the_recommended_method_is_taken_by_itself(folder: Path, cli: CommandLine) -> None:
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    chosen = cli(
        "predict", folder, folder / "new.csv", "--method", results["recommendation"]["method"]
    )
    assert cli("predict", folder, folder / "new.csv") == chosen


def test_bad_input_gives_one_line(folder: Path, cli: CommandLine, tmp_path: Path) -> None:
    new = folder / "new.csv"
    trees = "strong_single_task"  # keeps no model that predicts new rows
    with_model = sorted({file.parent.name.split("-")[0] for file in folder.glob("runs/*/model")})
    assert trees not in with_model
    expected = ", ".join(f"'{name}'" for name in with_model)
    assert cli.refused("predict", folder, new, "--method", "fulll") == (
        f"{folder}: no model of method 'fulll', expected {expected}; did you mean 'full'?"
    )
    assert cli.refused("predict", folder, new, "--method", trees) == (
        f"{folder}: no model of method '{trees}', expected {expected}; did you mean 'single_task'?"
    )
    assert cli.refused("predict", folder, new, "--method", "full", "--seed", 5) == (
        f"{folder}: no model of seed 5, expected one of [1, 2]"
    )
    assert cli.refused("predict", tmp_path, new) == (
        f"{tmp_path}: found neither model.json nor results.json, expected a model's folder or the "
        "results folder of a study"
    )
    (run,) = folder.glob("runs/full-seed1-*")
    assert cli.refused("predict", run, new).endswith(f"; did you mean {run / 'model'}?")
    assert cli.refused("predict", folder, new, "--out", tmp_path / "p.xlsx") == (
        f"{tmp_path / 'p.xlsx'}: found ending '.xlsx', expected .csv or .parquet"
    )
    assert cli.refused("predict", folder, new, "--out", tmp_path / "no" / "p.csv") == (
        f"{tmp_path / 'no' / 'p.csv'}: no folder '{tmp_path / 'no'}' to write to"
    )
    lacking = tmp_path / "lacking.csv"
    pd.read_csv(new).rename(columns={"width": "wide"}).to_csv(lacking, index=False)
    assert cli.refused("predict", folder, lacking) == (
        f"{lacking}: no input column 'width', found 'length', 'wide', 'weight', 'noise', 'colour'; "
        "did you mean 'wide'?"
    )
    wrong = tmp_path / "wrong.csv"
    pd.read_csv(new).assign(width="thick").to_csv(wrong, index=False)
    assert cli.refused("predict", folder, wrong) == (
        f"{wrong}: row 1, column 'width': found 'thick', expected a number"
    )


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"runs": 3}'])
def test_damaged_results_give_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(LabelweaveError) as error:
        find_model(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'results.json'}: ")
    assert "\n" not in str(error.value)


def test_a_prediction_table_has_the_rows_of_its_inputs(folder: Path) -> None:
    model: Model = find_model(folder, "full")
    new = pd.read_csv(folder / "new.csv")
    whole, part = prediction_table(model, new), prediction_table(model, new[5:8])
    assert len(whole) == 20
    pd.testing.assert_frame_equal(part, whole[5:8], atol=1e-6)

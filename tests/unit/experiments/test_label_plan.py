import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from numpy.testing import assert_allclose
from report_example import recommended
from study_example import write_study
from test_label_curves import law, replicates

from labelweave.experiments import Study, _active_learning
from labelweave.experiments._active_learning import (
    RowScores,
    left_uncertain,
    row_scores,
    rows_to_label,
    task_plan,
)
from labelweave.experiments._label_curves import (
    Point,
    TaskCurve,
    task_curve,
    tasks_that_save,
    total_saved,
)
from labelweave.experiments._sections import PricesSection
from labelweave.experiments._value import with_value
from labelweave.fitting import Split
from labelweave.relations import TaskPair
from labelweave.relations._graph import order_tasks
from labelweave.results import Cell, Results, TaskFacts


def curve(target: float, scale: float = 1.0) -> TaskCurve:
    numbers = np.array([20.0, 50, 100, 200])
    return task_curve(
        [Point(n * scale, n / 100, replicates(float(law(n)), i)) for i, n in enumerate(numbers)],
        replicates(target, 9),
    )


def test_the_steepest_curve_comes_first_and_a_price_changes_that() -> None:
    curves = {"flat": curve(float(law(150)), 10), "steep": curve(float(law(50)))}
    plan = task_plan(curves, None, 0.95)
    assert [task.task for task in plan] == ["steep", "flat"]
    assert [task.rank for task in plan] == [1, 2]
    gain = plan[0].gain_per_100
    assert gain.low <= gain.mean <= gain.high
    assert 0.02 < gain.mean < 0.12, "from about 50 to about 150 labels"
    prices = PricesSection(label={"flat": 0.01, "steep": 100})
    priced = task_plan(curves, prices, 0.95)
    assert [task.task for task in priced] == ["flat", "steep"]
    assert_allclose(priced[1].gain_per_price, gain.mean / (100 * 100))


def far(n: int) -> np.ndarray:
    """Return features of which all are as far from each other."""
    return np.eye(n)


def scored(split: Split, given: dict[str, np.ndarray]) -> dict[str, RowScores]:
    return row_scores(split, lambda rows: {name: p[rows] for name, p in given.items()})


def test_rows_scored_some_at_a_time_have_the_scores_of_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Study.from_file(write_study(tmp_path)).first_split()
    n, generator = len(split.train.index), np.random.default_rng(0)
    given = {"kind": generator.dirichlet([1, 1, 1], n), "form": generator.random((n, 2))}
    whole = scored(split, given)
    sizes = []

    def predict(rows: slice) -> dict[str, np.ndarray]:
        sizes.append(len(given["kind"][rows]))
        return {name: p[rows] for name, p in given.items()}

    monkeypatch.setattr(_active_learning, "CELLS", 5 * 7)  # 3 classes and 2 labels
    parts = row_scores(split, predict)
    assert max(sizes) == 7
    assert sum(sizes) == n
    for name, expected in whole.items():
        for values, same in zip(parts[name], expected, strict=True):
            np.testing.assert_array_equal(values, same)
        known = split.train.annotations.labelled(name)
        assert not expected.entropy[known].any()
        assert expected.entropy[~known].all()
    assert left_uncertain(split, parts) == left_uncertain(split, whole)
    row_scores(split, predict, at_once=True)
    assert sizes[-1] == n


def test_the_rows_named_lack_the_label_and_say_where_they_stand(tmp_path: Path) -> None:
    study = Study.from_file(write_study(tmp_path))
    split, collection = study.first_split(), study.data.collection
    n = len(split.train.index)
    lacking = np.flatnonzero(~split.train.annotations.labelled("kind"))
    kind, form = np.tile([0.98, 0.01, 0.01], (n, 1)), np.full((n, 2), 0.02)
    kind[lacking[3]] = 1 / 3  # nothing known
    kind[lacking[5]] = [0.01, 0.01, 0.98]  # a ring, but its form says bolt
    given = {"kind": kind, "form": form}
    table = rows_to_label(
        split, scored(split, given), far(n), collection, {"kind": 1.0, "form": 0.0}, 2
    )
    assert list(table.columns) == ["source", "row", "task", "score", "why"]
    assert set(table["task"]) == {"kind"}
    assert dict(zip(table["why"], table["row"], strict=True)).keys() == {"entropy", "disagreement"}
    for why, place in (("entropy", lacking[3]), ("disagreement", lacking[5])):
        row = table[table["why"] == why].iloc[0]
        named = f"row {row['row']} of source '{row['source']}'"
        assert named == collection.place(int(split.train.index[place]))
        assert pd.read_csv(tmp_path / "b.csv")["kind"].isna()[row["row"] - 1]


def test_tasks_share_the_rows_and_no_row_is_named_twice(tmp_path: Path) -> None:
    study = Study.from_file(write_study(tmp_path))
    split = study.first_split()
    n, generator = len(split.train.index), np.random.default_rng(0)
    given = {"kind": generator.dirichlet([1, 1, 1], n), "form": generator.random((n, 2))}
    collection = study.data.collection
    table = rows_to_label(
        split, scored(split, given), far(n), collection, {"kind": 3.0, "form": 1.0}, 20
    )
    assert table["task"].value_counts().to_dict() == {"kind": 15, "form": 5}
    assert not table.duplicated(["source", "row", "task"]).any()
    for _, part in table.groupby("task"):
        assert (part["score"].diff().dropna() <= 0).all()
        assert part["score"].between(0, 1).all()
    everything = rows_to_label(
        split, scored(split, given), far(n), collection, {"kind": 1.0, "form": 1.0}, 10_000
    )
    lacking = sum((~split.train.annotations.labelled(t)).sum() for t in ("kind", "form"))
    assert len(everything) == lacking


def test_a_task_that_another_determines_weighs_little(tmp_path: Path) -> None:
    split = Study.from_file(write_study(tmp_path)).first_split()
    n = len(split.train.index)
    open_rows = {"kind": np.full((n, 3), 1 / 3), "form": np.full((n, 2), 0.5)}
    both = left_uncertain(split, scored(split, open_rows))
    assert 0 < both["kind"] <= np.log(3) + 1e-9
    assert 0 < both["form"] <= 2 * np.log(2) + 1e-9
    sure = np.eye(3)[np.zeros(n, np.int64)] * 0.998 + 0.001 * (1 - np.eye(3)[0])
    known = left_uncertain(split, scored(split, {"kind": sure, "form": open_rows["form"]}))
    assert known["kind"] < 0.05 * both["kind"]
    assert known["form"] < 0.1 * both["form"], "the table says which form a kind has"


def pair(receiver: str, giver: str, gain: float) -> TaskPair:
    return TaskPair(receiver, giver, gain, 0.5, 10, 10, f"{giver}->{receiver}", f"{giver} helps")


def test_the_next_task_is_the_one_that_adds_most_to_those_before() -> None:
    ranking = [
        pair("a", "b", 0.9), pair("c", "d", 0.5), pair("a", "c", 0.2), pair("b", "d", 0.15),
        pair("d", "a", 0.1), pair("e", "f", 0.0),
    ]  # fmt: skip
    order = order_tasks(ranking, ["a", "b"])
    assert [each.task for each in order][:2] == ["d", "c"]
    assert order[0].gain == pytest.approx(0.25)
    assert order[1].gain == pytest.approx(0.7), "d stands before it now"
    assert order[0].reason == "d helps"
    assert {each.task: each.gain for each in order[2:]} == {"e": 0, "f": 0}


def test_run_names_as_many_rows_as_asked_for_and_no_money_without_prices(
    tmp_path: Path, cli: CommandLine
) -> None:
    sources = [{"path": f"{name}.csv", "name": f"@{name}"} for name in "ab"]
    path = write_study(tmp_path, training={"steps": 5, "batch_size": 32}, sources=sources)
    answer = cli("run", path, "--jobs", 1, "--label-next", 7)
    assert answer.code == 0
    rows = pd.read_csv(tmp_path / "runs/parts/label_next.csv")
    assert len(rows) == 7
    assert set(rows["source"]) <= {"'@a", "'@b"}, "a spreadsheet runs no name as a formula"
    assert cli("run", path, "--jobs", 1, "--label-next", 7, "--formulas").code == 0
    plain = pd.read_csv(tmp_path / "runs/parts/label_next.csv")
    assert plain["source"].tolist() == [name[1:] for name in rows["source"]]
    assert "Undecided: " in answer.out
    results = json.loads((tmp_path / "runs/parts/results.json").read_text(encoding="utf-8"))
    assert results["money"] is None
    assert results["label_curves"] == {}
    figures = {figure["key"]: figure for figure in results["recommendation"]["figures"]}
    assert figures["labels"]["mean"] is None
    assert figures["cost"]["unit"] == "times the rows per second"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["gain", "no difference"], "join"),
        (["gain", "not enough data"], "join"),
        (["gain", "negative transfer"], "do not join"),
        (["negative transfer", "not enough data"], "do not join"),
        (["no difference", "no difference"], "no gain shown"),
        (["no difference", "not enough data"], "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_tasks(words: list[Any], verdict: str) -> None:
    change = {"accuracy": Cell(0.1, 0.05, 0.15)}
    results = recommended(
        Results(
            "parts",
            (TaskFacts("a", "accuracy"), TaskFacts("b", "accuracy")),
            {"full": {"a": change, "b": change}},
            verdicts={"full": dict(zip("ab", words, strict=True))},
            differences={"full": {"a": change, "b": change}},
            seeds=(0, 1),
        )
    )
    found = with_value(results, "full", [], {}, 0.95)
    assert found.verdict == verdict
    assert [figure.key for figure in found.figures] == ["accuracy", "labels", "cost"]
    assert found.of_best is not None
    gains = tuple(name for name, word in zip("ab", words, strict=True) if word == "gain")
    assert found.of_best.gains == gains


def test_only_savings_that_are_shown_are_added_up() -> None:
    sure, unsure = curve(float(law(900))), curve(float(law(100)))
    curves = {"sure": sure, "unsure": unsure}
    assert tasks_that_save(curves, 0.95) == ["sure"]
    total = total_saved(curves, {"sure": 2.0, "unsure": 5.0}, 0.95)
    missing = min(sure.needed[0], sure.curve.limit) - sure.has
    assert total.mean == pytest.approx(2 * missing)
    assert total_saved(curves, {"unsure": 5.0}, 0.95) is None

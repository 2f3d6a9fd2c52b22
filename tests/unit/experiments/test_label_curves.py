import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.isotonic import isotonic_regression
from study_example import as_json, content, write_study

from labelweave.annotations import Annotations
from labelweave.data._label_masking import label_order
from labelweave.errors import LabelweaveError
from labelweave.evaluation import TestResult
from labelweave.evaluation._comparison import Replicates
from labelweave.evaluation._label_curves import (
    LabelCurve,
    interval,
    mean_draws,
    monotone,
    power_law,
)
from labelweave.experiments import Study, parse_study
from labelweave.experiments._label_curves import Point, curve_splits, shown_curve, task_curve
from labelweave.results import plain
from labelweave.tasks import Multiclass, Multilabel

LABELS = np.array([10.0, 20, 40, 80, 100])
A, B, C = 0.95, 1.2, 0.5


def law(n: Any) -> Any:
    return A - B * np.asarray(n, dtype=float) ** -C


@pytest.mark.parametrize("seed", range(5))
def test_monotone_agrees_with_scikit_learn(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(20, 7))
    assert_allclose(monotone(values), [isotonic_regression(row) for row in values], atol=1e-12)


def test_a_known_power_law_is_found() -> None:
    a, b, c = (float(part[0]) for part in power_law(LABELS, law(LABELS)[None]))
    assert_allclose([a, b, c], [A, B, C], rtol=0.05)


@pytest.mark.parametrize("n", [15.0, 55.0, 100.0, 400.0, 900.0])
def test_the_labels_of_a_known_curve_are_read_back(n: float) -> None:
    curve = LabelCurve(LABELS, law(LABELS)[None], 1000.0)
    assert_allclose(curve(np.array([n]))[0, 0], law(n), atol=0.004)
    today = np.array([float(law(100))])
    assert_allclose(curve.needed(np.array([float(law(n))]), today, 100)[0], n, rtol=0.1)


def test_the_curve_passes_through_its_points_never_falls_and_stays_below_1() -> None:
    values = np.array([[0.2, 0.7, 0.9, 0.97, 0.99]])
    curve = LabelCurve(LABELS, values, 10_000.0)
    assert_allclose(curve(LABELS), values)
    drawn = curve(np.geomspace(1, 10_000, 300))[0]
    assert (np.diff(drawn) >= -1e-12).all()
    assert drawn.max() <= 1
    assert drawn[0] == 0.2
    assert np.isinf(curve.needed(np.array([1.5]), np.array([0.99]), 100)[0])
    assert_allclose(curve.needed(np.array([0.1]), np.array([0.99]), 100), [10])


def test_on_a_flat_curve_as_good_saves_nothing_and_better_is_never_reached() -> None:
    curve = LabelCurve(LABELS, np.full((3, 5), 0.8), 1000.0)
    needed = curve.needed(np.array([0.8, 0.81, 0.79]), np.full(3, 0.8), 100)
    assert_allclose(needed, [100, np.inf, 10])


def test_draws_have_the_mean_the_rows_and_students_t() -> None:
    values = np.array([0.6, 0.7, 0.8])
    same = np.repeat(values[:, None], 4000, axis=1)
    draws = mean_draws(values, same)
    assert draws[0] == pytest.approx(0.7)
    low, high = interval(draws, 0.95)
    half = 4.303 * 0.1 / np.sqrt(3)  # Student's t of two degrees of freedom
    assert low is not None
    assert high is not None
    assert_allclose([low, high], [0.7 - half, 0.7 + half], atol=0.04)
    rows = np.random.default_rng(0).normal(0.7, 0.02, size=(1, 4000))
    assert_allclose(interval(mean_draws(np.array([0.7]), rows), 0.95), [0.66, 0.74], atol=0.005)
    assert interval(np.array([1.0, np.inf, np.inf]), 0.9) == (1.0, None)


def replicates(mean: float, seed: int, runs: int = 5, rows: int = 400) -> Replicates:
    """A binary task's runs, right on a share of `mean` of the rows."""
    generator = np.random.default_rng(seed)
    results = []
    for _ in range(runs):
        labels = generator.integers(2, size=rows)
        right = generator.random(rows) < mean
        p = np.eye(2)[np.where(right, labels, 1 - labels)]
        results.append(TestResult(p, labels))
    return Replicates(Multiclass("kind", ("a", "b")), results, 200)


def points(seed: int = 0) -> list[Point]:
    return [
        Point(float(n), n / 100, replicates(float(law(n)), seed * 10 + i))
        for i, n in enumerate(LABELS)
    ]


def test_the_needed_labels_of_a_noisy_known_curve_lie_in_the_interval() -> None:
    inside = 0
    for seed in range(4):
        found = task_curve(points(seed), replicates(float(law(300)), 99 + seed))
        low, high = interval(found.needed, 0.95)
        inside += (low or 0) <= 300 <= (high or np.inf)
        assert found.has == 100
    assert inside >= 3


@pytest.mark.parametrize("mean", [0.5, 0.7, 0.8])
def test_a_joint_method_that_is_no_better_saves_nothing(mean: float) -> None:
    found = task_curve(points(), replicates(mean, 7))
    assert found.needed[0] <= 100
    shown = shown_curve(found, "full", parse_study(content()))
    assert shown.saved is not None
    assert (shown.saved.mean or 0) <= 0
    assert shown.beyond is None
    json.dumps(plain(shown), allow_nan=False)


def test_what_the_curve_does_not_reach_is_not_reported() -> None:
    flat = [Point(float(n), n / 100, replicates(0.8, 3)) for n in LABELS]
    found = task_curve(flat, replicates(0.99, 7))
    shown = shown_curve(found, "full", parse_study(content()))
    assert shown.needed.mean is None
    assert shown.saved is None
    assert shown.beyond == 1000
    assert str(shown.note) == "not reached with 1,000 labels, the limit of the extrapolation"
    json.dumps(plain(shown), allow_nan=False)


def test_every_beginning_of_the_order_has_its_share_of_every_class() -> None:
    codes = np.repeat(np.arange(4), [200, 100, 60, 40])
    both = Multilabel("form", ("round", "hole"))
    labels = Annotations(
        (Multiclass("kind", ("a", "b", "c", "d")), both),
        {"kind": codes, "form": np.stack([codes == 3, codes >= 1], axis=1).astype(np.int8)},
    )
    source = np.arange(400) % 2
    for name in ("kind", "form"):
        order = label_order(labels, name, np.arange(400), source, 0)
        assert sorted(order) == list(range(400))
        for share in (0.1, 0.5):
            taken = order[: int(400 * share)]
            kept = np.bincount(codes[taken], minlength=4)[3]
            assert abs(kept - 40 * share) <= 2
            assert abs(source[taken].mean() - 0.5) < 0.06
    other = label_order(labels, "kind", np.arange(400), source, 1)
    assert not np.array_equal(other, label_order(labels, "kind", np.arange(400), source, 0))


def test_shares_are_nested_and_hidden_labels_go_beyond(tmp_path: Path) -> None:
    scatter = [
        {"name": "few", "tasks": ["kind"], "per_class": 3},
        {"name": "rest", "tasks": ["form"]},
    ]
    study = Study.from_file(write_study(tmp_path, scatter=scatter))
    split = study.first_split()
    found = curve_splits(split, [0.2, 0.5, 1.0])
    assert [each.share for each in found] == [0.2, 0.5, 2, 4, 10, np.inf]
    before = split.train.annotations.labelled("kind")
    last = np.zeros_like(before)
    for each in found:
        kind = each.split.train.annotations.labelled("kind")
        assert kind.sum() == each.labels["kind"]
        assert (kind >= last).all()
        assert (kind <= before).all() if each.share < 1 else (kind >= before).all()
        assert np.array_equal(each.split.test.index, split.test.index)
        last = kind
        assert each.split.relations == ()
    assert found[0].labels == {"kind": 2, "form": round(0.2 * study_labels(split, "form"))}
    assert "form" not in found[-1].labels, "hardly more labels are no point"


def study_labels(split: Any, name: str) -> int:
    return int(split.train.annotations.labelled(name).sum())


def test_a_study_reports_its_curves_and_repeats_no_training(tmp_path: Path) -> None:
    prices = {"label": {"kind": 2.5}, "hour": 0.35, "predictions_a_year": 5e6}
    training = {"steps": 10, "batch_size": 32}
    path = write_study(
        tmp_path, label_curves={"shares": [0.3]}, seeds=2, prices=prices, training=training
    )
    results = as_json(Study.from_file(path).run(jobs=1, progress=False))
    for name, curve in results["label_curves"].items():
        assert curve["method"] == "full"
        shares = [point["share"] for point in curve["points"]]
        assert shares == pytest.approx([0.3, 1.0], abs=0.01)
        today = curve["points"][-1]
        metric = results["methods"]["single_task"][name][curve["metric"]]
        assert today["mean"] == metric["mean"]
        assert abs(today["labels"] - curve["has"]) <= 0.5
        assert len(curve["fit"]) == 40
        values = [value for _, value in curve["fit"]]
        assert values == sorted(values)
    money = results["money"]
    assert money["labels"]["kind"]["price"] == 2.5
    assert "form" not in money["labels"]
    costs = results["running"]
    if costs["ratio"]["throughput"]["mean"] is None:  # a busy machine
        assert money["running"] is None
    else:
        assert money["running"]["single"] == pytest.approx(
            5e6 / costs["single"]["rows_per_second"] / 3600 * 0.35
        )
    assert (costs["joint"]["networks"], costs["single"]["networks"]) == (1, 2)
    assert costs["joint"]["parameters"] < costs["single"]["parameters"]
    assert 0 < costs["ratio"]["disk"]["mean"] < 1
    joint = costs["joint"]  # the hidden layer's activation: 256 rows of 16 in, 16 out
    assert joint["memory_mb"] * 1e6 == 4 * (joint["parameters"] + 256 * 32)
    for taken in joint["latency_ms"].values():
        assert 0 < taken["p10"] <= taken["p50"] <= taken["p95"]
    written = json.loads((tmp_path / "runs/parts/results.json").read_text(encoding="utf-8"))
    assert written == results
    again = as_json(Study.from_file(path).run(jobs=1, progress=False))
    assert {k: v for k, v in again.items() if k != "created"} == {
        k: v for k, v in results.items() if k != "created"
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"prices": {"label": {"kinds": 1}}},
            "key 'prices.label': no task 'kinds', expected 'kind', 'form'; did you mean 'kind'?",
        ),
        (
            {"label_curves": {"method": "ful"}},
            "key 'label_curves.method': method 'ful' is not compared, expected 'single_task', "
            "'full'; did you mean 'full'?",
        ),
        (
            {"label_curves": {"shares": [1.5]}},
            "key 'label_curves.shares': found the share 1.5, expected above 0 and at most 1",
        ),
        (
            {"prices": {"label": {"kind": -1}}},
            "key 'prices.label': found the price -1.0 for 'kind', expected 0 to 1e+12",
        ),
        (
            {"prices": {"hour": 1}},
            "key 'prices': found 'hour' without 'predictions_a_year', expected both or neither",
        ),
        ({"only": ["kinds"]}, "key 'only': no task 'kinds', expected 'kind', 'form'; did you mean "
         "'kind'?"),
    ],
)  # fmt: skip
def test_bad_settings_give_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_study(tmp_path, **changes)
    with pytest.raises(LabelweaveError) as error:
        Study.from_file(path)
    assert str(error.value).removeprefix(f"{path}: ") == message

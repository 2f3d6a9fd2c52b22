import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import CommandLine
from scipy import stats
from study_example import tables

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.serving import _monitor as monitor_module
from labelweave.serving import _reference as reference_module
from labelweave.serving import monitor
from labelweave.serving._monitor import Signal


def rows(count: int = 300, seed: int = 9) -> pd.DataFrame:
    return tables(count, seed=seed)[0].drop(columns="kind")


def alarms(model: Path, batch: pd.DataFrame) -> set[tuple[str, str]]:
    return {(signal.kind, signal.name) for signal in monitor(model, batch).alarms}


def test_healthy_batches_raise_few_alarms(network: Path) -> None:
    model = labelweave.load(network)
    raised = sum(bool(monitor(model, rows(60, seed)).alarms) for seed in range(100, 150))
    assert raised <= 3, "1 in 100 at most, and 3 of 50 with a probability of 0.998"


def test_each_fault_raises_the_alarm_that_names_it(network: Path) -> None:
    offset = rows().assign(weight=lambda frame: frame["weight"] + 3)
    assert ("values", "weight") in alarms(network, offset)
    units = rows().assign(length=lambda frame: frame["length"] * 1000)
    assert ("values", "length") in alarms(network, units)
    assert any("1000 times as large" in note for note in monitor(network, units).notes)
    gaps = rows()
    gaps.loc[gaps.index % 5 == 0, "width"] = np.nan
    assert alarms(network, gaps) == {("missing", "width")}
    colours = rows().assign(colour="green")
    assert ("values", "colour") in alarms(network, colours)
    bolts = tables(900, seed=9)[0].query("kind == 'bolt'").drop(columns="kind")
    assert {("labels", "kind"), ("labels", "form=hole")} <= alarms(network, bolts)


def test_a_fault_of_one_task_is_seen_as_contradiction(network: Path, tmp_path: Path) -> None:
    model = labelweave.load(network)
    before = monitor(model, rows())
    assert not before.alarms
    proba = type(model.model).typed_proba

    def swapped(self: object, typed: pd.DataFrame, *args: object) -> object:
        found = proba(self, typed, *args)  # type: ignore[arg-type]
        return found | {"kind": found["kind"][:, [2, 0, 1]]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.model), "typed_proba", swapped)
        found = monitor(model, rows())
    assert ("contradiction", "kind->form") in {(each.kind, each.name) for each in found.alarms}
    assert not {each.kind for each in found.alarms} & {"values", "missing"}


def test_expected_accuracy_is_near_the_true_one_without_labels(network: Path) -> None:
    labelled = tables(3000, seed=77)[0]
    batch = labelled.drop(columns="kind")
    found = {task.task: task for task in monitor(network, batch).tasks}
    truth = (labelweave.load(network).predict(batch)["kind"] == labelled["kind"]).mean()
    assert found["kind"].accuracy == pytest.approx(truth, abs=0.1)
    noisy = batch.assign(length=0.0, width=0.0)
    again = {task.task: task for task in monitor(network, noisy).tasks}
    fallen = (labelweave.load(network).predict(noisy)["kind"] == labelled["kind"]).mean()
    assert fallen < truth - 0.1
    assert (again["kind"].accuracy or 1) < (found["kind"].accuracy or 0) - 0.03


def test_labels_of_the_batch_are_compared_with_the_predictions(
    network: Path, tmp_path: Path, cli: CommandLine
) -> None:
    labelled = tables(300, seed=9)[0]
    found = monitor(network, labelled)
    kind = {task.task: task for task in found.tasks}["kind"]
    truth = (labelweave.load(network).predict(labelled)["kind"] == labelled["kind"]).mean()
    assert (kind.measured, kind.labels) == (pytest.approx(truth), 300)
    assert not found.alarms
    words = {"ring": "bolt", "bolt": "ring"}
    swapped = labelled.assign(kind=labelled["kind"].replace(words))
    (alarm,) = monitor(network, swapped).alarms
    assert (alarm.kind, alarm.name) == ("accuracy", "kind")
    assert alarm.change < -0.3
    swapped.assign(kind=labelled["kind"].replace("ring", "\x1bO")).to_csv(
        tmp_path / "b.csv", index=False
    )
    answer = cli("monitor", network, "--batch", tmp_path / "b.csv")
    assert answer.code == 1
    rings = (labelled["kind"] == "ring").sum()
    note = rf"note: task 'kind': label '\x1bO' of {rings} rows is no class of the model"
    assert note in answer.out.splitlines()


def test_several_labels_a_row_count_once(network: Path) -> None:
    _, forms, _ = tables(300, seed=9)
    found = monitor(network, forms)
    form = {task.task: task for task in found.tasks}["form"]
    decided = labelweave.load(network).predict(forms)["form"]
    truth = forms[["round", "hole"]].to_numpy()
    known = ~pd.isna(truth)
    hits = ((decided == truth) & known).sum(axis=1) / known.sum(axis=1).clip(1)
    assert form.labels == known.any(axis=1).sum()
    assert form.measured == pytest.approx(hits[known.any(axis=1)].mean())
    turned = forms.assign(**{"round": 1 - forms["round"], "hole": 1 - forms["hole"]})
    assert ("accuracy", "form") in alarms(network, turned)


def test_label_shift_is_estimated(network: Path) -> None:
    frame = tables(3000, seed=5)[0]
    shifted = pd.concat([frame.query("kind == 'ring'"), frame.query("kind != 'ring'")[:200]])
    found = {task.task: task for task in monitor(network, shifted.drop(columns="kind")).tasks}
    true = (shifted["kind"] == "ring").mean()
    assert found["kind"].shares["ring"] == pytest.approx(true, abs=0.1)
    assert found["kind"].shares_before["ring"] == pytest.approx(1 / 3, abs=0.12)
    assert sum(found["kind"].shares.values()) == pytest.approx(1)


def test_the_distance_of_distributions_equals_scipys() -> None:
    rng = np.random.default_rng(3)
    before, now = rng.normal(size=20_000), rng.normal(0.3, 1, 500)
    points = np.quantile(before, np.linspace(0, 1, 101))
    distance, p = monitor_module._ks(points, len(before), now)
    wanted = stats.ks_2samp(before, now)
    assert distance == pytest.approx(wanted.statistic, abs=0.01)
    assert np.log10(p) == pytest.approx(np.log10(wanted.pvalue), rel=0.15)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.choice([0.2, 0.7, 1.0], n, p=[0.1, 0.1, 0.8]),
        lambda rng, n: np.minimum(rng.exponential(size=n), 1),  # a fourth of the rows at the end
        lambda rng, n: rng.poisson(3, n).astype(float),
        lambda rng, n: np.ones(n),
    ],
)
def test_values_that_many_rows_share_are_no_change(draw, shift: int) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(4)
    before, now = draw(rng, 5000), draw(rng, 1000) + 0.4 * shift
    distance, p = monitor_module._ks(np.quantile(before, np.linspace(0, 1, 101)), 5000, now)
    assert distance == pytest.approx(stats.ks_2samp(before, now).statistic, abs=0.011)
    assert (p < 1e-6) == bool(shift)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.integers(17, 80, n).astype(float),  # ages
        lambda rng, n: rng.poisson(30, n).astype(float),
        lambda rng, n: rng.lognormal(size=n) * (rng.random(n) < 0.1),  # many zeros
    ],
)
def test_whole_numbers_and_zeros_are_no_change_by_themselves(
    draw: Callable[[np.random.Generator, int], np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    for size in (20, 400, 3000):
        found = []
        for _ in range(100):
            points = np.quantile(draw(rng, 2000), np.linspace(0, 1, 101))
            found.append(monitor_module._ks(points, 2000, draw(rng, size))[1])
        assert (np.array(found) < 0.01).sum() <= 5, "1 is expected, more than 5 in 1 of 2,000"


def test_a_share_of_zeros_that_grows_is_seen() -> None:
    before = np.r_[np.zeros(900), np.linspace(1, 2, 100)]
    points = np.quantile(before, np.linspace(0, 1, 101))
    distance, p = monitor_module._ks(points, 1000, np.r_[np.zeros(300), np.full(100, 1.5)])
    assert distance == pytest.approx(0.2, abs=0.011), "just below 1.5: .95 and .75"
    assert p < 1e-4


@pytest.mark.parametrize("many", [30, 4000])
def test_counts_are_compared_as_scipy_does(many: int) -> None:
    counts = np.array([[many, 2 * many], [many, many]])
    wanted = (
        stats.fisher_exact(counts).pvalue
        if many < 50
        else stats.chi2_contingency(counts, correction=False).pvalue
    )
    assert monitor_module._independence(counts) == pytest.approx(wanted)
    assert monitor_module._independence(np.array([[5, 0], [9, 0]])) == 1


def test_p_values_are_corrected_for_all_comparisons_and_small_changes_pass() -> None:
    signal = Signal("values", "x", "KS", 0.3, 0.0, 0.1, 0.002)
    assert monitor_module._judged(signal, 1, 0.01).alarm
    many = monitor_module._judged(signal, 10, 0.01)
    assert (many.p_adjusted, many.alarm) == (pytest.approx(0.02), False)
    small = Signal("values", "x", "KS", 0.05, 0.0, 0.1, 1e-30)
    assert not monitor_module._judged(small, 1, 0.01).alarm


def test_the_command_writes_page_json_and_metrics_and_its_exit_code_is_for_cron(
    network: Path, tmp_path: Path, cli: CommandLine
) -> None:
    healthy, faulty = tmp_path / "healthy.csv", tmp_path / "faulty.csv"
    rows().to_csv(healthy, index=False)
    rows().assign(weight=9.0).to_csv(faulty, index=False)
    answer = cli("monitor", network, "--batch", healthy)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].startswith("No alarm, ")
    files = [tmp_path / name for name in ("june.html", "june.json", "june.prom")]
    page, written, metrics = files
    answer = cli(
        "monitor", network, "--batch", faulty, "--page", page, "--json", written,
        "--metrics", metrics,
    )  # fmt: skip
    assert answer.code == 1
    assert "ALARM: values of weight: KS " in answer.out
    content = json.loads(written.read_text())
    assert content["alarm"] is True
    assert content["signals"][0]["alarm"] is True
    assert "weight" in page.read_text()
    assert not re.search(r"(src|href)=", page.read_text())
    lines = metrics.read_text().splitlines()
    assert 'labelweave_monitor_alarm{model="parts",kind="values",name="weight"} 1' in lines
    assert all(re.fullmatch(r"#.*|\w+\{.*\} [-+.e\d]+", line) for line in lines)


def test_what_cannot_be_monitored_is_named(network: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelweaveError, match=r"^batch: found 19 rows, expected 20 or more$"):
        monitor(network, rows(19))
    with pytest.raises(LabelweaveError, match=r"^false_alarms: found 0, expected above 0 and"):
        monitor(network, rows(), false_alarms=0)
    with pytest.raises(LabelweaveError, match="length"):
        monitor(network, rows().assign(length="long"))
    copy = shutil.copytree(network, tmp_path / "model")
    (copy / "reference.json").unlink()
    with pytest.raises(LabelweaveError, match=r"found no reference\.json, expected the final"):
        monitor(copy, rows())


def test_fits_that_differ_between_folds_say_how_far_the_final_one_may() -> None:
    rng = np.random.default_rng(6)
    parts = np.arange(3000) % 3
    alike = rng.normal(0.6, 0.1, 3000).clip(0, 1)
    assert reference_module._between(alike, parts) < 0.005
    apart = alike + np.array([-0.05, 0.0, 0.05])[parts]
    assert reference_module._between(apart, parts) == pytest.approx(0.05, abs=0.005)
    assert reference_module._between(alike[:3], parts[:3]) == 0
    near, far = (
        monitor_module._rise("confidence", 0.6, 0.1, 3000, 0.66, 0.1, 400, between)[1]
        for between in (0.0, 0.05)
    )
    assert near < 1e-6 < 0.05 < far


def test_what_out_of_fold_rows_hide_raises_no_alarm_however_many_rows_show_it() -> None:
    rows = 100_000
    same, hidden, seen = (
        monitor_module._rise("confidence", 0.6, 0.1, rows, 0.6 + rise, 0.1, rows, 0.0)[1]
        for rise in (0.0, 0.025, 0.035)
    )
    assert same > hidden == pytest.approx(0.5)
    assert seen < 1e-6
    assert monitor_module._rise("contradiction", 0.2, 0.0, 30, 0.2, 0.0, 30, 0.0) == (0.0, 1.0)
    assert monitor_module._rise("contradiction", 0.2, 0.0, 30, 0.5, 0.0, 30, 0.0)[1] == 0.0

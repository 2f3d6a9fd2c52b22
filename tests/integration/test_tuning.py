import csv
import json
import math
from pathlib import Path

import hypothesis.strategies as st
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from hypothesis import given, settings
from study_example import content, write_study

from labelweave._search_space import Choice, Uniform, log_uniform
from labelweave.errors import LabelweaveError, Stopped
from labelweave.experiments import Study, parse_study, tune
from labelweave.experiments import _executor as pool
from labelweave.experiments import _tuning_trials as trial_module
from labelweave.experiments._tuning import dominates, pareto_front
from labelweave.experiments._tuning_space import current, searched, with_settings
from labelweave.experiments._tuning_trials import (
    Job,
    _watcher,
    configured,
    default_method,
    gains,
    objective,
)
from labelweave.fitting._methods import find_method

pytest.importorskip("optuna")
SPLIT = {"test": 60, "validation": 50}
SMALL = {"search": {"network": False, "training.batch_size": 32, "training.weighting": "sum"}}


def values_of(space):
    """Return a strategy over the points of a space."""
    each = {
        key: st.sampled_from(range_.values)
        if isinstance(range_, Choice)
        else st.floats(range_.low, range_.high)
        for key, range_ in space.items()
    }
    return st.fixed_dictionaries(each)


@pytest.mark.parametrize(
    "network", [{}, {"backbone": "linear"}, {"backbone": "cnn", "shape": [1, 2, 2]}]
)
def test_every_point_of_every_space_is_a_study(network):
    config = parse_study(content(network=network))
    space = searched(config, find_method("full"))
    assert {"training.learning_rate", "training.sampling", "training.weighting.cagrad.c",
            "couplings.co_annotation.weight"} <= set(space)  # fmt: skip
    assert any(key.startswith("network.") for key in space) == (network.get("backbone") != "linear")

    @settings(max_examples=40, deadline=None)
    @given(values_of(space))
    def check(point):
        found = configured(config, point)
        assert found.training.learning_rate == point["training.learning_rate"]
        chosen = point["training.weighting"]
        weighting = found.training.weighting
        name = weighting if isinstance(weighting, str) else next(iter(weighting))
        assert name == chosen
        assert found.couplings["co_annotation"] == {
            "weight": point["couplings.co_annotation.weight"]
        }
        assert found.tasks == config.tasks

    check()


def test_the_studys_own_settings_are_a_point_of_its_space():
    config = parse_study(content(network={}))
    space = searched(config, find_method("full"))
    point = current(config, space)
    assert point["couplings.distribution_matching.weight"] == 0.3
    assert point["network.hidden"] == [256, 256]
    assert point["training.weighting"] == "sum"
    assert point["training.batch_size"] == 32
    assert configured(config, point).training.learning_rate == config.training.learning_rate
    far = parse_study(content(network={}, training={"learning_rate": 3.0}))
    assert current(far, space) is None


def test_a_study_file_narrows_fixes_and_takes_out():
    search = {
        "training.learning_rate": [0.001, 0.01], "training.ramp": 0.2, "network.hidden": [64, 32],
        "training.batch_size": [16, 32], "training.weighting": ["sum", "cagrad"],
        "couplings": False,
    }  # fmt: skip
    config = parse_study(content(tune={"search": search}))
    space = searched(config, find_method("full"))
    assert space["training.learning_rate"] == log_uniform(0.001, 0.01)
    assert space["training.ramp"] == Choice((0.2,))
    assert space["network.hidden"] == Choice(([64, 32],))
    assert space["training.batch_size"] == Choice((16, 32))
    assert [key for key in space if "weighting." in key] == ["training.weighting.cagrad.c"]
    assert not any(key.startswith("couplings") for key in space)
    assert "training.sampling" in space


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"training.learnin_rate": 1}, "key 'tune.search.training.learnin_rate': nothing to "
                                       "search, expected 'training.learning_rate', "),
        ({"training.learning_rate": [0.1, 0.01]}, "key 'tune.search.training.learning_rate': found "
         "[0.1, 0.01], expected two numbers above 0, the smaller one first, or one number"),
        ({"training.learning_rate": "fast"}, "key 'tune.search.training.learning_rate': found "
         "'fast', expected two numbers above 0, the smaller one first, or one number"),
        ({"network.dropout": [0.1, 1.5]}, "key 'tune.search.network.dropout': key 'network.dropout'"
                                          ": should be less than 1, found 1.5"),
        ({"training.sampling": ["equal", "equl"]}, "key 'tune.search.training.sampling': "
                                                   "key 'training.sampling': no such sampling "),
        ({"training.batch_size": []}, "key 'tune.search.training.batch_size': found an empty list, "
                                      "expected at least one value"),
        ({"data": False}, "key 'tune.search.data': nothing to search, expected "),
    ],
)  # fmt: skip
def test_bad_searches_are_one_line(search, message):
    config = parse_study(content(tune={"search": search}))
    with pytest.raises(LabelweaveError) as error:
        searched(config, find_method("full"))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_settings_of_a_weighting_and_of_nested_keys():
    before = {"name": "a", "training": {"steps": 3}, "couplings": {"co_annotation": {"fade": 2}}}
    found = with_settings(
        before,
        {"training.weighting": "dwa", "training.weighting.dwa.temperature": 2.0,
         "training.weighting.stch.mu": 1.0, "training.sampling": "temperature",
         "training.sampling.temperature.alpha": 0.3, "couplings.co_annotation.weight": 1.5},
    )  # fmt: skip
    assert found == {
        "name": "a",
        "training": {
            "steps": 3,
            "weighting": {"dwa": {"temperature": 2.0}},
            "sampling": {"temperature": {"alpha": 0.3}},
        },
        "couplings": {"co_annotation": {"fade": 2, "weight": 1.5}},
    }
    assert before["training"] == {"steps": 3}


def test_known_values_of_the_objective():
    assert objective({"a": 0.1, "b": 0.3}) == pytest.approx(0.2)
    assert objective({"a": -0.1, "b": 0.3}) == pytest.approx(0.0)
    assert objective({"a": -0.1, "b": 0.3}, penalty=0) == pytest.approx(0.1)
    assert objective({"a": -0.1, "b": 0.3}, penalty=3) == pytest.approx(-0.2)
    found = [{"a": 0.5, "b": 0.9, "c": None}, {"a": 0.7, "b": 0.5, "c": 0.4}]
    base = [{"a": 0.4, "b": 0.9, "c": 0.2}, {"a": 0.4, "b": 0.6, "c": None}]
    assert gains(found, base) == pytest.approx({"a": 0.2, "b": -0.05})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=12))
def test_the_front_is_that_of_brute_force(points):
    named = {i: dict(zip("abc", p, strict=True)) for i, p in enumerate(points)}
    expected = [
        i
        for i, p in enumerate(points)
        if p not in points[:i]
        and not any(q != p and all(y >= x for x, y in zip(p, q, strict=True)) for q in points)
    ]
    assert pareto_front(named) == expected
    assert not any(dominates(named[i], named[j]) for i in expected for j in expected)


def test_the_method_that_is_tuned():
    def found(methods):
        return default_method(parse_study(content(methods=methods)), True)

    assert found(["multi_task", "full", "post_hoc", "shuffled_relations"]) == "full"
    assert found(["distillation"]) == "multi_task"
    assert found(["single_task"]) == "multi_task"


@pytest.fixture(scope="module")
def study_file(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("tuned"), split=SPLIT, tune=SMALL)


@pytest.fixture(scope="module")
def whole(study_file):
    return tune(Study.from_file(study_file), trials=4, progress=False)


@pytest.mark.slow
def test_a_search_lists_its_trials(whole):
    assert (whole["method"], whole["seeds"], set(whole["baseline"])) == (
        "full",
        [3],
        {"kind", "form"},
    )
    assert [trial["trial"] for trial in whole["trials"]] == [0, 1, 2, 3]
    first = whole["trials"][0]["settings"]
    assert first == whole["usual"]
    assert first["training.learning_rate"] == 0.005
    for trial in whole["trials"]:
        assert trial["objective"] == pytest.approx(objective(trial["gains"]))
    best = max(whole["trials"], key=lambda trial: trial["objective"])
    assert whole["settings"] == best["settings"]
    assert whole["best"] in whole["front"]


@pytest.mark.slow
def test_a_stopped_search_goes_on_as_an_unbroken_one(whole, tmp_path, monkeypatch):
    study = Study.from_file(write_study(tmp_path, split=SPLIT, tune=SMALL))
    calls = iter(range(10))

    def interrupted(*given, **named):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return execute(*given, **named)

    execute = trial_module.execute
    monkeypatch.setattr(trial_module, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(study, trials=4, progress=False)
    found = tune(study, trials=4, progress=False)
    assert found["baseline"] == whole["baseline"]
    for a, b in zip(found["trials"], whole["trials"], strict=True):
        assert a["settings"] == b["settings"]
        assert a["objective"] == b["objective"]
    again = tune(study, trials=3, progress=False)
    assert again == found
    assert next(calls) == 5  # four trials and the one that was interrupted


@pytest.mark.slow
def test_nothing_depends_on_the_test_rows(whole, tmp_path):
    """Test rows of a separate source: with wrong labels, and without any."""
    found = []
    for number, label in enumerate(("bolt", "ring", None)):
        path = write_study(tmp_path / str(number), tune=SMALL, split={"test": 0, "validation": 60})
        table = pd.read_csv(path.parent / "a.csv")
        table["kind"] = label
        table.to_csv(path.parent / "test.csv", index=False)
        study = yaml.safe_load(path.read_text())
        study["sources"].append({"path": "test.csv", "split": "test"})
        study["tasks"][0]["classes"] = ["bolt", "disc", "ring"]
        path.write_text(yaml.safe_dump(study))
        found.append(tune(Study.from_file(path), trials=2, progress=False))
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_the_baseline_of_the_study_is_not_trained_again(whole, tmp_path, monkeypatch):
    path = write_study(tmp_path, split=SPLIT, tune=SMALL)
    study = Study.from_file(path)
    study.compare(jobs=1, progress=False)

    def refuse(*given, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(pool, "execute", refuse)
    found = tune(study, trials=1, progress=False)
    assert found["baseline"] == whole["baseline"]
    assert found["trials"][0]["objective"] == whole["trials"][0]["objective"]


def test_a_trial_is_ended_where_the_search_says_so():
    reports = []

    class Trial:
        def report(self, value, step):
            reports.append((round(value, 3), step))

        def should_prune(self):
            return len(reports) == 3

    config = parse_study(content(training={"evaluations": 10}))
    job = Job(config, "full", [], [{}, {"kind": 0.5}], {}, Path(), "", None)
    watch = _watcher(job, Trial(), 1)
    watch(1, {"kind": 0.3})
    watch(2, {"kind": None})
    watch(2, {"kind": 0.6})
    with pytest.raises(Stopped):
        watch(3, {"kind": 0.6})
    assert reports == [(-0.4, 11), (0.1, 12), (0.1, 13)]  # a loss counts twice: mean and worst


def test_pruning_is_by_the_median_of_the_others_at_the_same_evaluation():
    optuna = pytest.importorskip("optuna")
    config = parse_study(content(training={"evaluations": 4}))
    search = optuna.create_study(direction="maximize", pruner=trial_module.pruner(config))

    def trial(values):
        asked = search.ask()
        for step, value in enumerate(values, 1):
            asked.report(value, step)
            if asked.should_prune():
                search.tell(asked, state=optuna.trial.TrialState.PRUNED)
                return step
        search.tell(asked, values[-1])
        return None

    assert [trial([x, x, x, x]) for x in (0.1, 0.2, 0.3, 0.4, 0.5)] == [None] * 5
    assert trial([0.31, 0.31, 0.31, 0.31]) is None
    assert trial([0.0, 0.2, 0.2, 0.9]) == 2  # not at the first: a quarter is for warming up
    off = parse_study(content(tune={"pruning": False}))
    assert isinstance(trial_module.pruner(off), optuna.pruners.NopPruner)


@pytest.mark.slow
def test_a_pruned_trial_leaves_no_checkpoint(tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna")

    class AllButTheFirst(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number > 0

    monkeypatch.setattr(trial_module, "pruner", lambda config: AllButTheFirst())
    path = write_study(tmp_path, split=SPLIT, tune=SMALL, methods=["multi_task"])
    found = tune(Study.from_file(path), trials=3, progress=False)
    assert [trial["state"] for trial in found["trials"]] == ["complete", "pruned", "pruned"]
    assert found["best"] == 0
    assert not list((tmp_path / "runs/parts/tuning/runs").glob("*.partial"))


@pytest.mark.slow
def test_the_command_writes_a_study_that_runs(study_file, whole, cli: CommandLine):
    answer = cli("tune", study_file, "--trials", 4)
    assert answer.code == 0, answer.err
    assert "4 trials of full" in answer.out
    assert "Pareto front between tasks" in answer.out
    assert f"Best settings, trial {whole['best']}:" in answer.out
    tuned = study_file.with_name("study.tuned.yaml")
    config = Study.from_file(tuned).config
    assert config.name == "parts-tuned"
    assert config.training.learning_rate == whole["settings"]["training.learning_rate"]
    assert config.training.steps == 40
    folder = study_file.parent / "runs" / "parts" / "tuning"
    rows = list(csv.DictReader((folder / "tuning.csv").open()))
    assert [float(row["objective"]) for row in rows] == [t["objective"] for t in whole["trials"]]
    assert json.loads((folder / "tuning.json").read_text())["best"] == whole["best"]
    assert all(math.isfinite(float(row["gain kind"])) for row in rows)


@pytest.mark.slow
def test_workers_share_a_search(study_file, whole):
    found = tune(Study.from_file(study_file), trials=6, workers=2, progress=False)
    assert found["trials"][:4] == whole["trials"]
    assert len(found["trials"]) == 6


def test_no_time_is_reported(tmp_path):
    study = Study.from_file(write_study(tmp_path, split=SPLIT, tune=SMALL))
    with pytest.raises(Exception, match="no trial came to its end in the time given"):
        tune(study, timeout=0, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "tuning needs validation rows, found none: set 'split: {validation: 0.2}', or give a "
             "source 'split: validation'"),
        ({"tune": {"method": "oracle"}, "split": SPLIT}, "method 'oracle' cannot be tuned: "
         "expected one that trains one network for all tasks, and is no control"),
        ({"tune": {"method": "distillation"}, "split": SPLIT}, "method 'distillation' cannot "
         "be tuned: another method teaches it; tune another one"),
        ({"tune": {"method": "ful"}, "split": SPLIT}, "no such method 'ful', "),
        ({"tune": {"search": {"training": False, "network": False, "couplings": False}},
          "split": SPLIT}, "key 'tune.search': nothing is left to be searched"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(changes, message, tmp_path, cli: CommandLine):
    path = write_study(tmp_path, **changes)
    assert cli.refused("tune", path).startswith(message)
    assert not (tmp_path / "runs").exists()


def test_a_damaged_database_is_reported(tmp_path, cli: CommandLine):
    path = write_study(tmp_path, split=SPLIT, tune=SMALL)
    folder = tmp_path / "runs" / "parts" / "tuning"
    folder.mkdir(parents=True)
    (folder / "trials.db").write_text("no database at all, but long enough to be looked at " * 20)
    message = cli.refused("tune", path, "--trials", 1)
    assert message.startswith(f"{folder / 'trials.db'}: cannot be used as a database of trials (")


def test_ranges():
    assert Uniform(0.0, 1.0).narrowed("here", 0.5) == Choice((0.5,))
    assert str(log_uniform(0.001, 1.0)) == "0.001 to 1 (log)"
    assert Choice(([1], [2])).narrowed("here", [[3], [4]]) == Choice(([3], [4]))

from dataclasses import replace

import pytest
from report_example import recommended
from test_report import small

from labelweave._messages import Messages
from labelweave.evaluation._recommendation import decision
from labelweave.report._recommendation import first_screen, next_steps
from labelweave.results import (
    Failure,
    Finding,
    KeyFigure,
    MeanInterval,
    MethodCosts,
    ModelCosts,
    RunningCosts,
    TaskLabelCurve,
)

GAIN, HARM, SAME, UNCLEAR = "gain", "negative transfer", "no difference", "not enough data"


def study(full, **more):
    results = {"single_task": [0.5, 0.5], "full": [0.6, 0.51]}
    return small(results, {"full": full}, **more)


@pytest.mark.parametrize(
    ("verdicts", "key"),
    [
        ([GAIN, SAME], "join"),
        ([GAIN, UNCLEAR], "join"),
        ([GAIN, HARM], "join some"),
        ([SAME, SAME], "no gain shown"),
        ([HARM, UNCLEAR], "contradictory"),
        ([SAME, UNCLEAR], "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_recommended_method(verdicts, key):
    assert decision(study(verdicts), "full", separate=False) == key
    results = study(verdicts)
    if results.recommended.method == "full":
        assert first_screen(results).verdict == Messages()(f"decision.{key}")
    else:
        assert HARM in verdicts
        assert results.recommended.verdict == "do not join"


@pytest.mark.parametrize(
    ("verdicts", "key"),
    [
        ([GAIN, SAME], "contradictory"),
        ([GAIN, HARM], "do not join"),
        ([SAME, SAME], "do not join"),
        ([HARM, UNCLEAR], "do not join"),
        ([SAME, UNCLEAR], "cannot tell"),
    ],
)
def test_where_the_tasks_alone_are_recommended_the_verdict_is_not_to_join(verdicts, key):
    assert decision(study(verdicts), "full", separate=True) == key


def test_the_next_steps_follow_from_the_results():
    results = study([GAIN, SAME])
    assert next_steps(results) == [
        "Fit the final model (fully coupled network) on all labelled rows: labelweave finish."
    ]
    undecided = replace(
        study([SAME, UNCLEAR], seeds=[0, 1]), failures=(Failure("full", 1, "no number"),)
    )
    assert next_steps(undecided)[:2] == [
        "Repair the 1 run that failed, and run the study again.",
        "Run the study with 5 seeds or more.",
    ]
    alone = study([HARM, HARM])
    assert alone.recommended.method == "single_task"
    assert next_steps(alone) == []


def test_without_a_joint_method_or_a_baseline_nothing_can_be_concluded():
    assert small({"single_task": [0.5]}).recommended.verdict == "cannot tell"
    assert small({"full": [0.5]}).recommended.verdict == "cannot tell"


def test_figures_are_made_of_what_there_is():
    screen = first_screen(study([GAIN, SAME]))
    assert [figure.measured for figure in screen.figures] == [True, False, False]
    # the mean of +10 and +1 points
    assert screen.figures[0].value == "+5.5 points"
    assert screen.figures[1].value == screen.figures[2].value == "not measured"
    assert screen.figures[1].assumption == "this study has no label curves"
    costs = {"single_task": MethodCosts(8.0), "full": MethodCosts(4.0)}
    curve = TaskLabelCurve("accuracy", "full", 64, (), (), MeanInterval(), MeanInterval())
    saved = {"t0": replace(curve, saved=MeanInterval(100.0)), "t1": curve}
    results = recommended(study([GAIN, SAME]), costs=costs, label_curves=saved)
    screen = first_screen(results)
    assert [f.value for f in screen.figures[1:]] == ["100 labels", "0.50 times today's"]
    assert "prediction was not measured" in screen.figures[2].assumption
    running = RunningCosts(ModelCosts(), ModelCosts(), {"latency_256": MeanInterval(0.2)})
    screen = first_screen(recommended(results, running=running))
    assert screen.figures[2].value == "0.20 times today's"


GIVEN = {
    "verdict": "join some",
    "shown": "multi_task",
    "figures": (
        KeyFigure("accuracy", "fraction", 0.0714, 0.05, 0.1, "mean over the tasks"),
        KeyFigure("labels", "labels", 1234.0, 900.0, None, "of the curves"),
        KeyFigure("cost", "EUR a year", 330.4, assumption="5,000,000 rows a year"),
    ),
    "reasons": (
        Finding("labels_saved", {"task": "t0", "saved": 1234.0, "low": 900.0, "has": 64}),
        Finding("labels_saved", {"task": "t1", "saved": None, "low": 50.0, "has": 64}),
        Finding("new_reason", {"tasks": ["t0"], "share": 0.25}),
    ),
    "risks": (Finding("extrapolated", {"tasks": ["t0", "t1"]}), Finding("new_risk")),
}


def test_what_the_results_decide_is_said_in_both_languages():
    means = {"single_task": [0.5, 0.5], "full": [0.6, 0.51], "multi_task": [0.5, 0.5]}
    results = small(means, {"full": [GAIN, SAME]})
    results = replace(results, recommendation=replace(results.recommended, **GIVEN))
    screen = first_screen(results)
    assert screen.verdict == Messages()("decision.join some")
    assert [(f.value, f.interval, f.assumption) for f in screen.figures] == [
        ("+7.1 points", "+5.0 to +10.0", "mean over the tasks"),
        ("1,234 labels", "at least 900", "of the curves"),
        ("330 EUR a year saved", "", "5,000,000 rows a year"),
    ]
    assert screen.reasons[-3:] == (
        "t0: single models would need 1,234 more labels (at least 900); there are 64.",
        "t1: single models would need at least 50 more labels; there are 64. The curve gives "
        "no upper limit.",
        "new_reason: tasks 't0', share 0.250",
    )
    assert screen.risks[-2:] == (
        "Labels saved on 't0', 't1' are extrapolated beyond the measured part of the curve.",
        "new_risk",
    )
    japanese = first_screen(results, Messages("ja"))
    assert [figure.value for figure in japanese.figures] == [
        "+7.1ポイント", "1,234件", "330EUR （年間の節約額）",
    ]  # fmt: skip
    assert japanese.figures[1].interval == "900以上"
    assert "実測" in japanese.figures[2].assumption


ALONE_ONLY = Messages()("risk.networks_alone")


def test_few_seeds_and_failed_runs_are_risks():
    failed = [{"method": "full", "seed": 1, "error": "out of memory"}]
    screen = first_screen(study([GAIN, SAME], seeds=[0, 1, 2], failures=failed))
    assert screen.risks == (
        "3 seeds give only a rough idea of how training varies.",
        "1 run failed: its method is not in the comparison.",
        ALONE_ONLY,
    )
    assert first_screen(study([GAIN, SAME], seeds=[0, 1, 2, 3, 4])).risks == (ALONE_ONLY,)

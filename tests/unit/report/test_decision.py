import pytest
from test_report import small

from labelweave._messages import Messages
from labelweave.evaluation._recommendation import joining, shown_method
from labelweave.report import decide
from labelweave.results import checked

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
        ([SAME, SAME], "do not join"),
        ([HARM, UNCLEAR], "do not join"),
        ([SAME, UNCLEAR], "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_tasks(verdicts, key):
    assert joining(checked(study(verdicts)), "full") == key
    assert decide(study(verdicts)).verdict == Messages()(f"decision.{key}")


def test_without_a_joint_method_or_a_baseline_nothing_can_be_told():
    assert decide(small({"single_task": [0.5]})).key == "cannot tell"
    assert decide(small({"full": [0.5]})).key == "cannot tell"


def test_figures_are_made_of_what_there_is():
    told = decide(study([GAIN, SAME]))
    assert [figure.measured for figure in told.figures] == [True, False, False]
    # the mean of +10 and +1 points
    assert told.figures[0].value == "+5.50 points"
    assert told.figures[1].value == told.figures[2].value == "not measured"
    assert told.figures[1].assumption == "this study has no label curves"
    costs = {"single_task": {"seconds": 8.0}, "full": {"seconds": 4.0}}
    saved = {"t0": {"saved": {"mean": 100.0}}, "t1": {"saved": None}}
    told = decide(study([GAIN, SAME], costs=costs, label_curves=saved))
    assert [f.value for f in told.figures[1:]] == ["100 labels", "0.50 times today's"]
    assert "prediction was not measured" in told.figures[2].assumption
    told = decide(study([GAIN, SAME], costs=costs | {"ratio": {"latency_256": 0.2}}))
    assert told.figures[2].value == "0.20 times today's"


GIVEN = {
    "verdict": "join some",
    "method": "multi_task",
    "figures": [
        {"key": "accuracy", "value": {"mean": 0.0714, "low": 0.05, "high": 0.1},
         "unit": "fraction", "assumption": "mean over the tasks"},
        {"key": "labels", "value": {"mean": 1234.0, "low": 900.0, "high": None},
         "unit": "labels", "assumption": "of the curves"},
        {"key": "cost", "value": {"mean": 330.4, "low": None, "high": None},
         "unit": "EUR a year", "assumption": "5,000,000 rows a year"},
    ],
    "reasons": [
        {"key": "gain", "values": {"task": "t0", "mean": 0.1, "low": 0.0, "high": 0.2}},
        {"key": "labels_saved", "values": {"task": "t0", "saved": 1234.0, "low": 900.0, "has": 64}},
        {"key": "labels_saved", "values": {"task": "t1", "saved": None, "low": 50.0, "has": 64}},
        {"key": "new_reason", "values": {"tasks": ["t0"], "share": 0.25}},
    ],
    "risks": [{"key": "extrapolated", "values": {"tasks": ["t0", "t1"]}}, {"key": "new_risk"}],
}  # fmt: skip


def test_what_the_results_decide_is_said_in_both_languages():
    means = {"single_task": [0.5, 0.5], "full": [0.6, 0.51], "multi_task": [0.5, 0.5]}
    results = checked(small(means, {"full": [GAIN, SAME]}, decision=GIVEN))
    assert shown_method(results) == "multi_task"
    told = decide(results)
    assert told.key == "join some"
    assert [(f.value, f.interval, f.assumption) for f in told.figures] == [
        ("+7.14 points", "+5.00 to +10.00", "mean over the tasks"),
        ("1,234 labels", "at least 900", "of the curves"),
        ("330 EUR a year saved", "", "5,000,000 rows a year"),
    ]
    assert told.reasons[-3:] == (
        "t0: single-task models would need 1,234 labels more than the 64 there are, at least 900.",
        "t1: single-task models would need at least 50 labels more than the 64 there are; how "
        "many, the curve cannot tell.",
        "new_reason: tasks 't0', share 0.250",
    )
    assert told.risks[-2:] == (
        "Labels saved on 't0', 't1' are beyond what was measured: the curve is carried on.",
        "new_risk",
    )
    japanese = decide(results, Messages("ja"))
    assert [figure.value for figure in japanese.figures] == [
        "+7.14ポイント", "1,234件", "330EUR （年間の節約額）",
    ]  # fmt: skip
    assert japanese.figures[1].interval == "900以上"
    assert "実測" in japanese.figures[2].assumption


def test_few_seeds_and_failed_runs_are_risks():
    failed = [{"method": "full", "seed": 1, "error": "out of memory"}]
    told = decide(study([GAIN, SAME], seeds=[0, 1, 2], failures=failed))
    assert told.risks == (
        "3 seeds say little of how training varies.",
        "1 run failed: its method is not in the comparison.",
    )
    assert decide(study([GAIN, SAME], seeds=[0, 1, 2, 3, 4])).risks == ()

"""What a page shows task by task: classes, inputs, relations as one map, checks, phrases."""

from dataclasses import replace

import numpy as np
import pytest
from report_example import example_results
from study_example import draw_nothing
from test_report import small

from labelweave._messages import Messages
from labelweave.evaluation import TestResult
from labelweave.evaluation._by_class import task_details
from labelweave.report import write_html, write_slide
from labelweave.report._figures import joined_map, on_one_map
from labelweave.report._names import method_name
from labelweave.report._page import _least_found, _shade
from labelweave.report._phrases import phrases, would_change
from labelweave.report._relatedness import noise_rows
from labelweave.results import (
    Check,
    ClassFigures,
    Confusion,
    InputImportance,
    InputsMeasured,
    LabelNoiseSummary,
    MeanInterval,
    RelationTable,
    TaskDetails,
    TaskNoise,
    keep_check,
    read_results,
)
from labelweave.serving._monitor import Monitoring, Signal, TaskOutlook
from labelweave.tasks import Binary, Multiclass, Multilabel
from labelweave.trust._audit import Audit
from labelweave.trust._licences import LicenceAnswer


def sure(codes, width):
    return np.eye(width)[codes] * 0.8 + 0.2 / width


def test_classes_are_counted_over_all_seeds_and_missing_labels_are_not():
    task = Multiclass("t", ("a", "b", "c"))
    first = TestResult(sure([0, 0, 1, 2], 3), np.array([0, 1, 1, -1]))
    second = TestResult(sure([2, 0], 3), np.array([0, 0]))
    found = task_details(task, "full", [first, second])
    assert found.confusion == Confusion(("a", "b", "c"), ((2, 0, 1), (1, 1, 0), (0, 0, 0)))
    assert found.classes == (
        ClassFigures("a", 3, 3, 2), ClassFigures("b", 2, 1, 1), ClassFigures("c", 0, 1, 0),
    )  # fmt: skip
    assert (found.classes[0].recall, found.classes[1].precision) == (pytest.approx(2 / 3), 1.0)
    assert (found.classes[2].recall, found.classes[2].precision) == (None, 0.0)


def test_of_many_classes_the_most_frequent_are_shown_and_the_others_together():
    task = Multiclass("t", tuple(range(15)))
    labels = np.concatenate([np.repeat(np.arange(4, 15), 3), [0, 1, 2, 3]])
    found = task_details(task, "full", [TestResult(sure(labels, 15), labels)]).confusion
    assert found is not None
    assert found.names == tuple(str(name) for name in range(4, 15))
    assert found.others == 4
    counts = np.array(found.counts)
    assert counts.shape == (12, 12)
    assert counts.sum() == len(labels)
    assert (counts == np.diag([3] * 11 + [4])).all()


def test_labels_are_counted_by_their_thresholds_and_a_yes_or_no_task_has_a_matrix():
    task = Multilabel("t", ("x", "y"))
    p, labels = np.array([[0.6, 0.2], [0.3, 0.9]]), np.array([[1, 0], [1, -1]])
    found = task_details(task, "full", [TestResult(p, labels, thresholds=[0.5, 0.5])])
    assert found.confusion is None
    assert found.classes == (ClassFigures("x", 2, 1, 1), ClassFigures("y", 0, 0, 0))
    lower = task_details(task, "full", [TestResult(p, labels, thresholds=[0.2, 0.5])])
    assert lower.classes[0] == ClassFigures("x", 2, 2, 2)
    one = TestResult(np.array([[0.9], [0.8], [0.1]]), np.array([[1], [0], [0]]))
    yes = task_details(Binary("ill"), "full", [one]).confusion
    assert yes == Confusion(("not ill", "ill"), ((1, 1), (0, 1)))


def test_cells_are_shaded_by_their_share_and_the_least_found_classes_are_named():
    assert [_shade(count, (0, 1, 9)) for count in (0, 1, 9)] == [0, 1, 5]
    assert _shade(0, (0, 0)) == 0
    classes = tuple(
        ClassFigures(name, 4, 4, n) for name, n in zip("abcde", (4, 0, 3, 1, 2), strict=True)
    )
    least = _least_found(TaskDetails("full", classes), Messages())
    assert least == ["b (0 of 4)", "d (1 of 4)", "e (2 of 4)"]


def test_the_page_shows_classes_inputs_and_checks_and_says_where_there_are_none(tmp_path):
    results = small({"single_task": [0.5, 0.5], "full": [0.6, 0.6]}, {"full": ["gain", "gain"]})
    figures = (ClassFigures("a", 10, 9, 8), ClassFigures("b", 5, 6, 4))
    details = TaskDetails("full", figures, Confusion(("a", "b"), ((8, 2), (1, 4))))
    width = InputImportance("width<b>", MeanInterval(0.25, 0.125, 0.5), 0.0625)
    results = replace(
        results,
        details={"t0": details},
        inputs=InputsMeasured("full", 200, {"t0": (width,)}),
        checks={"privacy": (Check("t0", MeanInterval(0.125, 0.0625, 0.25), 77),)},
    )
    write_html(results, tmp_path / "page.html", draw=draw_nothing)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for part in (
        "t0: true class by predicted class (fully coupled network, test labels of all seeds)",
        '<td class="s4 best">8</td>', "Least found: a (8 of 10), b (4 of 5).",
        "Inputs that matter most: width&lt;b&gt;.", "+0.250<small>+0.125 to +0.500</small>",
        "0.125<small>0.062 to 0.250</small>",
    ):  # fmt: skip
        assert part in page
    # of t1, nothing was measured
    assert page.count("Inputs that matter: not measured") == 1
    assert page.count("true class by predicted class") == 2  # text and label, of t0
    assert "privacy: not measured" not in page
    assert "fairness: not measured" in page


def test_figures_of_audit_and_monitoring_are_kept_and_shown(tmp_path):
    assert not keep_check(tmp_path, "audit", ())
    results = small({"single_task": [0.5, 0.5], "full": [0.6, 0.6]}, {"full": ["gain", "gain"]})
    (tmp_path / "results.json").write_text(results.to_json(), encoding="utf-8")
    licences = (
        LicenceAnswer("lab<1>", "MIT", "commercial", "yes", ""),
        LicenceAnswer("web", None, None, "ask", ""),
    )
    audit = Audit("model", "stack", "1", None, 12, {}, dict.fromkeys("abc", ""), ("a",), (), (),
                  True, licences)  # fmt: skip
    assert keep_check(tmp_path, "audit", audit.checks())
    alarm = Signal("values", "torque", "KS", 0.5, 1.0, 2.0, 0.0, 0.0, True)
    outlook = TaskOutlook("kind", 0.75, 0.875, {}, {})
    found = Monitoring(400, (alarm,), (outlook,), (), 0.01)
    assert keep_check(tmp_path, "monitoring", found.checks())
    kept = read_results(tmp_path)
    for language, texts in {
        "en": [
            "files changed, added or missing (rows: files)", ">1</td><td>3</td>",
            "days since the model was fitted", ">12</td><td></td>", "licence of lab&lt;1&gt;",
            "MIT; allows the declared use", "no licence given; the study file declares no use",
            "alarms of the last batch of new rows<small>values of torque</small>",
            ">1</td><td>400</td>", "kind: accuracy to expect of the last batch",
            "0.875 on the rows of the fit", ">0.750</td><td>400</td>",
        ],
        "ja": ["変更・追加・欠落", "最新の行データでの警報数", "宣言した用途で利用できます"],
    }.items():  # fmt: skip
        write_html(kept, tmp_path / "page.html", language, draw=draw_nothing)
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        for text in texts:
            assert text in page


def relation(source, target, rows=2, columns=2):
    table = tuple(tuple([0.25] * columns) for _ in range(rows))
    return RelationTable(
        source=source, target=target, rows=tuple(f"{source}{i}" for i in range(rows)),
        columns=tuple(range(columns)), table=table,
    )  # fmt: skip


def test_relations_are_one_map_and_large_ones_stand_alone():
    few = [relation("s", "t"), relation("s", "u", columns=3), relation("t", "v")]
    large = relation("s", "w", columns=200)
    assert on_one_map([few[0], large, *few[1:]]) == (few, [large])
    svg = joined_map(few, "key")
    assert svg.count("<svg") == 1
    assert "The relations s → t, s → u, t → v as one table of 4 by 7" in svg
    for name in ("s0", "t1", "u: 2", "v: 1"):
        assert f">{name}</text>" in svg


def test_methods_are_called_what_they_are():
    say, japanese = Messages(), Messages("ja")
    assert method_name("multi_task", say) == "joined network"
    assert method_name("single_task", say, first=True) == "Single networks"
    assert method_name("full.predictions", say) == "fully coupled network (predictions)"
    assert method_name("full.mine", say) == "full.mine"
    assert method_name("mine", say, first=True) == "mine"
    assert method_name("co_annotation", japanese) == "統合（推定ラベル）"


RAW = ("single_task", "multi_task", "co_annotation", "distribution_matching", "post_hoc")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_first_screen_has_no_name_that_only_the_docs_explain(language, tmp_path):
    results = example_results(3, 9, 3, large_table=False)
    write_html(results, tmp_path / "page.html", language, draw_nothing)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    first = page[page.index('<section id="verdict"') : page.index('<section id="results"')]
    # the advice to add a method to the study file names it as the file does
    first = first.replace("best_single_task", "")
    assert [name for name in RAW if name in first] == []


def test_what_would_change_the_decision_follows_from_it():
    means = {"single_task": [0.5, 0.5], "full": [0.6, 0.51]}
    joins = small(means, {"full": ["gain", "no difference"]}, splits={"test": 100})
    assert would_change(joins) == (
        "This would change if a task fell clearly below single networks. The nearest to it is t1, "
        "whose change may be as low as +0.0 points."
    )
    some = small(means, {"full": ["gain", "negative transfer"]})
    some = replace(some, recommendation=replace(joins.recommended, verdict="join some"))
    assert would_change(some).startswith("Leaving 't1' out of the joined model")
    said = phrases(joins)
    assert said[0] == "Join the tasks: some score higher, none clearly lower."
    assert "Clearly better: 't0'. Clearly worse: none." in said
    assert "This rests on 100 test rows and" not in " ".join(said)  # without seeds
    assert said[-1] == would_change(joins)
    for language in ("en", "ja"):
        for verdict in ("join", "no gain shown", "do not join", "contradictory", "cannot tell"):
            found = replace(joins, recommendation=replace(joins.recommended, verdict=verdict))
            assert would_change(found, Messages(language))


def test_the_slide_is_one_page_with_the_decision(tmp_path):
    results = small({"single_task": [0.5], "full": [0.6]}, {"full": ["gain"]})
    write_slide(results, tmp_path / "slide.html")
    page = (tmp_path / "slide.html").read_text(encoding="utf-8")
    assert "<h1>Join the tasks: some score higher, none clearly lower</h1>" in page
    assert page.count("<svg") == 1
    assert "Fully coupled network against single networks: +10.0 points on average." in page


@pytest.mark.parametrize(
    ("found", "high", "word"),
    [(("t",), 0.9, "noise"), ((), 0.08, "no noise found"), ((), 0.6, "cannot tell")],
)
def test_a_share_of_wrong_labels_that_may_be_large_is_not_no_noise(found, high, word):
    noise = TaskNoise("t", ("t",), ("a", "b"), (), ((0.5,),), ((0.01,),), ((high,),), ((9.0,),))
    summary = LabelNoiseSummary((noise,), {"t": found} if found else {})
    assert noise_rows(summary, ["s"])[0][-1] == word

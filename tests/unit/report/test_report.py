import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from report_example import example_results, recommended, results_of, with_value
from rich.console import Console

from labelweave._messages import Messages
from labelweave.errors import LabelweaveError
from labelweave.report import print_results, write_html, write_results_csv
from labelweave.report._figures import heat_map, interval_plot, loss_curves
from labelweave.report._recommendation import blind_spot, headline, reasons, risks
from labelweave.results import FORMAT, Cell, LossTerms, RelationTable, Results

VOID = {"meta", "br", "wbr"}
NASTY = '<b>&"'


class Page(HTMLParser):
    """Reads a page and fails on a tag that does not match the one it closes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.links, self.text = [], [], set(), [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def small(means, verdicts=None, **more):
    """The results of `table`."""
    return results_of(table(means, verdicts, **more))


def table(means, verdicts=None, **more):
    """A study from {method: means by task}; differences are exact, intervals +-.01."""

    def cell(mean):
        low, high = (None, None) if mean is None else (mean - 0.01, mean + 0.01)
        ends = {"low": low, "high": high, "raw_low": low, "raw_high": high}
        return {"accuracy": {"mean": mean, **ends, "n": 100, "seeds": 3}}

    names = [f"t{i}" for i in range(len(next(iter(means.values()))))]
    base = means.get("single_task", [None] * len(names))
    return {
        "study": "small",
        "tasks": [
            {"name": name, "kind": "multiclass", "names": ["a", "b"], "main_metric": "accuracy"}
            for name in names
        ],
        "methods": {
            method: dict(zip(names, map(cell, of), strict=True)) for method, of in means.items()
        },
        "differences": {
            method: {
                name: cell(None if a is None or b is None else a - b)
                for name, a, b in zip(names, of, base, strict=True)
            }
            for method, of in means.items()
            if method != "single_task"
        },
        "verdicts": {
            method: dict(zip(names, of, strict=True)) for method, of in (verdicts or {}).items()
        },
        **more,
    }


def renamed(results, old, new):
    return Results.from_json(results.to_json().replace(json.dumps(old), json.dumps(new)))


def printed(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_results(results, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(example_results(), path)
    return path.read_text(encoding="utf-8")


def test_html_is_balanced_and_every_link_has_one_target(page):
    read = Page(page)
    assert len(read.ids) == len(set(read.ids))
    inside = [link for link in read.links if not link.startswith("data:")]
    assert inside
    assert {link.removeprefix("#") for link in inside} <= set(read.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(read.ids)


def test_html_fetches_nothing(page):
    bare = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    for outside in ("http:", "https:", "src=", "@import", "<script", "<link", "<!DOCTYPE svg"):
        assert outside not in bare
    assert len(page) < 3_000_000


def test_html_holds_every_part(page):
    results, read = example_results(), Page(page)
    for part in ("Verdict", "Coverage", "Relations between tasks", "Results", "Label curves",
                 "Calibration", "Costs", "Learning curves", "Left out",
                 "How to reproduce"):  # fmt: skip
        assert part in read.text
    assert headline(results) in read.text
    assert all(part in read.text for part in [*reasons(results), *risks(results)])
    heads = [
        "<h3>Change by task and method", "<h3>Recommendation", "<h3>What to do next", "<h3>Risks",
        "<h3>Phrases for the meeting",
        '<section id="results"', '<section id="relations"', '<section id="costs"',
        '<section id="privacy"', '<section id="fairness"', '<section id="audit"',
        '<section id="monitoring"', '<section id="coverage"', '<section id="reproduce"',
    ]  # fmt: skip
    order = [page.index(head) for head in heads]
    assert order == sorted(order)
    for part in (results.notes[0], results.command, "loss is no longer finite", "2.13.0+cpu"):
        assert part in read.text
    assert "learning_rate: 0.001" in read.text
    # the small relations are one picture, the large one another
    pictures = 1 + len(results.tasks) + 2 + len(results.curves)
    assert page.count('<svg role="img" aria-label="') == page.count("<svg") == pictures


@pytest.mark.slow
def test_html_is_deterministic_and_ignores_the_users_style(page, tmp_path):
    with mpl.rc_context({"font.size": 20, "lines.linewidth": 9}):
        write_html(example_results(), tmp_path / "again.html")
        assert mpl.rcParams["font.size"] == 20
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_names_are_escaped_everywhere(tmp_path):
    results = example_results(2, 5, 1, large_table=False)
    results = renamed(renamed(results, "species", NASTY), "herbarium_south", NASTY)
    results = replace(results, study=NASTY, command=NASTY, notes=(NASTY,), settings={NASTY: NASTY})
    write_html(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    read = Page(page)
    assert "b" not in read.tags
    assert read.text.count(NASTY) > 12
    assert "<b>" not in page


@settings(max_examples=8, deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30))
def test_any_name_of_a_task_comes_through(name, tmp_path_factory):
    results = renamed(small({"single_task": [0.5], "full": [0.6]}), "t0", name)
    path = tmp_path_factory.mktemp("names") / "report.html"
    write_html(results, path)
    assert name in Page(path.read_bytes().decode("utf-8")).text
    assert printed(results, 80).count("60.0") == 1


@pytest.mark.parametrize(("tasks", "methods", "seeds"), [(1, 1, 1), (30, 2, 2)])
def test_html_of_small_and_wide_studies(tasks, methods, seeds, tmp_path):
    results = replace(example_results(tasks, methods, seeds), relations=())
    write_html(results, tmp_path / "report.html")
    read = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    counts = "1 task · 1 method · 1 seed ·" if tasks == 1 else "30 tasks · 2 methods · 2 seeds ·"
    assert counts in read.text


def test_html_of_the_required_keys_only_says_no_data(tmp_path):
    results = small({"single_task": [0.5, None], "full": [None, float("nan")]})
    write_html(results, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    overview = text[text.index("oracle aside") : text.index("What the methods are")]
    assert overview.count("no data") == 3
    assert "nan" not in text
    for part, answer in (
        ("Coverage", "no data on coverage"),
        ("Relations between tasks", "no relations between the tasks"),
        ("Label curves", "no label curves in this study"),
        ("Calibration", "no calibration in these results"),
        ("Costs", "running cost: not measured"),
        ("Privacy", "privacy: not measured"),
        ("Fairness", "fairness: not measured"),
        ("Audit", "audit: not measured"),
        ("Monitoring", "monitoring: not measured"),
        ("Learning curves", "no learning curves"),
    ):
        assert re.search(rf"{part}\s+{answer}", text)


def test_heat_map_leaves_unknown_cells_open():
    relation = RelationTable(source="s", target="t", rows=("a", "b"), columns=("c", "d"),
                             table=((0.2, 0.8), (0.0, 1.0)),
                             known=((True, False), (True, True)))  # fmt: skip
    svg = heat_map(relation, "key")
    data = re.search(r"base64,\s*([^\"]*)", svg)[1]
    # the first image is the table, one pixel a cell
    assert (imread(io.BytesIO(base64.b64decode(data)))[..., 3] == 0).sum() == 1
    assert "values from 0.00 to 1.00, 3 of 4 cells known" in svg
    assert heat_map(replace(relation, table=((None, None), (None, None))), "key").count("<svg") == 1


@pytest.mark.parametrize(("n", "shown"), [(60, True), (61, False)])
def test_heat_map_names_at_most_60_classes(n, shown, tmp_path):
    relation = {"source": "s", "target": "t", "origin": "given", "strength": 0.5,
                "rows": [f"row_{i}" for i in range(n)], "columns": ["c"],
                "table": [[0.5]] * n}  # fmt: skip
    results = small({"single_task": [0.5]}, relations=[relation])
    assert ("row_7" in heat_map(results.relations[0], "key")) is shown
    write_html(small({"single_task": [0.5]}, relations=[relation]), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("class names left out: more than 60" in text) is not shown


def test_a_table_of_labels_by_class_names_at_most_500_classes(tmp_path):
    results = example_results()
    source, task = results.coverage.sources[0], results.coverage.tasks[0]
    per_class = {source: {task: {f"person_{i}": i for i in range(1_700)}}}
    coverage = replace(results.coverage, per_class=per_class)
    write_html(replace(results, coverage=coverage), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "person_<wbr>499<" in text
    assert "person_<wbr>500<" not in text
    assert ">1,200 others</th>" in text


def test_interval_plot_describes_its_numbers_and_marks_missing_ones():
    rows = [("single_task", Cell(0.5, 0.4, 0.6), None), ("full", Cell(), "not enough data")]
    svg = interval_plot("size $x$", "accuracy", rows, 0.5, "key")
    assert (
        'aria-label="accuracy of size $x$: single_task 0.500 (0.400 to 0.600), full no data"' in svg
    )
    assert ">no data</text>" in svg


def test_loss_curves_keep_the_line_of_a_term_in_every_method():
    curve = LossTerms((0, 1), {"b": (2.0, 1.0)})
    alone, together = (
        loss_curves("x", curve, ["b"], "key"),
        loss_curves("x", curve, ["a", "b"], "key"),
    )
    colours = [set(re.findall(r"stroke: (#[0-9a-f]{6})", svg)) for svg in (alone, together)]
    assert colours[0] - colours[1] == {"#0072b2"}
    assert "b from 2 to 1" in alone
    negative = LossTerms((0, 1), {"b": (-2.0, 1.0), "none": (None, None)})
    assert "−2" in loss_curves("x", negative, ["b", "none"], "key")


def test_only_the_12_largest_terms_are_drawn(tmp_path):
    terms = {f"term_{i}": [float(i), 1.0] for i in range(15)}
    results = small(
        {"single_task": [0.5]}, curves={"single_task": {"step": [0, 1], "terms": terms}}
    )
    write_html(results, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The 12 terms with the largest peaks; 3 more are left out." in text
    assert ">term_14<" in text
    assert ">term_2<" not in text


def test_headline_of_a_gain():
    results = small(
        {"single_task": [0.61, 0.5], "full": [0.88, 0.49], "multi_task": [0.7, 0.5]},
        {"full": ["gain", "no difference"], "multi_task": ["gain", "no difference"]},
    )
    assert headline(results) == (
        "Fully coupled network against single networks: clearly better on 1 of 2 tasks, clearly "
        "worse on none; "
        "t0 .61 -> .88 (+.27, 95 % interval .26 to .28)"
    )
    assert results.recommended.method == results.recommended.best == "full"


def test_how_small_a_change_could_be_seen_is_reported_where_none_is_shown():
    given = table(
        {"single_task": [0.5, 0.6, 0.7], "full": [0.6, 0.6, 0.7]},
        {"full": ["gain", "no difference", "not enough data"]},
    )
    assert blind_spot(results_of(given)) is None  # results that do not say
    for name, detectable in {"t0": 0.3, "t1": 0.021, "t2": 0.12}.items():
        given["differences"]["full"][name]["accuracy"] |= {"detectable": detectable, "p": 0.5}
    results = results_of(given)
    assert blind_spot(results) == (
        "Fully coupled network shows no change on 2 of 3 tasks. With 100 test labels and 3 seeds, "
        "this study could only detect changes above 12.0 points on t2, and smaller ones on "
        "the others"
    )
    assert "detect changes above 12.0 points" in " ".join(printed(results, 80).split())
    given["differences"]["full"]["t2"]["accuracy"]["detectable"] = 0.42
    assert blind_spot(results_of(given)) == (
        "Fully coupled network shows no change on 2 of 3 tasks. With 100 test labels and 3 seeds, "
        "this study could only detect changes above 42.0 points on t2, and smaller ones on "
        "the others; the largest possible gain on t2 is 30.0 points"
    )
    given["differences"]["full"]["t2"]["accuracy"]["detectable"] = None
    assert blind_spot(results_of(given)) == (
        "Fully coupled network shows no change on 2 of 3 tasks. With 100 test labels and 3 seeds, "
        "this study could not detect any possible change on t2"
    )
    every = {"full": dict.fromkeys(["t0", "t1", "t2"], "gain")}
    results = recommended(results, verdicts=every)
    assert blind_spot(results) is None


def test_headline_of_a_harmful_best_method_recommends_another():
    results = small(
        {"single_task": [0.6, 0.5], "full": [0.9, 0.4], "multi_task": [0.65, 0.5]},
        {"full": ["gain", "negative transfer"], "multi_task": ["gain", "not enough data"]},
        costs={"single_task": {"networks": 2}, "multi_task": {"networks": 1}},
    )
    assert headline(results) == (
        "Fully coupled network against single networks: clearly better on 1 of 2 tasks, clearly "
        "worse on 1 ('t1'); "
        "t0 .60 -> .90 (+.30, 95 % interval .29 to .31). Recommended: joined network"
    )
    assert reasons(results) == [
        "Mean of the main metrics: joined network 0.575; single networks 0.550, fully "
        "coupled network 0.650.",
        "Joined network: clearly better on 1 of 2 tasks, clearly worse on none, not enough data on "
        "1 ('t1'); t0 .60 -> .65 (+.05, 95 % interval .04 to .06).",
        "Fully coupled network is ruled out by negative transfer on 1 ('t1').",
        "It uses 1 network instead of 2.",
    ]
    assert risks(results) == [
        "The method is chosen by its mean on the test rows. Among similar methods, the best one "
        "looks slightly better than it is.",
        "The comparison is with single networks. A careful user's best single models were not "
        "trained: add best_single_task to the study's methods.",
    ]


def test_headline_falls_back_to_the_baseline():
    results = small(
        {"single_task": [0.6], "full": [0.5], "multi_task": [0.58]},
        {"full": ["negative transfer"], "multi_task": ["no difference"]},
    )
    assert results.recommended.method == "single_task"
    assert headline(results) == (
        "Joined network against single networks: clearly better on none of 1 task, clearly "
        "worse on none; "
        "t0 .60 -> .58 (-.02, 95 % interval -.03 to -.01). Recommended: single networks"
    )


def test_headline_shows_where_a_control_is_ahead():
    results = small(
        {"single_task": [0.5, 0.5], "full": [0.6, 0.6], "post_hoc": [0.7, 0.605],
         "strong_single_task": [0.5, None], "oracle": [0.9, 0.9],
         "shuffled_relations": [0.6, 0.6]},
        {"full": ["gain", "gain"]},
    )  # fmt: skip
    assert results.recommended.method == "full"
    assert headline(results).endswith(
        ". The control table-corrected network scores higher than fully coupled network on 2 of "
        "2 tasks, clearly on 1 ('t0')"
    )
    assert "single trees" not in headline(results)
    assert risks(results)[0] == (
        "A joined network with shuffled tables scores as well (.60), so the gain does not "
        "come from the content of the relations."
    )


def test_intervals_are_named_by_the_level_of_the_study(tmp_path):
    results = small({"single_task": [0.5], "full": [0.6]}, settings={"statistics": {"level": 0.9}})
    write_html(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (headline(results), page, printed(results, 200)):
        assert "90 % interval" in text
        assert "95 %" not in text


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"single_task": [0.5]}, "no joined model has results to compare with single networks"),
        ({"single_task": [0.5], "full": [None]},
         "no joined model has results to compare with single networks"),
        ({"full": [0.5]},
         "Fully coupled network scores best of the joined models, but single networks have "
         "no results to compare with"),
    ],
)  # fmt: skip
def test_headline_without_a_comparison(means, expected):
    assert headline(small(means)) == expected


METHODS = ["single_task", "multi_task", "co_annotation", "distribution_matching", "full",
        "distillation",
        "post_hoc", "oracle", "shuffled_relations", "strong_single_task"]  # fmt: skip
SIMPLEST_FIRST = ["single_task", "multi_task", "distillation", "co_annotation",
                  "distribution_matching", "full"]  # fmt: skip
WORDS = ["gain", "no difference", "negative transfer", "not enough data"]


@given(st.data())
def test_the_recommended_method_harms_nothing_and_is_the_simplest_of_the_best(data):
    tasks = data.draw(st.integers(1, 4))
    methods = ["single_task", *data.draw(st.lists(st.sampled_from(METHODS[1:]), unique=True))]
    draw = lambda values: data.draw(st.lists(values, min_size=tasks, max_size=tasks))  # noqa: E731
    means = {method: draw(st.floats(0, 1)) for method in methods}
    verdicts = {method: draw(st.sampled_from(WORDS)) for method in methods[1:]}
    chosen = small(means, verdicts).recommended.method
    harmless = [
        method
        for method in methods
        if method in METHODS[:6] and "negative transfer" not in verdicts.get(method, [])
    ]
    assert chosen in harmless
    # every interval of `small` is +-.01
    error = 0.01 / 1.96 / tasks**0.5
    behind = {m: max(np.mean(means[o]) for o in harmless) - np.mean(means[m]) for m in harmless}
    assert behind[chosen] <= error + 1e-8
    simpler = sorted(harmless, key=SIMPLEST_FIRST.index)
    for method in simpler[: simpler.index(chosen)]:
        assert behind[method] > (0 if behind["single_task"] == 0 else error - 1e-8)


def test_means_are_compared_over_shared_tasks_only():
    results = small({"single_task": [0.2, 0.8], "full": [0.3, None], "post_hoc": [None] * 2})
    assert results.mean_scores(["single_task", "full", "post_hoc"]) == {
        "single_task": 0.2, "full": 0.3,
    }  # fmt: skip
    assert results.mean_scores(["single_task"]) == {"single_task": 0.5}


def test_methods_are_ordered_baseline_first_controls_last():
    results = small({"oracle": [0.1], "mine": [0.1], "full": [0.1], "single_task": [0.1]})
    assert results.method_names == ["single_task", "full", "mine", "oracle"]


@given(st.floats(-2, 2))
def test_short_numbers_read_back(value):
    short = Messages().short
    assert float(short(value)) == pytest.approx(value, abs=0.00501)
    assert not short(value).startswith(("0", "-0", "-.00"))


@pytest.mark.parametrize("width", [40, 80, 100, 160])
@pytest.mark.parametrize(("tasks", "methods"), [(9, 9), (30, 9), (2, 9), (1, 1)])
def test_terminal_table_fits_and_keeps_every_number_whole(width, tasks, methods):
    results = example_results(tasks, methods, large_table=False)
    text = printed(results, width)
    assert max(map(len, text.splitlines())) <= width
    cells = text.split()
    for of_tasks in results.methods.values():
        for task in results.tasks:
            mean = of_tasks[task.name][task.main_metric].mean
            if mean is not None:
                assert any(cell.startswith(f"{100 * mean:.1f}") for cell in cells)


def test_terminal_layout_follows_the_width():
    results = example_results(large_table=False)
    wide, narrow = printed(results, 160), printed(results, 80)
    assert re.search(r"^ method +species", wide, re.M)
    assert re.search(r"^ task +ST +MT +CA +DM +full +PH +SST +SR +oracle", narrow, re.M)
    assert "ST = single_task, MT = multi_task" in narrow
    assert "ST = " not in wide


def test_terminal_cells_marks_and_legend():
    results = small(
        {"single_task": [0.5, 0.5], "full": [0.6, None], "oracle": [0.9, 0.4]},
        {"full": ["gain", "not enough data"], "oracle": ["gain", "negative transfer"]},
    )
    lines = [line.rstrip() for line in printed(results, 200).splitlines()]
    assert lines[0] == headline(results)
    assert " single_task   50.0  ±1.0   50.0  ±1.0" in lines
    assert " full          60.0▲ ±1.0      no data" in lines
    assert " oracle        90.0▲ ±1.0   40.0▼ ±1.0" in lines
    assert (
        "▲ gain  ▼ negative transfer  · no difference  ? not enough data  (against single_task)"
        in lines
    )
    console = Console(width=120, file=io.StringIO(), color_system="standard", force_terminal=True)
    print_results(results, console)
    # bold is the best of the task, the oracle aside
    assert "\x1b[1m60.0" in console.file.getvalue()
    assert "\x1b[1m90.0" not in console.file.getvalue()


def test_terminal_takes_names_as_plain_text():
    results = renamed(small({"single_task": [0.5]}), "t0", "[red]\x1b[31m")
    text = printed(results, 80)
    assert "[red]\N{REPLACEMENT CHARACTER}[31m" in text
    assert "\x1b" not in text


def test_csv_round_trip(tmp_path):
    results, path = example_results(large_table=False), tmp_path / "results.csv"
    write_results_csv(results, path)
    table = pd.read_csv(path, float_precision="round_trip")
    assert list(table.columns) == [
        "method", "task", "metric", "mean", "low", "high", "n", "seeds",
        "difference", "difference_low", "difference_high", "p_adjusted",
        "difference_raw_low", "difference_raw_high", "p", "effect", "detectable", "verdict",
    ]  # fmt: skip
    assert len(table) == sum(len(m) for tasks in results.methods.values() for m in tasks.values())
    for row in table.itertuples():
        cell = results.methods[row.method][row.task][row.metric]
        changes = results.differences.get(row.method, {}).get(row.task, {})
        change = changes.get(row.metric, Cell())
        for read, meant in [
            (row.mean, cell.mean), (row.low, cell.low), (row.high, cell.high),
            (row.n, cell.n), (row.seeds, cell.seeds), (row.difference, change.mean),
            (row.difference_low, change.low), (row.p, change.p),
            (row.difference_high, change.high), (row.effect, change.effect),
            (row.detectable, change.detectable), (row.p_adjusted, change.p_adjusted),
            (row.difference_raw_low, change.raw_low), (row.difference_raw_high, change.raw_high),
        ]:  # fmt: skip
            assert np.isnan(read) if meant is None else read == meant
    main = {task.name: task.main_metric for task in results.tasks}
    judged = table[table["verdict"].notna()]
    assert len(judged) == 8 * 9
    assert (judged["metric"] == judged["task"].map(main)).all()


def test_names_in_tables_start_no_formula_in_a_spreadsheet(tmp_path):
    results = renamed(small({"single_task": [0.5]}), "t0", "=1+1")
    write_results_csv(results, tmp_path / "safe.csv")
    write_results_csv(results, tmp_path / "as_they_are.csv", formulas=True)
    assert set(pd.read_csv(tmp_path / "safe.csv")["task"]) == {"'=1+1"}
    assert set(pd.read_csv(tmp_path / "as_they_are.csv")["task"]) == {"=1+1"}


def test_files_are_replaced_whole_or_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")
    with monkeypatch.context() as broken:
        broken.setattr("labelweave.report._page.pictures", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_html(small({"single_task": [0.5]}), path)
    assert path.read_text() == "before"
    write_html(small({"single_task": [0.5]}), path)
    assert "before" not in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "missing" / "results.csv"
    with pytest.raises(LabelweaveError, match="No such file") as error:
        write_results_csv(small({"single_task": [0.5]}), path)
    assert str(error.value) == f"{path}: cannot be written (No such file or directory)"


GOOD = {"format": FORMAT} | table({"single_task": [0.5], "full": [0.6]}, {"full": ["gain"]})


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "results: found list, expected a table with 'study', 'tasks', 'methods'"),
        ({"format": FORMAT, "study": "s", "task": [], "methods": {}},
         "results: no 'tasks'; did you mean 'task'?"),
        ({"study": "s"},
         "results, format: found none, expected 3; 'labelweave run' writes them again"),
        (GOOD | {"format": 1},
         "results, format: found 1, expected 3; 'labelweave run' writes them again"),
        (
            GOOD | {"tasks": []},
            "results: found 0 tasks and 2 methods, expected at least one of each",
        ),
        (GOOD | {"tasks": [{"name": "t0"}]}, "results, tasks, 1: no 'main_metric'"),
        (GOOD | {"methods": {"full": {"t1": {}}}},
         "results, methods, 'full': found 't1', expected one of 't0'; did you mean 't0'?"),
        (GOOD | {"verdicts": {"full": {"t0": "gains"}}},
         "results, verdicts, full, t0: found 'gains', expected 'gain', 'negative transfer', "
         "'no difference' or 'not enough data'; did you mean 'gain'?"),
        (GOOD | {"methods": {"full": {"t0": {"accuracy": {"mean": "0.5"}}}}},
         "results, methods, full, t0, accuracy, mean: found '0.5', expected a valid number"),
        (GOOD | {"relations": [{"source": "s", "target": "t", "rows": ["a"], "columns": ["b"],
                                "table": [[0.5, 0.5]]}]},
         "results, relations, 1: table of 1 rows of '2' columns, "
         "expected 1 rows and 1 columns as named"),
        (GOOD | {"coverage": {"sources": [{"source": "s"}]}},
         "results, coverage, sources, 1: found \"{'source': 's'}\", expected a valid string"),
        (GOOD | {"curves": {"full": {"step": [0, 1], "terms": {"t0": [1.0]}}}},
         "results, curves of 'full', 't0': found 1 values, expected 2, one a step"),
    ],
)  # fmt: skip
def test_bad_results_get_one_line(results, message):
    with pytest.raises(LabelweaveError) as error:
        Results.from_json(json.dumps(results))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("", "column 1", "Expecting value"),
        ("{", "column 2", "Expecting property name enclosed in double quotes"),
        ('{"format": 2', "column 13", "Expecting ',' delimiter"),
    ],
)
def test_damaged_results_get_one_line(text, place, reason):
    with pytest.raises(LabelweaveError) as error:
        Results.from_json(text)
    assert str(error.value) == f"results: {place}: no JSON: {reason}"


def test_results_are_the_same_after_writing_and_reading():
    results = with_value(example_results(3, 5, 2, large_table=False))
    again = Results.from_json(results.to_json())
    assert again.to_json() == results.to_json()
    assert again.methods == results.methods
    assert again.recommended.controls == results.recommended.controls


def test_import_is_cheap():
    code = "import sys, labelweave.report; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "jinja2", "yaml"} & set(done.stdout.split())

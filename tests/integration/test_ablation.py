import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from report_example import example_results
from rich.console import Console
from study_example import as_json, write_study

from labelweave.errors import LabelweaveError
from labelweave.experiments import Study, run_ablation
from labelweave.experiments import _runs as runs
from labelweave.report import print_ablation, write_ablation
from labelweave.report._tables import escaped
from labelweave.results import Results

PAPER = {
    "method": "full",
    "name": "mine",
    "couplings": {
        "distribution_matching": {"form": "paper"},
        "co_annotation": {"backward": "paper"},
    },
}
ROWS = [
    ("single-task", "", ""),
    ("multi-task", "", ""),
    *(
        (label, form, "given")
        for form in ("ours", "paper")
        for label in ("+ soft co-annotation", "+ distribution matching", "+ both")
    ),
    ("+ hard co-annotation", "predecessors", "given"),
]


def probabilities(study: Study, method: str, results) -> np.ndarray:
    folder = next(run["folder"] for run in results["runs"] if run["method"] == method)
    record = study.output / "runs" / folder
    assert record.is_dir()
    return np.frombuffer((record / "predictions.safetensors").read_bytes(), np.uint8)


@pytest.fixture(scope="module")
def ablated(tmp_path_factory):
    path = write_study(tmp_path_factory.mktemp("ablated"), seeds=[3, 4])
    study = Study.from_file(path)
    return study, as_json(run_ablation(study, ["predictions"], jobs=1, progress=False))


def test_the_rows_are_those_of_the_paper_for_every_origin(ablated) -> None:
    _, results = ablated
    rows = [(row["label"], row["form"], row["relations"]) for row in results["rows"]]
    assert rows[:9] == ROWS
    assert rows[9:] == [(label, form, "predictions") for label, form, _ in ROWS[2:]]
    assert [row["method"] for row in results["rows"][8:10]] == [
        "co_annotation (predecessors)", "co_annotation.predictions",
    ]  # fmt: skip
    assert set(results["methods"]) == {row["method"] for row in results["rows"]}
    assert "paper" in results["method_titles"]["full (paper)"]


def test_every_form_trains_a_separate_network(ablated) -> None:
    study, results = ablated
    joint = [row["method"] for row in results["rows"] if row["relations"] == "given"]
    found = {probabilities(study, method, results).tobytes() for method in joint}
    assert len(found) == len(joint)


def test_a_study_and_its_ablation_share_their_runs_whatever_they_are_called(ablated) -> None:
    study, results = ablated
    folders = study.output / "runs"
    before = {folder: folder.stat().st_mtime_ns for folder in folders.iterdir()}
    path = write_study(
        study.folder, seeds=[3, 4], methods=["full", "co_annotation.predictions", PAPER]
    )
    own = as_json(Study.from_file(path).run(jobs=1, progress=False))
    assert {folder: folder.stat().st_mtime_ns for folder in folders.iterdir()} == before
    assert own["methods"]["mine"] == results["methods"]["full (paper)"]
    assert own["methods"]["mine"] != own["methods"]["full"]


def test_equal_methods_of_two_names_are_trained_once(tmp_path, monkeypatch) -> None:
    fit, trained = runs.fit, []

    def counted(method, *rest, **options):
        trained.append(method.name)
        return fit(method, *rest, **options)

    monkeypatch.setattr(runs, "fit", counted)
    path = write_study(tmp_path, methods=[PAPER, {**PAPER, "name": "twin"}])
    results = as_json(Study.from_file(path).run(jobs=1, progress=False))
    assert results["methods"]["mine"] == results["methods"]["twin"]
    assert sorted(trained) == ["full", "single_task"]


def test_a_methods_options_go_before_the_studys(tmp_path) -> None:
    general = {"distribution_matching": {"form": "js", "weight": 0.5}}
    path = write_study(tmp_path, couplings=general, methods=["full", PAPER])
    config = Study.from_file(path).config
    assert config.method("mine").coupling_options(config.couplings) == {
        "co_annotation": {"backward": "paper"},
        "distribution_matching": {"form": "paper", "weight": 0.5},
    }
    usual = config.method("full").coupling_options(config.couplings)
    assert usual == {"co_annotation": {}, **general}
    again = config.model_validate(config.model_dump(mode="json", by_alias=True))
    assert again == config


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"name": "mine", "couplings": {"distribution_match": {}}},
            "method 'full' has no coupling 'distribution_match', expected 'co_annotation', "
            "'distribution_matching', 'distillation'; did you mean 'distribution_matching'?",
        ),
        (
            {"couplings": {"co_annotation": {}}},
            "method 'full' with its own couplings needs a 'name'",
        ),
        (
            {"nam": "mine"},
            "key 'methods.0.nam': no such key, expected 'method', 'name', 'relations', 'noise', "
            "'couplings', 'training'; did you mean 'name'?",
        ),
        (
            {"name": "multi_task"},
            "'multi_task' is the name of the usual method, give another 'name'",
        ),
        (
            {"name": "mine", "couplings": {"distribution_matching": {"form": "papr"}}},
            "method 'mine': coupling 'distribution_matching': unknown form 'papr', expected "
            "'symmetric', 'js', 'source_to_target', 'target_to_source', 'paper'; "
            "did you mean 'paper'?",
        ),
    ],
)
def test_a_wrong_method_gives_one_line(tmp_path, entry, message) -> None:
    path = write_study(tmp_path, methods=[{"method": "full", **entry}])
    with pytest.raises(LabelweaveError) as caught:
        Study.from_file(path).splits()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(message)


def test_two_methods_of_one_name_are_refused(tmp_path) -> None:
    path = write_study(tmp_path, methods=[PAPER, PAPER])
    with pytest.raises(LabelweaveError, match="two methods are called 'mine'"):
        Study.from_file(path)


def test_an_ablation_needs_relations_and_known_origins(tmp_path, cli) -> None:
    path = write_study(tmp_path, relations=[], methods=["multi_task"])
    assert cli.refused("ablate", path) == (
        "study 'parts': found no relation to ablate, expected some under 'relations', or an "
        "origin to estimate them from"
    )
    assert cli.refused("ablate", path, "--from", "all,predicted") == (
        "relations from 'predicted', expected 'knowledge', 'annotations', 'predictions', 'all'; "
        "did you mean 'predictions'?"
    )


def made_up(tasks: int = 2) -> Results:
    given = example_results(tasks=tasks, methods=5)
    text = given.to_json().replace('"species"', '"a_b & c%"')
    content = json.loads(text)
    content["rows"] = [
        {"method": method, "label": method, "form": form, "relations": "given" if form else ""}
        for method, form in zip(given.methods, ["", "", "ours", "ours", "paper"], strict=True)
    ]
    values = {"single_task": 0.5, "multi_task": 0.4, "full": 0.7}
    for method in given.methods:
        cell = content["methods"][method]["a_b & c%"]["accuracy"]
        cell["mean"] = values.get(method, 0.6)
        cell["values"] = [cell["mean"] - 0.1, None, cell["mean"] + 0.1]
        if method != "single_task":
            word = "negative transfer" if method == "multi_task" else "no difference"
            content["verdicts"][method]["a_b & c%"] = word
    return Results.from_json(json.dumps(content))


def test_csv_holds_mean_spread_best_and_verdict(tmp_path) -> None:
    write_ablation(made_up(), tmp_path)
    with (tmp_path / "ablation.csv").open(encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file) if row["task"] == "a_b & c%"}
    assert float(rows["full"]["mean"]) == 0.7
    assert float(rows["full"]["std"]) == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert [method for method, row in rows.items() if row["best"] == "1"] == ["full"]
    assert [method for method, row in rows.items() if row["verdict"] == "negative transfer"] == [
        "multi_task"
    ]
    assert Results.from_json((tmp_path / "ablation.json").read_bytes()) == made_up()


def test_names_in_the_table_start_no_formula(tmp_path) -> None:
    results = Results.from_json(made_up().to_json().replace("a_b & c%", "@a"))
    for formulas, name in ((False, "'@a"), (True, "@a")):
        write_ablation(results, tmp_path, formulas=formulas)
        with (tmp_path / "ablation.csv").open(encoding="utf-8") as file:
            assert name in {row["task"] for row in csv.DictReader(file)}


def test_latex_has_the_papers_form_and_escapes_names(tmp_path) -> None:
    write_ablation(made_up(), tmp_path)
    text = (tmp_path / "ablation.tex").read_text("utf-8")
    assert r"method & a\_b \& c\% & shape \\" in text
    assert r"$\mathbf{70.0} \pm 14.1$" in text
    assert r"$40.0 \pm 14.1\,\blacktriangledown$" in text
    assert text.count(r"\blacktriangledown$") == 2  # the cell and the legend
    assert r"\multicolumn{3}{l}{\emph{ours, given relations}} \\" in text
    inside = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    lines = [
        line for line in inside.splitlines() if line.endswith(r"\\") and "multi" not in line[:7]
    ]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {2}


def test_latex_escapes_every_special_character() -> None:
    assert escaped("\\{}~^_&%$#") == (
        r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\_\&\%\$\#"
    )


def test_the_page_is_whole_and_escapes_names(tmp_path) -> None:
    results = replace(made_up(), study="<script>")
    write_ablation(results, tmp_path)
    page = (tmp_path / "ablation.html").read_text("utf-8")
    assert "<script" not in page
    assert "http" not in page
    assert "a_b &amp; c%" in page
    assert '<span class="best">70.0</span> <small>±14.1</small></td>' in page
    assert '<small>±14.1</small> <span class="harm" title="negative transfer">▼</span>' in page


@pytest.mark.parametrize("width", [60, 200])
def test_the_terminal_shows_every_task_whatever_the_width(width) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    print_ablation(made_up(tasks=9), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert all(task.name in text for task in made_up(tasks=9).tasks)
    assert "40.0 ±14.1▼" in text
    assert text.count("ours, given relations") == text.count("method")


def test_other_results_are_refused(tmp_path) -> None:
    with pytest.raises(LabelweaveError, match="no 'rows', expected the results of an ablation"):
        write_ablation(example_results(tasks=1, methods=2), tmp_path)


def test_a_failed_method_is_shown_as_no_data(tmp_path) -> None:
    results = made_up()
    without = {
        part: {
            method: cells for method, cells in getattr(results, part).items() if method != "full"
        }
        for part in ("methods", "differences", "verdicts")
    }
    write_ablation(replace(results, **without), tmp_path)
    assert "full & -- & -- " in (tmp_path / "ablation.tex").read_text("utf-8")
    assert '<td class="none">no data</td>' in (tmp_path / "ablation.html").read_text("utf-8")


def test_the_command_prints_the_table_and_writes_its_files(tmp_path, cli) -> None:
    path = write_study(tmp_path, training={"steps": 2, "batch_size": 8})
    answer = cli("ablate", path, "--jobs", 1)
    assert answer.code == 0, answer.err
    assert "+ distribution matching" in answer.out
    assert "predecessors, given relations" in answer.out
    output = tmp_path / "runs" / "parts"
    found = {file.name for file in output.iterdir() if file.is_file()} - {".lock"}
    tables = {"ablation.json", "ablation.csv", "ablation.tex", "ablation.html"}
    assert found == tables | {"runs.jsonl"}
    record = json.loads((output / "ablation.json").read_text("utf-8"))
    assert record["command"] == "labelweave ablate study.yaml"
    assert record["seeds"] == [3]
    # one seed has no spread
    assert "±" not in answer.out.partition("accuracy")[0]

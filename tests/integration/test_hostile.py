"""Bad input and odd surroundings at the command line: one printable line, nothing half-done."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from benchmarks.fuzz.inputs import KINDS, MODEL, RESULTS, inputs
from benchmarks.fuzz.misuses import failure, misuses
from benchmarks.fuzz.run import example, tried
from command_line import CommandLine
from fastapi.testclient import TestClient
from study_example import write_study

from labelweave.serving._service import make_app

FEW = 6  # hostile inputs of a class, in the quick tests
COMMAND = [sys.executable, "-m", "labelweave"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    example(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_small_corpus_of_hostile_inputs(kind: str, hostile: Path) -> None:
    given = inputs(kind, 0, 0.1, hostile)[:40]
    failed = {each.name: what for each, what in tried(given, hostile, float("inf")) if what}
    assert failed == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_hostile_inputs_of_each_class(kind: str, hostile: Path) -> None:
    every = inputs(kind, 1, 0.05, hostile)
    given = every[:: max(1, len(every) // FEW)][:FEW]
    failed = {each.name: what for each, what in tried(given, hostile, float("inf")) if what}
    assert failed == {}


def test_wrong_calls_from_python_are_one_line_of_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    failed = {each.name: what for each in misuses(0, 0.1) if (what := failure(each)) is not None}
    assert failed == {}


@pytest.mark.slow
def test_all_wrong_calls_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed = {each.name: what for each in misuses() if (what := failure(each)) is not None}
    assert failed == {}


def test_an_escape_never_reaches_the_terminal(tmp_path: Path, cli: CommandLine) -> None:
    path = write_study(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("a.csv", '"\\e[31ma.csv"', 1), encoding="utf-8")
    said = cli.refused("check", path)
    assert "\x1b" not in said
    assert "\\x1b[31ma.csv" in said
    assert "\x1b" not in cli.refused("check", tmp_path / "\x1b[31m\n.yaml")


def test_control_characters_in_the_classes_of_a_table_are_refused(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path, relations=[], methods=["single_task", "multi_task"])
    texts = {name: (tmp_path / f"{name}.csv").read_text("utf-8") for name in "ab"}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text.replace("bolt", "bo\x1b[31mlt"), "utf-8")
    for command in ("check", "run"):
        answer = cli(command, path)
        assert answer.code == 2
        assert "classes: found 'bo\\x1b[31mlt', expected no control characters" in answer.err
        assert "\x1b" not in answer.out + answer.err


@pytest.mark.slow
def test_control_characters_in_categories_are_escaped_wherever_they_are_shown(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path, relations=[], methods=["single_task", "multi_task"])
    for name in "ab":
        text = (tmp_path / f"{name}.csv").read_text("utf-8")
        (tmp_path / f"{name}.csv").write_text(text.replace("red", "r\x1b[31m\u202eed"), "utf-8")
    answers = [
        cli("check", path), cli("run", path, "--jobs", 1),
        cli("predict", tmp_path / "runs" / "parts", tmp_path / "a.csv"),
    ]  # fmt: skip
    assert [each.code for each in answers] == [0, 0, 0]
    assert not any("\x1b" in each.out + each.err for each in answers)
    for file in (tmp_path / "runs" / "parts").iterdir():
        if file.is_file() and file.suffix != ".png":
            assert b"\x1b" not in file.read_bytes(), file.name


@pytest.mark.parametrize("place", ["study.yaml", "a.csv", "knowledge.csv"])
def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(
    place: str, tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path)
    (tmp_path / place).unlink()
    os.mkfifo(tmp_path / place)
    answer = cli("check", path)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "a named pipe, expected a regular file" in answer.err or "no such file" in answer.err


def test_a_model_takes_no_method_or_seed_and_its_input_is_not_overwritten(
    hostile: Path, tmp_path: Path, cli: CommandLine
) -> None:
    model, table = hostile / MODEL, hostile / "a.csv"
    for option in (("--seed", 99), ("--method", "full")):
        said = cli.refused("predict", model, table, *option)
        assert said.startswith(f"{model}: found '{option[0]} {option[1]}', expected none")
    own = tmp_path / "a.csv"
    shutil.copy(table, own)
    before = own.read_bytes()
    said = cli.refused("predict", model, own, "--out", own)
    assert said == f"{own}: is the table to predict, expected another file to write"
    assert own.read_bytes() == before


def test_a_header_with_a_stray_quote_is_named(tmp_path: Path, cli: CommandLine) -> None:
    path = write_study(tmp_path)
    table = tmp_path / "a.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text('"' + text.replace("\n", '"\n', 1), encoding="utf-8")
    assert "has 6 values, expected 1 as in the header" in cli.refused("check", path)


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    found = subprocess.run(
        [*COMMAND, "check", str(path)], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.slow
def test_a_terminal_in_latin_1_and_no_home(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    table = tmp_path / "a.csv"
    table.write_text(table.read_text("utf-8").replace("bolt", "ボルト"), "utf-8")
    knowledge = tmp_path / "knowledge.csv"
    knowledge.write_text(knowledge.read_text("utf-8").replace("bolt", "ボルト"), "utf-8")
    table = tmp_path / "b.csv"
    table.write_text(table.read_text("utf-8").replace("bolt", "ボルト"), "utf-8")
    around = {k: v for k, v in os.environ.items() if k not in ("HOME", "LANG", "LC_ALL")}
    found = subprocess.run(
        [*COMMAND, "check", str(path)], capture_output=True, check=False,
        env=around | {"PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert b"\\u30dc" in found.stdout


@pytest.mark.parametrize(
    "error",
    [MemoryError(), ImportError("libx.so: failed to map segment from shared object")],
)
def test_a_memory_limit_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, cli: CommandLine
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("labelweave.experiments.read_study_file", full)
    answer = cli("check", "study.yaml")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith("labelweave: out of memory; try")


@pytest.mark.parametrize("content", ["{}", "[1]", "null", '{"seconds": "x"}', "[" * 10_000])
def test_a_damaged_record_is_named_with_what_helps(
    content: str, hostile: Path, tmp_path: Path, cli: CommandLine
) -> None:
    results = shutil.copytree(hostile, tmp_path / "copy") / RESULTS
    for record in (results / "runs").glob("*/run.json"):
        record.write_text(content, encoding="utf-8")
    said = cli.refused("compare", results, results)
    assert "run.json: cannot be read (" in said
    assert "remove the folder" in said


def test_a_model_that_is_half_written_is_refused(
    hostile: Path, tmp_path: Path, cli: CommandLine
) -> None:
    whole, table = hostile / MODEL, hostile / "a.csv"
    for name in ("model.json", "weights.safetensors"):
        part = tmp_path / f"without {name}"
        shutil.copytree(whole, part)
        (part / name).unlink()
        assert str(part) in cli.refused("predict", part, table)
        data = (whole / name).read_bytes()
        for share in (0.0, 0.5, 0.99):
            (part / name).write_bytes(data[: int(len(data) * share)])
            assert str(part) in cli.refused("predict", part, table)


SERIAL, OWNER = "SN-7", "Owner-Ohm"
WORDS = [
    "anna.", "Musterfrau", "was not at home", "+49 30", "Operator-Otto", "Customer-Kaiser",
    "Customer-Unknown", OWNER, SERIAL,
]  # fmt: skip


def planted_study(folder: Path) -> Path:
    """Write a study with personal data in columns of every kind; return its file."""
    path = write_study(
        folder, methods=["multi_task"], label_next=5, inputs={"hashed": ["customer"]},
        sources=[
            {"path": f"{name}.csv", "exclude": ["operator"], "identifier": ["serial"],
             "group": "owner"}
            for name in "ab"
        ],
    )  # fmt: skip
    for name in ("a", "b"):
        table = pd.read_csv(folder / f"{name}.csv", dtype=str)
        rows = [f"{name}{i:03d}x" for i in range(len(table))]
        table["contact"] = [f"anna.{row}@example.org" for row in rows]
        table["person"] = [f"Erika Musterfrau-{row}" for row in rows]
        table["remark"] = [f"the customer {row} was not at home today" for row in rows]
        table["phone"] = [f"+49 30 {i:03d} {i + 1000}" for i in range(len(table))]
        table["operator"] = [f"Operator-Otto-{i % 3}" for i in range(len(table))]
        table["customer"] = [f"Customer-Kaiser-{i % 3}" for i in range(len(table))]
        table["owner"] = [f"{OWNER}-{row}" for row in rows]
        table["serial"] = [f"{SERIAL}-{row}" for row in rows]
        table.to_csv(folder / f"{name}.csv", index=False)
    return path


@pytest.mark.slow
def test_personal_data_of_any_column_reach_no_file_and_no_log(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = planted_study(tmp_path)
    results, new = tmp_path / "runs" / "parts", tmp_path / "new.csv"
    table = pd.read_csv(tmp_path / "a.csv", dtype=str)
    table["customer"] = "Customer-Unknown"
    table.to_csv(new, index=False)
    tables = [tmp_path / f"{name}.csv" for name in "ab"]
    searched = tmp_path / "searched.yaml"  # a search needs validation rows
    content = yaml.safe_load(path.read_text("utf-8"))
    content |= {"name": "searched", "split": {"test": 60, "validation": 40}}
    searched.write_text(yaml.safe_dump(content), encoding="utf-8")
    answers = [
        cli("init", *tables, "--out", tmp_path / "own.yaml"),
        cli("check", path), cli("check", path, "--json"), cli("check", tmp_path / "own.yaml"),
        cli("relate", path, "--save", tmp_path / "tables"),
        cli("run", path, "--jobs", 1), cli("report", results), cli("compare", results, results),
        cli("predict", results, new, "--out", tmp_path / "predicted.csv"),
        cli("tune", searched, "--trials", 2), cli("ablate", path, "--jobs", 1),
        cli("finish", results),
    ]  # fmt: skip
    assert [each.code for each in answers] == [0] * len(answers), answers
    assert "left out" in answers[1].out
    files = {file for file in tmp_path.rglob("*") if file.is_file()} - {*tables, new}
    assert any(file.name == "model.json" for file in files)
    for word in WORDS:
        holding = {file.name for file in files if word.encode() in file.read_bytes()}
        # identifiers are kept next to predictions: that is what they are for
        assert holding == ({"predicted.csv"} if word == SERIAL else set()), word
        shown = [line for each in answers for line in (each.out + each.err).splitlines()]
        assert [line for line in shown if word in line] == []


@pytest.mark.slow
def test_personal_data_reach_no_file_of_a_model_in_use(tmp_path: Path, cli: CommandLine) -> None:
    path = planted_study(tmp_path)
    content = yaml.safe_load(path.read_text())
    content |= {
        "use": "research", "statistics": {"replicates": 100, "by": "colour"},
        "label_tools": ["label_studio", "prodigy"],
    }  # fmt: skip
    for source in content["sources"]:
        source["license"] = "own"
    path.write_text(yaml.safe_dump(content))
    model, rows = tmp_path / "runs" / "parts" / "model", tmp_path / "a.csv"
    new = tmp_path / "new.csv"
    pd.read_csv(rows, dtype=str)[:40].assign(customer="Customer-Unknown").to_csv(new, index=False)
    (tmp_path / "gone.csv").write_text("source,row\na,1\na,2\n")
    answers = [
        cli("run", path, "--jobs", 1), cli("finish", path, "--method", "multi_task"),
        cli("card", model, rows, "--by", "colour", "--out", tmp_path / "card.md"),
        cli("fairness", model, rows, "--by", "colour", "--out", tmp_path / "fairness.json"),
        cli("explain", model, rows, "--labelled", rows, "--rows", 3, "--out", tmp_path / "why"),
        cli("croissant", path, "--url", "https://example.org", "--creator", "Lab",
            "--out", tmp_path / "croissant.json"),
        cli("audit", model, "--write"), cli("forget", model, "--rows", tmp_path / "gone.csv"),
        cli("predict", model, rows, "--sets", 0.8, "--out", tmp_path / "predicted.csv"),
        *(cli("export", model, "--format", kind, "--rows", rows) for kind in ("torch", "onnx")),
    ]  # fmt: skip
    assert [each.code for each in answers] == [0] * len(answers), answers
    answers += [  # 1: rows unlike those of the fit, a task falls, no version before
        cli("monitor", model, "--batch", new, "--page", tmp_path / "june.html",
            "--json", tmp_path / "june.json", "--metrics", tmp_path / "june.prom"),
        cli("update", model, "--source", new, "--like", "a", "--folds", 2),
        cli("rollback", model),
    ]  # fmt: skip
    assert {each.code for each in answers} <= {0, 1}, answers
    log = tmp_path / "decisions.jsonl"
    with TestClient(make_app(model, keys=(), decisions=log)) as client:
        table = pd.read_csv(rows, dtype=str)[:5]
        sent = client.post("/predict", content=table.to_csv(index=False),
                           headers={"Content-Type": "text/csv"})  # fmt: skip
        assert sent.status_code == 200, sent.text
        metrics = client.get("/metrics").text
    assert cli("audit", model, "--log", log).code == 0
    files = {file for file in tmp_path.rglob("*") if file.is_file()}
    files -= {rows, tmp_path / "b.csv", new}
    tools = {"label_next.label_studio.json", "label_next.prodigy.jsonl"}
    assert {
        "card.md", "final.json", "sets.json", "decisions.jsonl", "model.pt2", "model.onnx",
        "june.html", "label_next.csv",
    } <= {f.name for f in files}  # fmt: skip
    for word in WORDS:
        holding = {file.name for file in files if word.encode() in file.read_bytes()}
        kept = {"predicted.csv", *tools} if word == SERIAL else set()
        # who labels a row sees its inputs, those that the model keeps as hashes, too
        assert holding == (tools if word == "Customer-Kaiser" else kept), word
        shown = [line for each in answers for line in (each.out + each.err).splitlines()]
        assert [line for line in [*shown, *metrics.splitlines()] if word in line] == []

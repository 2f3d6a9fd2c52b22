import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from study_example import content, write_study

import labelweave
from labelweave._validation import documented_schema
from labelweave.errors import TrainingError
from labelweave.experiments import StudyConfig
from labelweave.experiments import _runs as runs

COMMANDS = (
    "demo", "case", "init", "check", "relate", "run", "tune", "compare", "report", "ablate",
    "predict", "schema",
)  # fmt: skip


def test_the_version_needs_no_heavy_import() -> None:
    code = (
        "import sys; sys.argv = ['labelweave', '--version']\n"
        "from labelweave.cli import main\n"
        "try: main()\n"
        "except SystemExit as ended: code = ended.code\n"
        "heavy = {'torch', 'numpy', 'pandas', 'sklearn', 'pydantic', 'matplotlib'}\n"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"labelweave {labelweave.__version__}\n0 []\n"


def test_the_package_runs_as_a_module() -> None:
    asked = [sys.executable, "-m", "labelweave", "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout == f"labelweave {labelweave.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, cli: CommandLine) -> None:
    answer = cli(command, "--help")
    assert answer.code == 0
    assert f"labelweave {command}" in answer.out
    assert re.search("Examples?", answer.out)
    assert answer.err == ""


def test_help_names_every_command(cli: CommandLine) -> None:
    answer = cli("-h")
    assert answer.code == 0
    for command in COMMANDS:
        assert f" {command} " in answer.out


@pytest.mark.parametrize("arguments", [["chek"], ["run"], ["run", "a", "b"], ["demo", "cats"]])
def test_a_wrong_command_line_has_exit_code_2(arguments: list[str], cli: CommandLine) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert "Error" in answer.err


def test_check_prints_the_coverage_and_trains_nothing(tmp_path: Path, cli: CommandLine) -> None:
    path = write_study(tmp_path)
    answer = cli("check", path)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "task form: multilabel, 'round', 'hole'" in lines
    assert "rows: 180 training, 0 validation, 60 test; inputs: 7" in lines
    assert "relation kind->form: knowledge table knowledge.csv, 6 of 6 entries known" in lines
    assert any(re.match(r"│ a +│ kind +│ +\d+ │", line) for line in lines)
    assert lines[-1] == f"Found: 1 serious, 1 warning. Next: labelweave run {path}"
    assert {file.name for file in tmp_path.iterdir()} == {
        "a.csv", "b.csv", "knowledge.csv", "study.yaml"
    }  # fmt: skip


def test_run_prints_the_table_and_where_the_report_is(tmp_path: Path, cli: CommandLine) -> None:
    path = write_study(tmp_path)
    answer = cli("run", path, "--jobs", 1, "--language", "ja")
    assert answer.code == 0
    assert '<html lang="ja">' in (tmp_path / "runs/parts/report.html").read_text(encoding="utf-8")
    lines = answer.out.splitlines()
    decision = next(i for i, line in enumerate(lines) if line.startswith("Recommended")) - 1
    assert len(lines) - decision <= 15
    assert re.search(r"\nkind +\d+\.\d", answer.out)
    assert "single_task  " not in answer.out
    assert re.search(r"single_task +\d+\.\d", cli("run", path, "--jobs", 1, "--all").out)
    report, after = answer.out.splitlines()[-2:]
    assert report == f"Report: {tmp_path}/runs/parts/report.html"
    assert after.startswith(f"Next: labelweave finish {tmp_path}/runs/parts (")
    assert answer.err == "", "no progress bar where there is no terminal"
    assert "\x1b" not in answer.out


def test_failed_runs_are_named_and_give_exit_code_1(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = runs.fit

    def failing(method: Any, *args: Any, **options: Any) -> Any:
        if method.name == "full":
            raise TrainingError("step 1: no number")
        return fit(method, *args, **options)

    monkeypatch.setattr(runs, "fit", failing)
    path = write_study(tmp_path)
    answer = cli("run", path, "--jobs", 1)
    assert answer.code == 1
    assert answer.err == "failed: full, seed 3: step 1: no number\n"
    assert "single_task" in answer.out
    assert (tmp_path / "runs" / "parts" / "report.html").exists()


@pytest.mark.slow
def test_a_run_that_diverges_is_named_in_the_terminal_and_in_every_report(
    tmp_path: Path, cli: CommandLine
) -> None:
    wild = {
        "method": "co_annotation",
        "name": "wild",
        "couplings": {"co_annotation": {"weight": 1e45}},
    }
    path = write_study(tmp_path, methods=["single_task", "full", wild], seeds=[3, 4])
    answer = cli("run", path, "--jobs", 2)
    assert answer.code == 1
    failed = answer.err.splitlines()
    reason = r"step \d+: (loss term '\S+' is \S+, expected a finite number \(.*\)|weight .*)"
    for seed in (3, 4):
        (line,) = (each for each in failed if each.startswith(f"failed: wild, seed {seed}: "))
        assert re.fullmatch(f"failed: wild, seed {seed}: {reason}", line)
    assert len(failed) == 2
    assert "full" in answer.out
    output = tmp_path / "runs" / "parts"
    results = json.loads((output / "results.json").read_text("utf-8"))
    assert list(results["methods"]) == ["single_task", "full"]
    page, short = ((output / f"report.{kind}").read_text("utf-8") for kind in ("html", "md"))
    for failure in results["failures"]:
        assert failure["method"] == "wild"
        assert failure["error"] in html.unescape(page)
        assert f"wild, seed {failure['seed']}" in short.replace("`", "")
        assert failure["error"] in html.unescape(short).replace("\\", "")
    assert {failure["seed"] for failure in results["failures"]} == {3, 4}


def test_when_all_fails_the_exit_code_is_1(tmp_path: Path, cli: CommandLine) -> None:
    training = {"steps": 40, "learning_rate": 100, "weight_decay": 1e6, "clip": None}
    answer = cli("run", write_study(tmp_path, training=training), "--jobs", 1)
    assert answer.code == 1
    assert re.match(r"labelweave: every method failed, the first: step \d+: .*\n$", answer.err)


@pytest.mark.parametrize("command", ["check", "run"])
def test_bad_input_gives_one_line(command: str, tmp_path: Path, cli: CommandLine) -> None:
    missing = tmp_path / "study.yml"
    assert cli.refused(command, missing) == f"{missing}: no such study file"
    assert cli.refused(command, tmp_path) == f"{tmp_path}: a folder, expected a study file (YAML)"
    path = write_study(tmp_path, seeds=0)
    assert cli.refused(command, path) == (
        f"{path}: key 'seeds': found 0, expected at least one seed"
    )
    path = write_study(tmp_path, sources=[{"path": "aa.csv"}])
    assert cli.refused(command, path) == (
        f"{tmp_path / 'aa.csv'}: no such file; did you mean 'a.csv'?"
    )
    assert not (tmp_path / "runs").exists()


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    return root["$defs"][name] if name else schema


def keys_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    sections = {"": schema, **schema["$defs"]}
    return [
        (f"{name}.{key}", entry)
        for name, section in sections.items()
        for key, entry in section.get("properties", {}).items()
    ]


def test_the_schema_knows_every_key_and_no_other(tmp_path: Path, cli: CommandLine) -> None:
    printed = cli("schema")
    assert printed.code == 0
    schema = json.loads(printed.out)
    assert schema == documented_schema(StudyConfig)
    assert [key for key, entry in keys_of(schema) if not entry.get("description")] == []
    assert len(list(keys_of(schema))) > 140
    assert cli("schema", "--out", tmp_path / "schema.json").out == ""
    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8")) == schema
    sections = [schema, *schema["$defs"].values()]
    assert all(section["additionalProperties"] is False for section in sections)
    for key, value in content().items():
        described = resolve(schema["properties"][key], schema)
        items = resolve(described.get("items", {}), schema)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                assert set(part) <= set((items or described)["properties"])


@pytest.mark.parametrize(("option", "key"), [("--seed", "seeds"), ("--methods", "methods")])
def test_an_option_that_is_a_key_of_the_study_file_is_hinted_at(
    option: str, key: str, cli: CommandLine
) -> None:
    assert cli.refused("run", "study.yaml", option, 3) == (
        f"option '{option}': 'labelweave run' has none, expected a key of the study file; did you "
        f"mean '{key}'?"
    )


def test_the_shell_completes_commands(monkeypatch: pytest.MonkeyPatch, cli: CommandLine) -> None:
    monkeypatch.setenv("_LABELWEAVE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "labelweave fini")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert cli().out.split() == ["finish"]

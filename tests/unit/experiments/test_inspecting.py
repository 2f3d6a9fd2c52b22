import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from hypothesis import given
from hypothesis import strategies as st
from study_example import tables, write_study

from labelweave.experiments import Inspection, parse_study, read_study_file
from labelweave.experiments._inspecting import finding_lines
from labelweave.experiments._power import detectable, labels_for
from labelweave.tables import DataFinding


def changed(folder: Path, **columns: Any) -> Path:
    """Write the example study, with seeds enough to detect 5 points; columns go to table b."""
    path = write_study(folder, seeds=12, split={"test": 0.4})
    table = pd.read_csv(folder / "b.csv")
    table.assign(**columns).to_csv(folder / "b.csv", index=False)
    return path


def test_a_study_without_a_fault_gives_its_description_only(
    tmp_path: Path, cli: CommandLine
) -> None:
    answer = cli("check", changed(tmp_path), "--strict")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].startswith("Nothing wrong found. Next: labelweave run ")


def test_a_serious_finding_ends_a_strict_check_with_1(tmp_path: Path, cli: CommandLine) -> None:
    code = tables()[1]["round"].map({1: "A", 0: "B"}).to_list()
    path = changed(tmp_path, code=code)
    expected = [
        "SERIOUS  column 'code', task 'form', label 'round': agrees with the label in 120 of 120 "
        "rows: a copy under another name",
        "         paste in its source:  exclude: [code]",
        f"Found: 1 serious. Next: labelweave run {path}",
    ]
    for options, exit_code in (([], 0), (["--strict"], 1)):
        answer = cli("check", path, *options)
        assert (answer.code, answer.err) == (exit_code, "")
        assert answer.out.splitlines()[-3:] == expected
    answer = cli("check", path, "--json", "--strict")
    assert answer.code == 1
    assert json.loads(answer.out) == {
        "error": None,
        "findings": [
            {
                "severity": "serious", "code": "gives_away",
                "place": "column 'code', task 'form', label 'round'",
                "evidence": "agrees with the label in 120 of 120 rows: a copy under another name",
                "paste": "exclude: [code]",
            }
        ],
    }  # fmt: skip


def test_findings_are_printed_before_what_stops_the_study(tmp_path: Path, cli: CommandLine) -> None:
    path = changed(tmp_path, kind="bolt")
    a = pd.read_csv(tmp_path / "a.csv").assign(kind="bolt")
    a.to_csv(tmp_path / "a.csv", index=False)
    answer = cli("check", path)
    assert answer.code == 2
    assert answer.out.strip() == "SERIOUS  task 'kind': all 240 labels are 'bolt'"
    assert answer.err == (
        "labelweave: column 'kind': found 'bolt', expected at least two classes\n"
    )
    answer = cli("check", path, "--json")
    content = json.loads(answer.out)
    assert content["error"] == "column 'kind': found 'bolt', expected at least two classes"
    assert [each["code"] for each in content["findings"]] == ["one_class"]


def test_a_finding_says_whether_a_column_is_left_out_or_enters(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        made=[str(day) for day in pd.date_range("2024-01-01", periods=120, freq="D")],
        remark=[f"the part with number {i} came back" for i in range(120)],
    )
    content = yaml.safe_load(path.read_text())
    evidence = {
        finding.place: finding.evidence
        for finding in Inspection(parse_study(dict(content)), tmp_path).findings
    }
    assert evidence == {
        "b, column 'made'": "left out of the inputs: dates",
        "b, column 'remark'": "left out of the inputs: a text for every row",
    }
    content["inputs"] = {"categorical": ["remark"], "dates": {"made": ["month"]}}
    found = Inspection(parse_study(content), tmp_path).findings
    assert [finding.evidence for finding in found] == ["enters as categories: a text for every row"]


def test_what_was_found_out_from_files_is_printed_before_what_stops_the_study(
    tmp_path: Path, cli: CommandLine
) -> None:
    path = changed(tmp_path)
    with pd.ExcelWriter(tmp_path / "b.xlsx") as book:
        pd.DataFrame({"a": ["legend"]}).to_excel(book, sheet_name="about", index=False)
        tables()[1].to_excel(book, sheet_name="data", index=False)
    path.write_text(path.read_text().replace("b.csv", "b.xlsx"))
    answer = cli("check", path)
    assert answer.code == 2
    note = f"note: {tmp_path / 'b.xlsx'}: sheet 'about' is read, not 'data'"
    assert answer.out.splitlines()[0] == note


def test_too_few_test_labels_are_found_with_what_would_help(tmp_path: Path) -> None:
    path = write_study(tmp_path, seeds=2, split={"test": 0.1})
    seen = Inspection(parse_study(json_of(path)), tmp_path)
    few = [found for found in seen.findings if found.code == "few_tests"]
    assert few[0] == DataFinding(
        "serious", "few_tests", "task 'form'",
        "with 2 seeds and 12 test labels, no possible change can be detected; with 5 seeds, 20 "
        "points; with 5 seeds and 48 test labels, 10 points; 5 points need 5 seeds and about 210 "
        "test labels",
        "seeds: 5",
    )  # fmt: skip


def test_one_task_and_no_relations_are_found(tmp_path: Path) -> None:
    path = write_study(tmp_path, relations=None, methods=None, seeds=12, split={"test": 0.4})
    seen = Inspection(parse_study(json_of(path)), tmp_path)
    (finding,) = seen.findings
    assert (finding.severity, finding.code) == ("note", "no_relations")
    assert "'full'" in finding.evidence
    assert finding.paste == (
        "relations: [{source: kind, targets: [form]}]   # counts rows with both labels"
    )
    assert seen.verdict == "Found: 1 note."
    path = write_study(
        tmp_path, tasks=[{"name": "kind"}], relations=None, methods=None, seeds=12,
        split={"test": 0.4}, sources=[{"path": "a.csv"}],
    )  # fmt: skip
    seen = Inspection(parse_study(json_of(path)), tmp_path)
    assert [each.code for each in seen.findings] == ["one_task"]
    assert seen.serious == 0


def json_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


@given(st.integers(2, 5000), st.integers(1, 12))
def test_more_labels_show_smaller_differences(labels: int, seeds: int) -> None:
    assert 0 < detectable(labels + 10, seeds, 0.95) <= detectable(labels, seeds, 0.95) <= 1


def test_the_smallest_difference_is_what_a_test_of_known_power_finds() -> None:
    # many seeds of many rows: the normal approximation, (1.96 + 0.84) standard errors
    standard_error = (0.1 / (1000 * 200)) ** 0.5
    assert detectable(1000, 200, 0.95) == pytest.approx(2.80 * standard_error, rel=0.02)
    assert detectable(1, 1, 0.95) == 1


@given(st.sampled_from([0.02, 0.05, 0.1]), st.integers(2, 12), st.integers(1, 20))
def test_the_labels_that_are_needed_are_enough_and_hardly_more(
    change: float, seeds: int, tests: int
) -> None:
    needed = labels_for(change, seeds, 0.95, tests)
    if needed is not None:  # two seeds cannot decide about many tasks
        assert detectable(needed, seeds, 0.95, tests) <= change
        assert detectable(round(0.8 * needed) - 1, seeds, 0.95, tests) > change


def test_more_tasks_need_larger_changes() -> None:
    assert detectable(200, 5, 0.95, 9) > detectable(200, 5, 0.95, 1)


def test_lines_name_where_to_paste() -> None:
    given = [
        DataFinding("warning", "x", "a", "seen", "group: lot"),
        DataFinding("note", "y", "tasks", "seen", "seeds: 5"),
        DataFinding("note", "z", "tasks", "seen"),
    ]
    assert finding_lines(given) == [
        "WARNING  a: seen",
        "         paste in its source:  group: lot",
        "NOTE     tasks: seen",
        "         paste in the study:  seeds: 5",
        "NOTE     tasks: seen",
    ]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("a.csv", "a.csv' is no folder"), ("a.csv/x", "a.csv' is no folder"),
        ("nul\x00", "expected no control characters"), ("x" * 300, "File name too long"),
        ("\ud800", "expected no control characters"), ("link", "a link that leads nowhere"),
    ],
)  # fmt: skip
def test_an_output_that_run_refuses_is_refused_by_check(
    output: str, expected: str, tmp_path: Path, cli: CommandLine
) -> None:
    path = write_study(tmp_path)
    content = yaml.safe_load(path.read_text("utf-8")) | {"output": output}
    path.write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "link").symlink_to("nowhere")
    before = sorted(each.name for each in tmp_path.iterdir())
    for command in ("check", "run"):
        answer = cli(command, path)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
        assert expected in answer.err
    assert sorted(each.name for each in tmp_path.iterdir()) == before


def test_codes_are_looked_at_as_the_study_reads_them(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    for name, codes in (("a", ["1", "2", "3"]), ("b", ["A1", "2", "a1", "A1"])):
        table = pd.read_csv(tmp_path / f"{name}.csv", dtype=str)
        table["code"] = [codes[i % len(codes)] for i in range(len(table))]
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    seen = Inspection(read_study_file(path), tmp_path)
    found = [f for f in seen.findings if f.code == "similar_categories"]
    assert [(f.place, f.paste) for f in found] == [("b, column 'code'", "map: {code: {a1: A1}}")]


def test_a_class_with_one_label_is_found(tmp_path: Path) -> None:
    path = write_study(tmp_path)
    table = pd.read_csv(tmp_path / "a.csv", dtype=str)
    table.loc[0, "kind"] = "washer"
    table.to_csv(tmp_path / "a.csv", index=False)
    knowledge = pd.read_csv(tmp_path / "knowledge.csv")
    knowledge.loc[len(knowledge)] = ["washer", 1, 1]
    knowledge.to_csv(tmp_path / "knowledge.csv", index=False)
    found = Inspection(read_study_file(path), tmp_path).findings
    rare = [f for f in found if f.code == "rare_class"]
    assert [f.place for f in rare] == ["task 'kind'"]
    assert "'washer'" in rare[0].evidence

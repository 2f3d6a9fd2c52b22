from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

from labelweave.tables import DataFinding, SourceTable, inspect_tables
from labelweave.tables._column_kinds import called, grouping, personal
from labelweave.tables._findings import evenly, mistyped, near_pairs, normalized, spelled_apart
from labelweave.tasks import Binary, Multiclass, Task

TASKS: list[Task] = [Multiclass("severity"), Binary("leak")]
ROWS = 240


def station(seed: int) -> pd.DataFrame:
    """Return a clean table: two inputs that say something of two labels, and a category."""
    rng = np.random.default_rng(seed)
    severity = rng.integers(3, size=ROWS)
    leak = rng.integers(2, size=ROWS)
    return pd.DataFrame(
        {
            "torque": (50 + 4 * severity + rng.normal(0, 4, ROWS)).round(3),
            "pressure": (2 + leak + rng.normal(0, 1, ROWS)).round(3),
            "tool": rng.choice(["north", "south", "centre"], ROWS),
            "severity": np.array(["minor", "major", "critical"])[severity],
            "leak": np.array(["no", "yes"])[leak],
        }
    )


def tables(change: Callable[[pd.DataFrame], Any] | None = None) -> list[SourceTable]:
    """Return two clean sources; a change is made to the second one's table."""
    a, b = station(1), station(2)
    if change is not None:
        changed = change(b)
        b = b if changed is None else changed
    labels = {"severity", "leak"}
    return [
        SourceTable(name, frame, tuple(c for c in frame.columns if c not in labels))
        for name, frame in (("a", a), ("b", b))
    ]


def found(
    change: Callable[[pd.DataFrame], Any] | None = None, tasks: Sequence[Task] = TASKS
) -> list[DataFinding]:
    return inspect_tables(tables(change), tasks)


def test_clean_tables_give_nothing() -> None:
    assert found() == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_public_data_sets_give_nothing_serious(name: str) -> None:
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame.assign(target=bunch.target_names[bunch.target].astype(str))
    half = np.random.default_rng(0).integers(2, size=len(frame)) == 0
    inputs = tuple(bunch.data.columns)
    parts = [
        SourceTable(n, frame[h].reset_index(drop=True), inputs)
        for n, h in (("a", half), ("b", ~half))
    ]
    assert inspect_tables(parts, [Multiclass("target")]) == []


def rename(names: dict[str, str]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.rename(columns=names)


def put(column: str, row: int | slice, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[row, column] = value

    return change


def add(column: str, make: Callable[[pd.DataFrame], Any]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: make(frame)})


def numbered(prefix: str, rows: int) -> Callable[[pd.DataFrame], list[str]]:
    return lambda frame: [f"{prefix}{i // rows:04}" for i in range(len(frame))]


def remark(frame: pd.DataFrame) -> list[str]:
    texts = {"critical": "found critical at {}", "major": "scrapped {}", "minor": "fine {}"}
    return [texts[s].format(i) for i, s in enumerate(frame["severity"])]


CODES = {"minor": "A", "major": "B", "critical": "C"}
CASES: list[tuple[Callable[[pd.DataFrame], Any], DataFinding]] = [
    (
        rename({"torque": "drehmoment", "pressure": "druck", "tool": "werkzeug"}),
        DataFinding(
            "serious", "no_shared_inputs", "a",
            "shares no input column with the other sources: 'torque', 'pressure', 'tool' here, "
            "'drehmoment', 'druck', 'werkzeug' there; nothing that is learnt of one helps the "
            "other",
        ),
    ),
    (
        rename({"torque": "Torque "}),
        DataFinding(
            "warning", "similar_columns", "b", "'Torque ' is 'torque' elsewhere",
            "rename: {'Torque ': torque}",
        ),
    ),
    (
        put("severity", 3, "Critical "),
        DataFinding(
            "serious", "similar_classes", "b, column 'severity'",
            "classes that differ by case, blanks or Unicode form: 'Critical ' (1) and 'critical'",
            "map: {severity: {'Critical ': critical}}",
        ),
    ),
    (
        put("severity", 3, "critcal"),
        DataFinding(
            "warning", "similar_classes", "b, column 'severity'",
            "classes that differ by one letter: 'critcal' (1) and 'critical'",
            "map: {severity: {critcal: critical}}",
        ),
    ),
    (
        put("tool", 3, "ｎorth"),
        DataFinding(
            "warning", "similar_categories", "b, column 'tool'",
            "categories that are likely one: 'ｎorth' (1) and 'north'",
            "map: {tool: {ｎorth: north}}",
        ),
    ),
    (
        add("torque", lambda frame: frame["torque"] * 1000),
        DataFinding(
            "serious", "units", "b, column 'torque'",
            "median 5.333e+04 here, 53.92 in a: 1000 times larger, likely another unit",
            "exclude: [torque]   # or convert the column in the file",
        ),
    ),
    (
        add("torque", lambda frame: frame["torque"] * 0.3 + 500),
        DataFinding(
            "warning", "distribution", "b, column 'torque'",
            "median 516 here, 53.92 in a; the ranges do not overlap",
        ),
    ),
    (
        add("tool", lambda frame: frame["tool"].map({"north": "1a", "south": "1b", "centre": "2"})),
        DataFinding(
            "note", "other_categories", "a, column 'tool'",
            "none in common: 'centre', 'north', 'south' here, '1a', '1b', '2' elsewhere",
        ),
    ),
    (
        add("code", lambda frame: frame["severity"].map(CODES)),
        DataFinding(
            "serious", "gives_away", "column 'code', task 'severity'",
            "agrees with the label in 240 of 240 rows: a copy under another name",
            "exclude: [code]",
        ),
    ),
    (
        add("alarm", lambda frame: 3 + (frame["leak"] == "yes") + frame["torque"] / 1e5),
        DataFinding(
            "warning", "gives_away", "column 'alarm', task 'leak'",
            "a threshold on it separates the two classes in all 240 rows", "exclude: [alarm]",
        ),
    ),
    (
        add("remark", remark),
        DataFinding(
            "serious", "gives_away", "column 'remark', task 'severity'",
            "the text names the label: 'critical' stands in 83 of 83 rows that have it and in 0 "
            "others",
            "exclude: [remark]",
        ),
    ),
    (
        add("verdict", lambda frame: np.random.default_rng(5).choice(["OK", "NG"], len(frame))),
        DataFinding(
            "warning", "label_like_input", "b, column 'verdict'",
            "is an input, but is called like a label ('NG', 'OK')",
            "tasks: [{name: verdict}]   # or exclude: [verdict]",
        ),
    ),
    (
        add("shift", lambda frame: np.random.default_rng(5).choice(["day", "late"], len(frame))),
        DataFinding(
            "warning", "label_like_input", "b, column 'shift'",
            "is an input, but is absent from 'a', as labels are ('day', 'late')",
            "tasks: [{name: shift}]   # or exclude: [shift]",
        ),
    ),
    (
        add("note", lambda frame: [f"measured at {i}" for i in range(len(frame))]),
        DataFinding(
            "warning", "text_input", "b, column 'note'",
            "enters as categories: a text for every row", "exclude: [note]",
        ),
    ),
    (
        add("who", lambda frame: [f"p{i % 7}@example.org" for i in range(len(frame))]),
        DataFinding(
            "warning", "personal_data", "b, column 'who'",
            "among the inputs; 100% of its values look like e-mail addresses", "exclude: [who]",
        ),
    ),
    (
        add("made", lambda frame: pd.date_range("2024-01-01", periods=len(frame))),
        DataFinding(
            "warning", "dates", "b, column 'made'", "enters as categories: dates",
            "exclude: [made]",
        ),
    ),
    (
        add("row", lambda frame: range(len(frame))),
        DataFinding(
            "warning", "identifier", "b, column 'row'", "a number for every row", "exclude: [row]"
        ),
    ),
    (
        add("serial", numbered("SN-", 3)),
        DataFinding(
            "warning", "group_candidate", "b, column 'serial'",
            "80 values in 240 rows: rows that belong together may stand on both sides of a split",
            "group: serial",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), CASES, ids=lambda case: getattr(case, "code", ""))
def test_what_is_wrong_is_found_and_nothing_else(
    change: Callable[[pd.DataFrame], Any], expected: DataFinding
) -> None:
    given = found(change)
    if expected.code == "no_shared_inputs":  # of both sources
        assert [each.place for each in given if each.code == expected.code] == ["a", "b"]
        assert expected in given
    else:
        assert given == [expected]
    assert not expected.paste or isinstance(yaml.safe_load(expected.paste), dict)


def test_labels_that_say_the_same_of_every_row() -> None:
    unmarked = "; a row that is not marked reads as missing"
    for value, code, words in (("yes", "only_positives", unmarked), ("no", "only_negatives", "")):
        parts = [replace(t, frame=t.frame.assign(leak=value)) for t in tables()]
        evidence = f"all 480 labels are {value}{words}"
        expected = DataFinding("serious", code, "task 'leak', column 'leak'", evidence)
        assert inspect_tables(parts, TASKS) == [expected]
    parts = [replace(t, frame=t.frame.assign(severity="minor")) for t in tables()]
    assert inspect_tables(parts, TASKS) == [
        DataFinding("serious", "one_class", "task 'severity'", "all 480 labels are 'minor'")
    ]
    parts = [replace(t, frame=t.frame.assign(severity=None)) for t in tables()]
    assert [f.code for f in inspect_tables(parts, TASKS)] == ["no_labels"]


def test_groups_with_gaps_of_one_row_and_one_for_all() -> None:
    def grouped(values: Sequence[Any]) -> list[DataFinding]:
        table = tables()[0]
        frame = table.frame.assign(lot=values)
        return inspect_tables([replace(table, frame=frame, group="lot")], TASKS)

    lots = [f"L{i // 4}" for i in range(ROWS)]
    assert grouped(lots) == []
    assert grouped([None, None, *lots[2:]]) == [
        DataFinding(
            "warning", "group_gaps", "a, group 'lot'",
            "2 of 240 rows have no group; each is one by itself",
        )
    ]  # fmt: skip
    assert [f.code for f in grouped([str(i) for i in range(ROWS)])] == ["single_groups"]
    assert [f.code for f in grouped(["L1"] * ROWS)] == ["one_group"]
    both = [
        replace(each, frame=each.frame.assign(lot=[f"s{i}" for i in range(ROWS)]), group="lot")
        for each in tables()
    ]
    assert inspect_tables(both, TASKS) == [], "each sample has a row in either source"


def test_media_are_inputs_by_their_content() -> None:
    parts = tables(add("remark", remark))
    assert inspect_tables(parts, TASKS, ["remark"]) == []


def test_units_are_known_by_their_factor() -> None:
    for scale, shift, words in (
        (1 / 1000, 0, "1000 times smaller"),
        (1 / 25.4, 0, "25.4 times (inches and mm) smaller"),
        (1.8, 32, "as °F here and °C there"),
        (1, 273.15, "as K here and °C there"),
    ):
        given = found(add("torque", lambda f, a=scale, b=shift: f["torque"] * a + b))  # type: ignore[misc]
        assert [each.code for each in given] == ["units"]
        assert f": {words}, likely another unit" in given[0].evidence


def test_units_of_numbers_around_zero_are_known_by_their_spread() -> None:
    def drift(scale: float) -> list[DataFinding]:
        parts = []
        for seed, part in enumerate(tables()):
            values = np.random.default_rng(seed).normal(size=ROWS) * (1, scale)[seed]
            frame = part.frame.assign(drift=values.round(3))
            parts.append(replace(part, frame=frame, inputs=(*part.inputs, "drift")))
        return inspect_tables(parts, TASKS)

    (finding,) = drift(1000)
    assert (finding.severity, finding.code, finding.place) == (
        "serious", "units", "b, column 'drift'"
    )  # fmt: skip
    assert finding.evidence.startswith("half of the values in -")
    assert finding.evidence.endswith(" in a: 1000 times larger, likely another unit")
    assert drift(3) == []


def test_one_source_of_three_is_the_odd_one() -> None:
    parts = tables(add("torque", lambda frame: frame["torque"] * 1000))
    parts = [replace(parts[1], name="c"), parts[0], SourceTable("b", station(3), parts[0].inputs)]
    assert [each.place for each in inspect_tables(parts, TASKS)] == ["c, column 'torque'"]


@given(st.text("abcdé0", max_size=9), st.text("abcdé0", max_size=9))
def test_near_pairs_are_those_that_are_mistyped(a: str, b: str) -> None:
    assert bool(near_pairs([a, b])) == mistyped(a, b) == mistyped(b, a)


def test_what_is_mistyped() -> None:
    near = [
        ("critical", "critcal"),
        ("critical", "critica"),
        ("critical", "cirtical"),
        ("scratch", "skratch"),
    ]
    apart = [
        ("class1", "class2"),
        ("male", "female"),
        ("left", "lent"),
        ("a-b-c", "a-b_c"),
        ("", "abcde"),
    ]
    assert all(mistyped(a, b) for a, b in near)
    assert not any(mistyped(a, b) for a, b in apart)


def test_two_frequent_words_of_one_source_are_two_words() -> None:
    assert spelled_apart({"a": {"adult": 50, "adults": 40}}) == {}
    assert spelled_apart({"a": {"adult": 50}, "b": {"adults": 40}}) == {"adults": ("adult", False)}
    assert spelled_apart({"a": {"adult": 50, "Adult ": 40}}) == {"Adult ": ("adult", True)}


@given(st.text(max_size=20))
def test_the_plain_form_is_its_own(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)


def test_what_a_columns_name_says() -> None:
    assert called("operatorName", ("operator",), ())
    assert called("first_name", ("firstname",), ())
    assert called("ロット番号", (), ("ロット",))
    assert not called("collot", ("lot",), ())
    assert personal("tel", [pd.Series(["+49 170 1234", "0170-555-1234"] * 9)]) is not None
    assert personal("when", [pd.Series(["2024-01-02", "2024-01-03"] * 9)]) is None
    assert (
        grouping("lot", [pd.Series([f"{i // 5}" for i in range(100)])]) == "20 values in 100 rows"
    )
    assert grouping("kind", [pd.Series([f"{i % 3}" for i in range(100)])]) is None


def test_a_million_rows_take_seconds() -> None:
    rows = 1_000_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    frame["tool"] = rng.choice(["north", "south"], rows)
    frame["severity"] = rng.choice(["minor", "major"], rows)
    started = perf_counter()
    table = SourceTable("a", frame, (*"abcde", "tool"))
    assert inspect_tables([table], [Multiclass("severity")]) == []
    assert perf_counter() - started < 20  # some 0.5 s on a free core
    assert len(evenly(rows, 100)) == 100

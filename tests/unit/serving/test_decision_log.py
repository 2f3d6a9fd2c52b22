"""The log of decisions: what it holds, what it does not, and that a change is seen."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from study_example import tables

from labelweave import LabelweaveError
from labelweave.serving._decision_log import DecisionLog, check_decisions, fingerprint
from labelweave.serving._service import make_app

ENTRY = {"who": "-", "model": "parts", "version": 1, "rows": 2, "labels": {"kind": {"gear": 2}}}


def test_lines_are_appended_over_restarts_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for number in (1, 2, 3):
        log = DecisionLog(path)
        log.write(**(ENTRY | {"rows": number}))
        log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["rows"] for line in lines] == [1, 2, 3]
    assert lines[0]["before"] == "0" * 64
    assert check_decisions(path)[0] == 3
    assert path.stat().st_mode & 0o077 == 0, "only its owner may read it"


@pytest.mark.parametrize("change", ["changed", "taken out", "swapped"])
def test_a_line_that_is_changed_taken_out_or_swapped_is_seen(tmp_path: Path, change: str) -> None:
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path)
    for number in (1, 2, 3):
        log.write(**(ENTRY | {"rows": number}))
    log.close()
    one, two, three = path.read_text().splitlines()
    kept = {
        "changed": [one.replace('"rows": 1', '"rows": 9'), two, three],
        "taken out": [one, three],
        "swapped": [two, one, three],
    }[change]
    path.write_text("\n".join(kept) + "\n")
    with pytest.raises(LabelweaveError, match=r"line [12]: does not follow the line before it"):
        check_decisions(path)
    with pytest.raises(LabelweaveError, match=r"the log was changed$"):
        DecisionLog(path)


def test_with_the_noted_hash_lines_taken_off_the_end_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path)
    for number in (1, 2, 3):
        log.write(**(ENTRY | {"rows": number}))
    noted = check_decisions(path)[1]
    log.write(**(ENTRY | {"rows": 4}))
    log.close()
    assert check_decisions(path, noted)[0] == 4
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert check_decisions(path)[0] == 2  # the chain alone does not show it
    with pytest.raises(LabelweaveError) as caught:
        check_decisions(path, noted)
    assert str(caught.value) == (
        f"{path}: no line has the noted hash '{noted}'; lines were changed or taken off"
    )


def test_a_cut_line_and_no_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"before": ')
    with pytest.raises(LabelweaveError, match=r"line 1: is not whole"):
        check_decisions(path)
    with pytest.raises(LabelweaveError, match=r"cannot be written"):
        DecisionLog(tmp_path / "nowhere" / "log.jsonl")


def test_the_service_logs_who_when_and_which_version_and_no_value(
    network: Path, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    frame = tables(3, seed=9)[0].drop(columns="kind")[:3]
    with TestClient(make_app(network, keys=("geheim",), decisions=path)) as client:
        rows = json.loads(frame.to_json(orient="records"))
        headers = {"Authorization": "Bearer geheim"}
        answer = client.post("/predict", json={"rows": rows}, headers=headers).json()
        assert client.post("/predict", json={"rows": rows}).status_code == 401
    (line,) = [json.loads(each) for each in path.read_text().splitlines()]
    assert line.keys() == {"time", "who", "model", "version", "rows", "labels", "before"}
    assert (line["who"], line["version"], line["rows"]) == (fingerprint(b"geheim"), 1, 3)
    predicted = [row["tasks"]["kind"]["predicted"] for row in answer["rows"]]
    assert line["labels"]["kind"] == {name: predicted.count(name) for name in set(predicted)}
    text = path.read_text()
    assert "geheim" not in text
    assert str(rows[0]["length"]) not in text
    assert "testclient" not in text
    with TestClient(make_app(network, keys=())) as client:
        client.post("/predict", json={"rows": rows})
    assert check_decisions(path)[0] == 1, "off by default"

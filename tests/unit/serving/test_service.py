import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient
from study_example import tables

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.serving._batching import Batcher
from labelweave.serving._service import Limits, make_app, run_service

ROW = {"length": 2.0, "width": 0.1, "weight": 0.2, "noise": 0.0, "colour": "red"}


def rows(count: int) -> pd.DataFrame:
    return tables(max(count, 1), seed=9)[0].drop(columns="kind")[:count]


@pytest.fixture(scope="module")
def client(network: Path) -> Iterator[TestClient]:
    app = make_app(network, keys=(), limits=Limits(body=20_000, rows=100))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def test_json_and_csv_give_the_models_predictions(client: TestClient, network: Path) -> None:
    frame = rows(20)
    by_json = client.post("/predict", json={"rows": frame.to_dict("records")}).json()
    content = frame.to_csv(index=False)
    by_csv = client.post("/predict", content=content, headers={"content-type": "text/csv"}).json()
    assert by_json == by_csv
    model = labelweave.load(network)
    p, decided = model.predict_proba(frame), model.predict(frame)
    assert (by_json["model"], by_json["version"], len(by_json["rows"])) == ("parts", 1, 20)
    for i, row in enumerate(by_json["rows"]):
        kind, form = row["tasks"]["kind"], row["tasks"]["form"]
        assert kind["predicted"] == decided["kind"][i]
        assert list(kind["probabilities"].values()) == pytest.approx(p["kind"][i], abs=1e-5)
        assert kind["confidence"] == pytest.approx(p["kind"][i].max(), abs=1e-5)
        on = [
            name for name, flag in zip(("round", "hole"), decided["form"][i], strict=True) if flag
        ]
        assert form["predicted"] == on


def test_contradictions_follow_from_the_table(client: TestClient) -> None:
    row = client.post("/predict", json={"rows": [ROW]}).json()["rows"][0]
    kind = list(row["tasks"]["kind"]["probabilities"].values())
    form = list(row["tasks"]["form"]["probabilities"].values())
    implied = np.array(kind) @ [[0, 0], [1, 0], [1, 1]]
    assert row["contradictions"] == {
        "kind->form": pytest.approx(float(np.abs(implied - form).max()), abs=1e-4)
    }


@pytest.mark.parametrize(
    ("rows", "errors"),
    [
        ([ROW, ROW | {"length": "long"}], [(2, "length", "'long'", "a number, or null")]),
        ([ROW | {"width": True}], [(1, "width", "'True'", "a number, or null")]),
        ([ROW | {"width": -1e30}], [(1, "width", "'-1e+30'", "a number of at most 2^63")]),
        ([ROW | {"colour": ["red"]}], [(1, "colour", "a list", "text, a number or null")]),
        ([{**ROW, "lenght": 1}], [(1, "lenght", "lenght", "did you mean 'length'?")]),
        (
            [{k: v for k, v in ROW.items() if k != "noise"}],
            [(1, "noise", "no value", "a number, or null")],
        ),
        ([], [(None, None, "a list", '{"rows"')]),
        ("x", [(None, None, "'x'", '{"rows"')]),
    ],
)
def test_a_wrong_row_is_named_with_column_found_and_expected(
    rows: Any, errors: list[tuple[Any, ...]], client: TestClient
) -> None:
    answer = client.post("/predict", json={"rows": rows})
    assert answer.status_code == 422
    found = answer.json()["errors"]
    assert len(found) == len(errors)
    for each, (row, column, said, expected) in zip(found, errors, strict=True):
        assert (each["row"], each["column"], each["found"]) == (row, column, said)
        assert expected in each["expected"]


def test_a_wrong_value_in_a_csv_is_named(client: TestClient) -> None:
    frame = rows(3).astype(object)
    frame.loc[2, "weight"] = "heavy"
    answer = client.post(
        "/predict", content=frame.to_csv(index=False), headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"row": 3, "column": "weight", "found": "heavy", "expected": "a number"}
    ]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "body: "),
        (b'{"rows": [{"length": NaN}]}', 400, "body: found nan, expected finite numbers"),
        (b"[" * 5000, 400, "nested"),
        (b"\xff\xfe", 400, "body: "),
        (b" " * 20_001, 413, "body: found more, expected at most 20,000 bytes"),
        (json.dumps({"rows": [{}] * 101}).encode(), 413, "rows: found 101, expected at most 100"),
    ],
)
def test_a_hostile_body_gets_one_line(
    body: bytes, status: int, said: str, client: TestClient
) -> None:
    answer = client.post("/predict", content=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_the_inference_protocol_describes_and_predicts(client: TestClient, network: Path) -> None:
    info = client.get("/v2/models/parts").json()
    assert info["versions"] == ["1"]
    by_name = {each["name"]: each for each in info["inputs"]}
    assert by_name["length"]["datatype"] == "FP64"
    assert by_name["colour"]["parameters"]["categories"] == ["blue", "red"]
    assert [(each["name"], each["datatype"]) for each in info["outputs"]] == [
        ("kind", "FP32"), ("kind predicted", "BYTES"), ("form", "FP32"), ("form predicted", "INT64")
    ]  # fmt: skip
    frame = rows(7)
    inputs = [
        {
            "name": name,
            "shape": [7],
            "datatype": by_name[name]["datatype"],
            "data": frame[name].tolist(),
        }
        for name in frame
    ]
    path = "/v2/models/parts/versions/1/infer"
    answer = client.post(path, json={"id": "a7", "inputs": inputs}).json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a7", "parts", "1")
    kind = next(each for each in answer["outputs"] if each["name"] == "kind")
    p = labelweave.load(network).predict_proba(frame)["kind"]
    assert np.allclose(np.reshape(kind["data"], kind["shape"]), p, atol=1e-5)
    only = {"inputs": inputs, "outputs": [{"name": "form predicted"}]}
    (form,) = client.post("/v2/models/parts/infer", json=only).json()["outputs"]
    assert form["shape"] == [7, 2]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/parts/ready", "/v2"):
        assert client.get(path).status_code == 200
    assert client.get("/v2/models/partz").status_code == 404
    assert client.get("/v2/models/parts/versions/2").status_code == 404


def test_half_surrogate_pairs_are_answered(client: TestClient) -> None:
    row = rows(1)
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES" if name == "colour" else "FP64",
         "data": row[name].tolist()}
        for name in row
    ]  # fmt: skip
    for asked, status in (
        ({"inputs": [{"name": "\ud800"}]}, 422),
        ({"inputs": inputs, "id": "\ud800"}, 200),
    ):
        answer = client.post("/v2/models/parts/infer", content=json.dumps(asked))
        assert answer.status_code == status
        assert "\\ud800" in str(answer.json())


def unpacked(content: bytes) -> list[str]:
    """Return texts of which each follows its length, 4 bytes, as Triton's clients read them."""
    found = []
    while content:
        end = 4 + int.from_bytes(content[:4], "little")
        found.append(content[4:end].decode())
        content = content[end:]
    return found


def test_numbers_and_answers_may_come_as_bytes(client: TestClient, network: Path) -> None:
    """The protocol's extension for binary tensors, as Triton's clients write and read it."""
    frame = rows(7)
    inputs, parts = [], []
    for name in frame:
        given = {"name": name, "shape": [7], "datatype": "BYTES", "data": frame[name].tolist()}
        if name != "colour":
            kind = "FP32" if name == "noise" else "FP64"
            parts.append(frame[name].to_numpy("<f4" if kind == "FP32" else "<f8").tobytes())
            given = {"name": name, "shape": [7], "datatype": kind,
                     "parameters": {"binary_data_size": len(parts[-1])}}  # fmt: skip
        inputs.append(given)
    asked = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    length = "Inference-Header-Content-Length"

    def post(body: bytes, header: int | str) -> Any:
        return client.post("/v2/models/parts/infer", content=body, headers={length: str(header)})

    answer = post(asked + b"".join(parts), len(asked))
    assert answer.status_code == 200, answer.text
    head = json.loads(answer.content[: int(answer.headers[length])])
    rest, found = answer.content[int(answer.headers[length]) :], {}
    for each in head["outputs"]:
        size = each["parameters"]["binary_data_size"]
        if each["datatype"] == "BYTES":
            found[each["name"]] = unpacked(rest[:size])
        else:
            kind = {"FP32": "<f4", "INT64": "<i8"}[each["datatype"]]
            found[each["name"]] = np.frombuffer(rest[:size], kind).reshape(each["shape"])
        rest = rest[size:]
    assert rest == b""
    assert found["kind predicted"] == labelweave.load(network).predict(frame)["kind"].tolist()
    p = labelweave.load(network).predict_proba(frame.astype({"noise": "float32"}))
    for task in p:
        assert np.allclose(found[task], p[task], atol=1e-5)
    for body, header, said in (
        (asked + b"".join(parts) + b"x", len(asked), "1 bytes after the last input"),
        (asked + b"".join(parts)[:-1], len(asked), "binary_data_size"),
        (asked, 10**9, "a header of 1000000000 bytes"),
    ):
        assert post(body, header).status_code == 422
        assert said in post(body, header).json()["error"]
    assert post(asked, "x").status_code == 400


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [2]}, "found shape [2], expected [1]"),
        ({"datatype": "BYTES"}, "found datatype 'BYTES', expected 'FP64'"),
        ({"data": ["x"]}, "found 'x', expected a number, or null"),
        ({"name": "lenght"}, "did you mean 'length'?"),
        ({"data": {}}, "found no list of values, expected a list of values"),
    ],
)
def test_a_wrong_input_of_the_protocol_is_named(
    change: dict[str, Any], said: str, client: TestClient
) -> None:
    given = {"name": "length", "shape": [1], "datatype": "FP64", "data": [1.0]} | change
    answer = client.post("/v2/models/parts/infer", json={"inputs": [given]})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_the_examples_of_openapi_are_answered(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    tried = 0
    for path, methods in described["paths"].items():
        for content in methods.get("post", {}).get("requestBody", {}).get("content", {}).items():
            kind, example = content[0], content[1]["example"]
            at = path.replace("{name}", "parts").replace("{version}", "1")
            body = example if isinstance(example, str) else json.dumps(example)
            answer = client.post(at, content=body, headers={"content-type": kind})
            assert answer.status_code == 200, (path, kind, answer.text)
            tried += 1
    assert tried == 4


def test_metrics_count_rows_labels_batches_and_contradictions(network: Path) -> None:
    with TestClient(make_app(network, keys=())) as made:
        made.post("/predict", json={"rows": rows(6).to_dict("records")})
        made.post("/predict", json={"rows": []})
        text = made.get("/metrics").text
    assert 'labelweave_requests_total{path="/predict",status="200"} 1.0' in text
    assert 'labelweave_requests_total{path="/predict",status="422"} 1.0' in text
    assert "labelweave_rows_total 6.0" in text
    labels = re.findall(r'labelweave_predicted_total\{label="\w+",task="kind"\} (\S+)', text)
    assert sum(map(float, labels)) == 6
    assert 'labelweave_contradiction_count{relation="kind->form"} 6.0' in text
    assert "labelweave_model_version 1.0" in text


def test_a_key_is_needed_where_keys_are_set(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELWEAVE_API_KEYS", "first, second")
    with TestClient(make_app(network)) as made:
        assert made.get("/health").status_code == 200
        for headers in ({}, {"authorization": "Bearer third"}, {"x-api-key": ""}):
            answer = made.post("/predict", json={"rows": [ROW]}, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"authorization": "Bearer second"}, {"x-api-key": "first"}):
            assert made.post("/predict", json={"rows": [ROW]}, headers=headers).status_code == 200


def test_other_machines_are_served_with_keys_only(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABELWEAVE_API_KEYS", raising=False)
    with pytest.raises(LabelweaveError, match=r"^--host 0\.0\.0\.0: others can reach it, "):
        run_service(network, "0.0.0.0", 0, name=None, limits=Limits(), open_=False)


def test_time_and_number_of_requests_are_bounded(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(network, keys=(), limits=Limits(seconds=0.5, requests=2))
    with TestClient(app) as made, ThreadPoolExecutor(6) as pool:
        slow = app.state.service.batcher
        predict = slow.predict
        slow.predict = lambda *args: (time.sleep(1), predict(*args))[1]
        answers = list(pool.map(lambda _: made.post("/predict", json={"rows": [ROW]}), range(6)))
        assert {answer.status_code for answer in answers} == {503, 504}
        assert made.get("/health").status_code == 200


def test_requests_that_come_together_are_predicted_together_and_apart_where_needed() -> None:
    batches: list[int] = []

    def predict(model: float, frame: pd.DataFrame) -> dict[str, Any]:
        batches.append(len(frame))
        return {"t": frame.to_numpy(np.float32) * model}

    async def work(alone: bool) -> list[Any]:
        made = Batcher(predict, most=64, seconds=0.05, alone=lambda _: alone)
        made.start()
        given = [pd.DataFrame({"x": np.arange(n) + 100 * n}) for n in (1, 2, 3)]
        found = await asyncio.gather(*(made.probabilities(2.0, frame) for frame in given))
        await made.stop()
        return [answer["t"].ravel().tolist() for answer in found]

    wanted = [[200.0], [400.0, 402.0], [600.0, 602.0, 604.0]]
    assert asyncio.run(work(alone=False)) == wanted
    assert batches == [6]
    assert asyncio.run(work(alone=True)) == wanted
    assert batches == [6, 1, 2, 3]


def test_a_batch_of_all_requests_in_work_does_not_wait() -> None:
    batches: list[int] = []

    def predict(model: None, frame: pd.DataFrame) -> dict[str, Any]:
        batches.append(len(frame))
        return {"t": frame.to_numpy()}

    async def work(requests: int) -> float:
        made = Batcher(predict, seconds=30, busy=lambda: requests)
        made.start()
        begun = time.perf_counter()
        frame = pd.DataFrame({"x": [1.0]})
        await asyncio.gather(*(made.probabilities(None, frame) for _ in range(requests)))
        taken = time.perf_counter() - begun
        await made.stop()
        return taken

    assert asyncio.run(work(1)) < 20
    assert asyncio.run(work(3)) < 20
    assert batches == [1, 3]


def test_few_numbers_are_predicted_without_a_thread() -> None:
    threads: list[threading.Thread] = []

    def predict(model: None, rows: Any) -> dict[str, Any]:
        threads.append(threading.current_thread())
        return {"t": rows}

    async def work(rows: list[Any]) -> list[Any]:
        made = Batcher(predict, seconds=0.05, quick=lambda rows: len(rows) < 4)
        made.start()
        found = await asyncio.gather(*(made.probabilities(None, each) for each in rows))
        await made.stop()
        return [answer["t"].tolist() for answer in found]

    few, many = np.arange(4.0).reshape(2, 2), np.zeros((9, 2))
    assert asyncio.run(work([few[:1], few[1:]])) == [[[0, 1]], [[2, 3]]]
    assert asyncio.run(work([many])) == [many.tolist()]
    here = threading.current_thread()
    assert [thread is here for thread in threads] == [True, False]


def test_an_error_of_a_batch_reaches_its_requests_and_the_next_is_answered() -> None:
    def predict(model: str, frame: pd.DataFrame) -> dict[str, Any]:
        if model == "bad":
            raise LabelweaveError("weights are damaged")
        return {"t": frame.to_numpy()}

    async def work() -> list[Any]:
        made = Batcher(predict, seconds=0.01)
        made.start()
        frame = pd.DataFrame({"x": [1.0]})
        both = (made.probabilities(name, frame) for name in ("bad", "good"))
        found = await asyncio.gather(*both, return_exceptions=True)
        await made.stop()
        return list(found)

    bad, good = asyncio.run(work())
    assert str(bad) == "weights are damaged"
    assert good["t"].tolist() == [[1.0]]


def test_the_page_holds_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert not re.search(r"(https?:)?//\w", answer.text.replace("<!doctype html>", ""))
    assert "innerHTML" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


@pytest.mark.slow
def test_a_process_serves_and_ends_gracefully(network: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "labelweave", "serve", str(network), "--port", str(port)]
    environment = os.environ | {"LABELWEAVE_API_KEYS": "key"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        at = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{at}/health", timeout=5) as answer:
                    assert json.load(answer)["status"] == "ok"
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        body = json.dumps({"rows": [ROW] * 50}).encode()
        headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}

        def ask(_: int) -> int:
            asked = urllib.request.Request(f"{at}/predict", body, headers)
            with urllib.request.urlopen(asked, timeout=30) as found:
                return len(json.load(found)["rows"])

        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(ask, i) for i in range(40)]
            next(iter(waiting)).result()
            assert {each.result() for each in waiting} == {50}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    finally:
        process.kill()
        _, said = process.communicate()
    assert "Traceback" not in said

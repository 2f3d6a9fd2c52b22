"""No request makes the service fail: whatever the body, the answer is below 500 and one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from labelweave.serving._service import Limits, make_app

COLUMNS = ["length", "width", "weight", "noise", "colour", "kind", "", "x"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["1,5", "NA", "red", "=1+1", "1e400", "\ud800"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda part: st.lists(part, max_size=3), max_leaves=4)
ROWS = st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=8)
WHOLE = st.fixed_dictionaries(dict.fromkeys(COLUMNS[:5], SCALARS))
INPUTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.sampled_from(COLUMNS), SCALARS),
        "shape": VALUES,
        "datatype": st.one_of(st.sampled_from(["FP64", "BYTES", "BOOL", "INT64"]), SCALARS),
        "data": VALUES,
    },
)
BODIES = st.one_of(
    st.lists(st.one_of(ROWS, WHOLE), max_size=4).map(lambda rows: {"rows": rows}),
    st.lists(WHOLE, min_size=1, max_size=4),
    st.fixed_dictionaries(
        {"inputs": st.lists(INPUTS, max_size=6)}, optional={"outputs": VALUES, "id": SCALARS}
    ),
    VALUES,
)
CELLS = st.one_of(st.text(max_size=6), st.sampled_from(COLUMNS), st.floats().map(str))


@pytest.fixture(scope="module")
def client(network: Path) -> Iterator[TestClient]:
    app = make_app(network, keys=(), limits=Limits(batch_seconds=0))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        said = answer.json()["error"]
        assert said
        assert "\n" not in said
        assert "Traceback" not in said


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES, path=st.sampled_from(["/predict", "/v2/models/parts/infer"]))
def test_any_json(body: Any, path: str, client: TestClient) -> None:
    check(client.post(path, content=json.dumps(body).encode()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60), kind=st.sampled_from(["text/csv", "application/json", "x"]))
def test_any_bytes(body: bytes, kind: str, client: TestClient) -> None:
    check(client.post("/predict", content=body, headers={"content-type": kind}))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_any_csv(rows: list[list[str]], client: TestClient) -> None:
    header = "length,width,weight,noise,colour"
    lines = [header, *(",".join(row) for row in rows)]
    body = "\n".join(lines).encode("utf-8", "replace")
    check(client.post("/predict", content=body, headers={"content-type": "text/csv"}))

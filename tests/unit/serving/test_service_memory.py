"""The service's memory stays flat under load; LABELWEAVE_LOAD=20000 makes the run longer."""

import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from study_example import tables

from labelweave.serving._service import make_app

REQUESTS = int(os.environ.get("LABELWEAVE_LOAD", "150"))
MOST_GROWN = 8  # MB


def resident() -> float:
    """Return the process's memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux shows a process's memory")
def test_memory_is_flat_under_load(network: Path) -> None:
    frame = tables(40, seed=9)[0].drop(columns="kind")
    body, wrong = {"rows": frame.to_dict("records")}, {"rows": [{"length": "long"}] * 40}
    content = frame.to_csv(index=False)
    with TestClient(make_app(network, keys=()), raise_server_exceptions=False) as client:

        def load(requests: int) -> None:
            for number in range(requests // 3):
                assert client.post("/predict", json=body).status_code == 200
                headers = {"content-type": "text/csv"}
                assert client.post("/predict", content=content, headers=headers).is_success
                assert client.post("/predict", json=wrong).status_code == 422
                if number % 10 == 0:
                    assert client.get("/metrics").status_code == 200

        load(90)  # what is made once: threads, caches, buffers
        before = resident()
        load(REQUESTS)
        assert resident() - before < MOST_GROWN

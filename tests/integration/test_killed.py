"""Kill -9: of a whole study, at several moments; of the command only; of one worker."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from study_example import write_study
from study_process import CHECKPOINT, PATIENCE, kill_group, started, workers_of

from labelweave.experiments import Study

pytestmark = pytest.mark.slow

CHANGES: dict[str, Any] = {
    "training": {"steps": 100, "batch_size": 32, "checkpoint_seconds": 0.1},
    "methods": ["single_task", "multi_task", "full", "post_hoc"],
    "seeds": [3, 4],
}
LONG = {"training": {"steps": 1000, "batch_size": 32, "checkpoint_seconds": 0.05}}


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Return results without what depends on the clock."""
    kept = {
        k: v
        for k, v in results.items()
        if k not in {"created", "costs", "running", "money", "recommendation"}
    }
    kept["relatedness"] = None  # nothing was estimated
    return kept


def results_of(path: Path) -> dict[str, Any]:
    results = json.loads((path.parent / "runs" / "parts" / "results.json").read_text("utf-8"))
    return without_times(results)


def finished(path: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every finished run's record."""
    records = (path.parent / "runs" / "parts" / "runs").glob("*/run.json")
    return {
        record.parent.name: (record.stat().st_ino, record.stat().st_mtime_ns)
        for record in records
        if not record.parent.name.endswith(".partial")
    }


def tracked(path: Path) -> list[str]:
    lines = (path.parent / "runs" / "parts" / "runs.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["run"] for line in lines]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    path = write_study(tmp_path_factory.mktemp("unbroken"), **CHANGES)
    Study.from_file(path).run(jobs=1, progress=False)
    return results_of(path), sorted(tracked(path))


def test_a_study_killed_again_and_again_ends_as_an_unbroken_one(
    tmp_path: Path, unbroken: tuple[dict[str, Any], list[str]]
) -> None:
    path = write_study(tmp_path, **CHANGES)
    ended: dict[str, tuple[int, int]] = {}
    moments = [(2, CHECKPOINT), (1, "runs/*-seed?-????????????/run.json"), (1, "results.json")]
    for jobs, moment in moments:
        with started(path, jobs, moment, own_group=True) as process:
            kill_group(process)
        now = finished(path)
        assert ended.items() <= now.items(), "a finished run was trained again"
        ended = now
    assert len(ended) == len(unbroken[1])
    (path.parent / "runs" / "parts" / ".report.html.partial").write_text("half")
    Study.from_file(path).run(jobs=1, progress=False)
    assert finished(path) == ended
    assert results_of(path) == unbroken[0]
    assert sorted(tracked(path)) == unbroken[1]
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("last.safetensors"))


def test_the_workers_of_a_killed_command_end_with_it(tmp_path: Path) -> None:
    path = write_study(tmp_path, **LONG)
    output = tmp_path / "runs" / "parts"
    with started(path, 2, own_group=True) as process:
        deadline = time.monotonic() + PATIENCE
        while len(list(output.glob(CHECKPOINT))) < 2:  # both train
            assert time.monotonic() < deadline
            time.sleep(0.05)
        workers = workers_of(process)
        assert len(workers) == 2
        process.kill()
        process.wait()
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert finished(path) == {}


def test_when_one_worker_is_killed_its_runs_go_on(tmp_path: Path) -> None:
    path = write_study(tmp_path, training=LONG["training"] | {"steps": 400})
    with started(path, 2, own_group=True) as process:
        os.kill(workers_of(process)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Report: " in out
    assert err.count("\n") == 1
    assert err.startswith(
        "labelweave: study 'parts': a worker process was killed, perhaps for lack of memory; "
    )
    assert err.endswith(" runs go on in new ones\n")
    assert len(finished(path)) == len(set(tracked(path))) == len(tracked(path)) == 2


def test_when_a_worker_is_killed_while_relations_are_found_they_go_on(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "training": {"steps": 150, "batch_size": 32},
        "methods": ["multi_task", "full"],
        "relatedness": {"from": "all", "folds": 2},
        "seeds": [3, 4],
    }
    path = write_study(tmp_path, **changes)
    with started(path, 2, "held_out/*.safetensors", own_group=True) as process:
        os.kill(workers_of(process)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert err.startswith("labelweave: study 'parts': a worker process was killed, ")
    assert err.endswith(" seeds go on in new ones\n")
    assert err.count("\n") == 1
    assert len(list((tmp_path / "runs" / "parts" / "relatedness").iterdir())) == 3


def test_when_workers_are_killed_whatever_one_does_the_study_ends(tmp_path: Path) -> None:
    """As where memory never suffices: no worker lives to the end of its run."""
    path = write_study(tmp_path, training={"steps": 100_000, "batch_size": 32})
    with started(path, 2, "runs/*.partial", own_group=True) as process:
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            assert time.monotonic() < deadline
            for worker in workers_of(process):
                os.kill(worker, signal.SIGKILL)
            time.sleep(0.05)
        _, err = process.communicate()
    assert process.returncode == 1
    assert err.splitlines()[-1] == (
        "labelweave: every method failed, the first: its process was killed, perhaps for lack of "
        "memory; try fewer processes (--jobs 1)"
    )


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

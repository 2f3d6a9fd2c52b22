"""The engine of a Dask cluster: what can be tested without one, and a real one of two workers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import killed_calls
import numpy as np
import pytest
from filelock import FileLock
from killed_calls import die_once

import labelweave
from labelweave.errors import LabelweaveError, LabelweaveWarning
from labelweave.experiments import DaskCluster, _dask
from labelweave.experiments._dask import FILES, Needs, Packer
from labelweave.experiments._engines import LocalProcesses, Plan, engine_of


def test_large_arrays_are_written_once_and_small_ones_travel(tmp_path: Path) -> None:
    large, small = np.arange(100_000.0), np.arange(10)
    packer = Packer(tmp_path)
    first, second = packer.pack((large, small)), packer.pack(("other", large))
    assert first.large == second.large
    assert len(list(tmp_path.iterdir())) == 1
    assert len(first.small) < 1000
    found_large, found_small = first.open(tmp_path)
    assert np.array_equal(found_large, large)
    assert not found_large.flags.writeable
    assert np.array_equal(found_small, small)


def test_a_key_is_the_same_for_the_same_content_and_another_in_another_folder(
    tmp_path: Path,
) -> None:
    def key(values: np.ndarray, folder: str = "a") -> str:
        return Packer(tmp_path).pack((values,)).key(Needs(folder, "", ""))

    values = np.arange(100_000.0)
    assert key(values) == key(values.copy())
    assert key(values) != key(values + 1)
    assert key(values) != key(values, "b")


@pytest.mark.parametrize("address", ["10.0.0.1:8786", "inproc://x", "tcp://", ""])
def test_another_kind_of_address_is_refused(address: str) -> None:
    with pytest.raises(LabelweaveError) as caught:
        DaskCluster(address)
    assert str(caught.value) == (
        f"--scheduler: found '{address}', expected an address such as tcp://10.0.0.1:8786"
    )


def test_processes_and_another_engine_exclude_each_other() -> None:
    cluster = DaskCluster("tcp://10.0.0.1:8786")
    assert engine_of(None, cluster) is cluster
    assert engine_of(3, None) == LocalProcesses(3)
    with pytest.raises(LabelweaveError, match=r"^found both 3 processes and another engine, "):
        engine_of(3, cluster)


def test_without_dask_one_line_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LabelweaveError, match=r"labelweave\[cluster\]"):
        next(DaskCluster("tcp://10.0.0.1:8786").calls(touch, [(tmp_path, 1)], plan(tmp_path, 1)))


def test_nothing_to_call_needs_no_cluster(tmp_path: Path) -> None:
    assert list(DaskCluster("tcp://10.0.0.1:8786").calls(touch, [], plan(tmp_path, 0))) == []


def plan(folder: Path, calls: int) -> Plan:
    return Plan("study 'parts': {}; {} runs", folder, [f"run{number}" for number in range(calls)])


def touch(folder: Path, number: int) -> int:
    (folder / f"{number}").touch()
    return number


def test_a_call_waits_for_the_same_one_that_another_worker_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dask, "reason_against", lambda needs: None)
    (tmp_path / FILES).mkdir()
    packed = Packer(tmp_path / FILES).pack((touch, (tmp_path, 7)))
    needs = Needs(str(tmp_path), str(Path.cwd()), labelweave.__version__)
    lock = FileLock(tmp_path / FILES / "run0.lock")
    lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(_dask._called, packed, "run0", needs)
        time.sleep(0.1)
        assert not (tmp_path / "7").exists()
        lock.release()
        assert found.result(10) == 7


class Cluster:
    """A scheduler and its workers, processes of this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.address = folder, f"tcp://127.0.0.1:{port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = port
        self.scheduler = self.new_scheduler()

    def new_scheduler(self) -> "subprocess.Popen[bytes]":
        """Start the scheduler, perhaps again at the same address."""
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self.start("scheduler", options)
        return self.scheduler

    def start(
        self, kind: str, options: list[str], path: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a process of Dask, with labelweave from a folder."""
        places = (path, Path(__file__).parent, Path(killed_calls.__file__).parent)
        found = [str(each) for each in places if each is not None]
        code = f"import sys; sys.path[:0] = {found}; "  # this module, whose functions they call
        code += f"from distributed.cli.dask_{kind} import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *options],
            cwd=self.folder,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def worker(self, name: str, *options: str, path: Path | None = None) -> None:
        """Start a worker; `path` is where it finds labelweave."""
        own = ["--no-nanny"] if path else []
        given = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder / name)]
        self.start("worker", [self.address, *own, *given, *options], path)

    def end(self) -> None:
        """Kill all of them, with the processes that they started."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Cluster(tmp_path, port)
    yield found
    found.end()


def once_killed(folder: Path, number: int, values: np.ndarray) -> float:
    (folder / f"{number}.began").touch()
    die_once(folder, number)
    time.sleep(0.1)
    return float(values.sum()) + number


def slow(folder: Path, number: int) -> int:
    """End at once by number 0, at the second try by 1, and never by 2."""
    began = folder / f"{number}.began"
    tried = began.exists()
    began.touch()
    time.sleep(60 if number > tried else 0)
    return number


@pytest.mark.slow
def test_on_a_cluster_a_killed_worker_or_scheduler_costs_nothing_and_a_lost_one_is_one_line(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker("one")
    cluster.worker("two")
    engine, values = DaskCluster(cluster.address), np.ones(100_000)
    given = [(tmp_path, number, values) for number in range(6)]
    found = dict(engine.calls(once_killed, given, plan(tmp_path, 6)))
    assert found == {number: 100_000.0 + number for number in range(6)}
    assert (tmp_path / "killed").exists()
    # what the killed worker had answered, but the command had not fetched, is called again
    called = [(tmp_path / f"{number}.txt").read_text() for number in range(6)]
    assert set(called) <= {"called\n", "called\ncalled\n"}
    assert called.count("called\n") >= 4
    arrays = [path for path in (tmp_path / FILES).iterdir() if path.suffix != ".lock"]
    assert len(arrays) == 1

    calls = engine.calls(
        slow, [(tmp_path / "slow", number) for number in range(3)], plan(tmp_path, 3)
    )
    (tmp_path / "slow").mkdir()
    assert next(calls) == (0, 0)
    while len(list((tmp_path / "slow").iterdir())) < 3:
        time.sleep(0.05)
    cluster.end()
    cluster.new_scheduler()
    cluster.worker("three", "--no-nanny")
    cluster.worker("four", "--no-nanny")
    with pytest.warns(LabelweaveWarning, match=r"was lost; 2 runs go on if it is back within 60 s"):
        assert next(calls) == (1, 1)
    cluster.scheduler.kill()
    monkeypatch.setattr(_dask, "BACK", 0.1)
    with pytest.raises(LabelweaveError) as caught, pytest.warns(LabelweaveWarning):
        next(calls)
    assert str(caught.value) == (
        f"the Dask scheduler at {cluster.address} was lost; what has ended is kept in {tmp_path}, "
        "and the same command goes on"
    )


@pytest.mark.slow
def test_a_worker_of_another_version_or_of_several_threads_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(labelweave.__file__).parent, other / "labelweave")
    start = other / "labelweave" / "__init__.py"
    text = start.read_text(encoding="utf-8")
    start.write_text(text.replace(labelweave.__version__, "9.9"), encoding="utf-8")
    cluster.worker("other", path=other)
    with pytest.raises(LabelweaveError) as caught:
        next(DaskCluster(cluster.address).calls(touch, [(tmp_path, 1)], plan(tmp_path, 1)))
    assert str(caught.value).startswith("Dask worker tcp://127.0.0.1:")
    expected = f": found labelweave 9.9, expected {labelweave.__version__}"
    assert str(caught.value).endswith(expected)

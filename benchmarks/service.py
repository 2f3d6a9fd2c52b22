"""Load on a served model: rows a second, p99, and what is lost when the server stops and starts.

A model of 50 columns and two tasks is served on loopback. Clients in threads keep their connection
and send rows as JSON, as CSV, or as numbers in bytes (the inference protocol's extension). With
--stop the server is stopped (SIGTERM) halfway and started; a client whose connection is refused or
closed before an answer sends its request again. The bare loop is the exported graph in onnxruntime
on the same batches of arrays, without HTTP or JSON. Clients, server and bare loop run at the same
time, so that busy neighbours slow both; the ratio is that of processor seconds: the server's a row,
and the bare loop's. With --minutes one client sends at a given rate for as long, and the server's
resident memory is printed every minute, with its slope after the first ten.

Run: python -m benchmarks.service [--form json] [--requests 10000] [--rows 1] [--clients 8] [--stop]
     python -m benchmarks.service --minutes 60 [--rate 8] [--form json] [--rows 40]
"""

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd

from benchmarks.serving import model, table
from labelweave.serving import export_model


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def started(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "labelweave", "serve", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """Return the seconds of processor time that a process has taken (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Asked:
    """A request, and what its answer holds."""

    path: str
    headers: dict[str, str]
    body: bytes
    sign: bytes


def asked_rows(given: pd.DataFrame, form: str) -> Asked:
    """Return the request of rows in a form."""
    if form == "json":
        body = json.dumps({"rows": given.to_dict("records")}).encode()
        return Asked("/predict", {"Content-Type": "application/json"}, body, b'"rows"')
    if form == "csv":
        text = given.to_csv(index=False).encode()
        return Asked("/predict", {"Content-Type": "text/csv"}, text, b'"rows"')
    parts = [given[name].to_numpy("<f4").tobytes() for name in given]
    inputs = [
        {
            "name": str(name), "shape": [len(given)], "datatype": "FP32",
            "parameters": {"binary_data_size": len(part)},
        }
        for name, part in zip(given, parts, strict=True)
    ]  # fmt: skip
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Asked("/v2/models/serving/infer", headers, head + b"".join(parts), b'"outputs"')


class Clients:
    """Threads that send the same request again and again until all are answered."""

    def __init__(self, port: int, asked: Asked, requests: int, clients: int) -> None:
        self.port, self.asked, self.left = port, asked, requests
        self.lock, self.seconds, self.repeated, self.wrong = threading.Lock(), [0.0], 0, 0
        self.seconds.clear()
        self.threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            with self.lock:
                if self.left == 0:
                    return
                self.left -= 1
            start = time.perf_counter()
            while True:
                try:
                    asked = self.asked
                    connection.request("POST", asked.path, asked.body, asked.headers)
                    answer = connection.getresponse()
                    content, status = answer.read(), answer.status
                    break
                except (OSError, http.client.HTTPException):
                    connection.close()
                    with self.lock:
                        self.repeated += 1
                    time.sleep(0.05)
            with self.lock:
                self.seconds.append(time.perf_counter() - start)
                self.wrong += status != 200 or self.asked.sign not in content


def resident(pid: int) -> float:
    """Return the megabytes of memory that a process holds (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def steady(port: int, pid: int, asked: Asked, minutes: int, rate: float) -> None:
    """Send requests at a rate; print memory by the minute, and its slope after the first ten."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    held, sent, wrong, start = [resident(pid)], 0, 0, time.monotonic()
    while len(held) <= minutes:
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))
        connection.request("POST", asked.path, asked.body, asked.headers)
        answer = connection.getresponse()
        wrong += asked.sign not in answer.read() or answer.status != 200
        sent += 1
        if time.monotonic() - start >= 60 * len(held):
            held.append(resident(pid))
            print(f"minute {len(held) - 1}: {held[-1]:.1f} MB, {sent:,} requests", flush=True)
    late = held[10:] if minutes > 10 else held
    slope = np.polyfit(np.arange(len(late)), late, 1)[0]
    print(
        f"{sent:,} requests, {wrong} wrong; MB at first {held[0]:.1f}, after minute 1 "
        f"{held[1]:.1f}, at the end {held[-1]:.1f}, most {max(held):.1f}; slope {slope:.3f} MB a "
        "minute"
    )


class Bare:
    """A thread that runs the exported graph alone on the same batch, again and again."""

    def __init__(self, folder: Path, rows: int) -> None:
        given = table(max(rows, 3), 5).drop(columns=["grade", "fault"])
        made = export_model(folder, rows=given, out=folder.parent / "bare.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            made.path, options, providers=["CPUExecutionProvider"]
        )
        self.numbers, self.ended = given.to_numpy(np.float64)[:rows], threading.Event()
        self.count, self.seconds = 0, 0.0
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        start = time.thread_time()
        while not self.ended.is_set() or self.seconds < 1:
            self.session.run(None, {"numbers": self.numbers})
            self.count += len(self.numbers)
            self.seconds = time.thread_time() - start

    def rate(self) -> float:
        """End; return the rows in a second of processor time."""
        self.ended.set()
        self.thread.join()
        return self.count / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--form", choices=["json", "csv", "binary"], default="json")
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--minutes", type=int, default=0)
    parser.add_argument("--rate", type=float, default=8.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        final = model(Path(folder))
        given = table(asked.rows, 4).drop(columns=["grade", "fault"]).round(4)
        port = free_port()
        process = started(final.folder, port)
        request = asked_rows(given, asked.form)
        if asked.minutes:
            steady(port, process.pid, request, asked.minutes, asked.rate)
            process.terminate()
            process.wait(60)
            return
        clients = Clients(port, request, asked.requests, asked.clients)
        alone = Bare(final.folder, asked.rows)
        alone.thread.start()
        before, start = processor_seconds(process.pid), time.perf_counter()
        for thread in clients.threads:
            thread.start()
        used, stopped = 0.0, 0.0
        if asked.stop:
            while clients.left > asked.requests / 2:
                time.sleep(0.01)
            begun = time.perf_counter()
            used = processor_seconds(process.pid) - before
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            process = started(final.folder, port)
            before, stopped = processor_seconds(process.pid), time.perf_counter() - begun
        for thread in clients.threads:
            thread.join()
        taken = time.perf_counter() - start - stopped
        alone.ended.set()
        used += processor_seconds(process.pid) - before
        process.terminate()
        process.wait(60)
        answered = len(clients.seconds)
        median, p99 = np.quantile(clients.seconds, [0.5, 0.99]) * 1000
        away = f"; away for {stopped:.1f} s" if asked.stop else ""
        print(
            f"{answered:,} of {asked.requests:,} requests answered, {clients.wrong} wrong, "
            f"{clients.repeated} sent again{away}"
        )
        wall = answered * asked.rows / taken
        print(f"median {median:.1f} ms, p99 {p99:.1f} ms, {wall:,.0f} rows/s")
        rate, most = answered * asked.rows / used, alone.rate()
        print(
            f"rows in a second of processor time: service {rate:,.0f}, onnxruntime alone "
            f"{most:,.0f}, ratio {rate / most:.2f}"
        )


if __name__ == "__main__":
    main()

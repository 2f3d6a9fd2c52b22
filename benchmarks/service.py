"""Load on a served model: requests a second, p99, what is lost when the server stops and starts.

A model of 50 columns and two tasks is served on loopback. Clients in threads keep their connection
and send rows as JSON. Halfway the server is stopped (SIGTERM) and started; a client whose
connection is refused or closed before an answer sends its request again. The bare loop is the
exported graph in onnxruntime on the same batches of arrays, without HTTP or JSON.

Run: python -m benchmarks.service [--requests 10000] [--rows 1] [--clients 8]
"""

import argparse
import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.serving import model, table
from labelweave.serving import FinalModel, export_model


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


class Clients:
    """Threads that send the same body again and again until all requests are answered."""

    def __init__(self, port: int, body: bytes, requests: int, clients: int) -> None:
        self.port, self.body, self.left = port, body, requests
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
                    headers = {"Content-Type": "application/json"}
                    connection.request("POST", "/predict", self.body, headers)
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
                self.wrong += status != 200 or b'"rows"' not in content


def bare(final: FinalModel, folder: Path, rows: int, seconds: float = 3) -> float:
    """Return rows a second of the exported graph alone."""
    given = table(max(rows, 3), 5).drop(columns=["grade", "fault"])
    made = export_model(folder, rows=given)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(made.path, options, providers=["CPUExecutionProvider"])
    numbers = given.to_numpy(np.float64)[:rows]
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        session.run(None, {"numbers": numbers})
        count += rows
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        final = model(Path(folder))
        given = table(asked.rows, 4).drop(columns=["grade", "fault"]).round(4)
        body = json.dumps({"rows": given.to_dict("records")}).encode()
        port = free_port()
        process = started(final.folder, port)
        clients = Clients(port, body, asked.requests, asked.clients)
        start = time.perf_counter()
        for thread in clients.threads:
            thread.start()
        stopped = 0.0
        while clients.left > asked.requests / 2:
            time.sleep(0.01)
        begun = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process = started(final.folder, port)
        stopped = time.perf_counter() - begun
        for thread in clients.threads:
            thread.join()
        taken = time.perf_counter() - start - stopped
        process.terminate()
        process.wait(60)
        answered = len(clients.seconds)
        median, p99 = np.quantile(clients.seconds, [0.5, 0.99]) * 1000
        rate = answered * asked.rows / taken
        print(
            f"{answered:,} of {asked.requests:,} requests answered, {clients.wrong} wrong, "
            f"{clients.repeated} sent again; away for {stopped:.1f} s"
        )
        print(f"median {median:.1f} ms, p99 {p99:.1f} ms, {rate:,.0f} rows/s")
        alone = bare(final, final.folder, asked.rows)
        print(f"onnxruntime alone: {alone:,.0f} rows/s; the service has {rate / alone:.2f} of it")


if __name__ == "__main__":
    main()

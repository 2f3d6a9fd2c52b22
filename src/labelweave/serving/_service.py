"""The HTTP service of a final model; FastAPI and the rest of the extra are imported here only."""

import asyncio
import gc
import hmac
import json
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import prometheus_client as prometheus
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi import Path as Parameter
from fastapi.responses import HTMLResponse, JSONResponse
from numpy.typing import NDArray
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

import labelweave
from labelweave.errors import LabelweaveError
from labelweave.fitting._versions import current_version
from labelweave.model import EncodedPredictor
from labelweave.serving._answers import (
    answered,
    binary_answer,
    infer_answer,
    infer_rows,
    json_answer,
    model_metadata,
    wants_binary,
)
from labelweave.serving._batching import Batcher
from labelweave.serving._decision_log import DecisionLog, counts_to_log, fingerprint
from labelweave.serving._final import FinalModel, load
from labelweave.serving._images import image_columns, probabilities_of_rows
from labelweave.serving._row_errors import RowsError, TooManyRowsError
from labelweave.serving._rows import (
    AnyRows,
    csv_rows,
    example_row,
    image_rows,
    input_description,
    json_rows,
    row_description,
    schema_of,
)
from labelweave.serving._service_limits import KEYS, LONGEST_KEY, LOOPBACK, Limits, checked_name
from labelweave.trust._coherence import contradiction_scores

PAGE = Path(__file__).with_name("page.html")
OPEN = ("/health", "/v2/health/live", "/v2/health/ready")  # answered without a key
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SMALL = 16_384  # bytes of a body that is read faster than a thread is asked to
QUICK = 4_096  # numbers that are predicted faster than a thread is asked to
BINARY = "application/octet-stream"
HEADER = "Inference-Header-Content-Length"  # of the protocol's extension for binary tensors
READERS = 4  # bodies that are read at a time
POLL = 1.0  # seconds between looks at the pointer
T = TypeVar("T")
log = logging.getLogger("labelweave.service")


@dataclass(frozen=True, eq=False)
class Served:
    """A version of the model, ready to answer."""

    version: int
    model: FinalModel

    @classmethod
    def read(cls, folder: Path) -> "Served":
        """Read the current version.

        Raises:
            LabelweaveError: no final model, or one without a schema.
        """
        found = load(folder)
        if found.model.encoder.schema is None:
            raise LabelweaveError(f"{folder}: found no schema of the inputs, expected one")
        version = current_version(folder).number
        # a first prediction takes many times as long; no request is to wait for it
        row = json.dumps({"rows": [example_row(schema_of(found.model))]}).encode()
        probabilities_of_rows(found.model, json_rows(row, found.model, 1).typed)
        return cls(version, found)


class Contradictions(Collector):
    """A histogram of a row's contradiction by relation, to which whole batches are added."""

    UPPER = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, np.inf)  # ends of the buckets

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: dict[str, NDArray[np.int64]] = {}
        self.sums: dict[str, float] = {}

    def add(self, relation: str, values: NDArray[np.floating[Any]]) -> None:
        """Count the values of n rows; NaN = unknown, not counted."""
        known = values[np.isfinite(values)]
        places = np.searchsorted(self.UPPER, known)
        counts = np.bincount(places, minlength=len(self.UPPER))
        self.counts[relation] = self.counts.get(relation, 0) + counts
        self.sums[relation] = self.sums.get(relation, 0.0) + float(known.sum())

    def collect(self) -> Iterator[Metric]:
        """Give the histogram as Prometheus reads it."""
        found = HistogramMetricFamily(
            self.name, "Contradiction of a relation, 0 to 1, a row.", labels=["relation"]
        )
        for relation, counts in self.counts.items():
            ends = ["+Inf" if np.isinf(end) else str(end) for end in self.UPPER]
            buckets = list(zip(ends, np.cumsum(counts).tolist(), strict=True))
            found.add_metric([relation], buckets, self.sums[relation])
        yield found


class Meters:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        given: dict[str, Any] = {"registry": self.registry}
        name = "labelweave"
        self.requests = prometheus.Counter(
            f"{name}_requests", "Requests by path and status.", ["path", "status"], **given
        )
        self.seconds = prometheus.Histogram(
            f"{name}_request_seconds", "Seconds of a request.", ["path"], buckets=SECONDS, **given
        )
        self.rows = prometheus.Counter(f"{name}_rows", "Rows predicted.", **given)
        self.batch = prometheus.Histogram(
            f"{name}_batch_rows",
            "Rows of a batch.",
            buckets=(1, 4, 16, 64, 256, 1024, 4096),
            **given,
        )
        self.labels = prometheus.Counter(
            f"{name}_predicted", "Predicted labels.", ["task", "label"], **given
        )
        self.contradiction = Contradictions(f"{name}_contradiction")
        self.registry.register(self.contradiction)
        self.version = prometheus.Gauge(f"{name}_model_version", "Version in use.", **given)
        self.busy = prometheus.Gauge(f"{name}_requests_in_work", "Requests in work.", **given)


@dataclass(eq=False)
class Service:
    """A model, its batches and its meters; `app` makes the HTTP interface of it."""

    folder: Path
    name: str
    limits: Limits
    served: Served
    meters: Meters = field(default_factory=Meters)
    decisions: DecisionLog | None = None
    busy: int = 0  # requests in work

    def __post_init__(self) -> None:
        self.batcher = Batcher(
            lambda served, rows: probabilities_of_rows(served.model.model, rows),
            self.limits.batch_rows,
            self.limits.batch_seconds,
            alone=lambda served: served.model.model.prior.name == "rows",
            seen=self.meters.batch.observe,
            busy=lambda: self.busy,
            quick=lambda rows: isinstance(rows, np.ndarray) and rows.size <= QUICK,
        )
        self.meters.version.set(self.served.version)
        self.readers = asyncio.Semaphore(READERS)

    async def read(
        self,
        reader: Callable[[bytes, EncodedPredictor, int], T],
        content: bytes,
        served: Served,
        text: int | None = None,
    ) -> T:
        """Return what a reader makes of a body: at once where it is small, else in a thread.

        Images always take a thread. Few bodies are read at a time, so that memory stays bounded.

        Args:
            reader: what reads a body.
            content: the body.
            served: the model that it is read for.
            text: bytes at its start that are parsed, the rest are taken as they are; None = all.
        """
        model, most = served.model.model, self.limits.rows
        if (len(content) if text is None else text) <= SMALL and not image_columns(model):
            return reader(content, model, most)
        async with self.readers:
            return await asyncio.to_thread(reader, content, model, most)

    async def watch(self) -> None:
        """Swap to another version when the pointer names one; requests in work keep theirs."""
        while True:
            await asyncio.sleep(POLL)
            try:
                if current_version(self.folder).number != self.served.version:
                    served = await asyncio.to_thread(Served.read, self.folder)
                    self.served = served
                    self.meters.version.set(served.version)
                    log.warning("serving version %d of %s", served.version, self.name)
            except (LabelweaveError, OSError) as error:
                log.error("version %d stays in use: %s", self.served.version, error)

    async def predicted(self, served: Served, rows: AnyRows, who: str = "-") -> dict[str, Any]:
        """Return the probabilities of n rows by the version that has read them; log who asked."""
        found = await self.batcher.probabilities(served, rows)
        labels = counts_to_log(served.model.model, found)
        if self.decisions is not None:
            self.decisions.write(
                who=who, model=self.name, version=served.version, rows=len(rows), labels=labels
            )
        self.meters.rows.inc(len(rows))
        for name, counts in labels.items():
            for label, count in counts.items():
                self.meters.labels.labels(name, label).inc(count)
        for name, values in contradiction_scores(found, served.model.relations).items():
            self.meters.contradiction.add(name, values)
        return found


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Gate:
    """What every request passes: key, size of the body, number at a time, seconds."""

    def __init__(self, app: Any, service: Service, keys: tuple[bytes, ...]) -> None:
        self.app, self.service, self.keys = app, service, keys

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        meters, begun, status = self.service.meters, time.perf_counter(), 500
        scope["known_path"], scope["who"] = "other", fingerprint(self._given(scope))

        async def noted(message: Mapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        self.service.busy += 1
        meters.busy.set(self.service.busy)
        try:
            refused = self._refused(scope)
            if refused is not None:
                await refused(scope, receive, noted)
            else:
                await self._within(scope, receive, noted)
        finally:
            self.service.busy -= 1
            meters.busy.set(self.service.busy)
            route = scope.get("route")
            path = getattr(route, "path", "other")
            meters.requests.labels(path, str(status)).inc()
            meters.seconds.labels(path).observe(time.perf_counter() - begun)

    def _refused(self, scope: Mapping[str, Any]) -> Response | None:
        if scope["path"] in OPEN:
            return None
        if self.keys and not self._known(self._given(scope)):
            headers = {"WWW-Authenticate": "Bearer"}
            return problem(401, "no valid key, expected 'Authorization: Bearer KEY'", headers)
        if self.service.busy > self.service.limits.requests:
            most = self.service.limits.requests
            return problem(503, f"busy: {most} requests in work", {"Retry-After": "1"})
        return None

    def _given(self, scope: Mapping[str, Any]) -> bytes:
        """Return the key of a request; empty where the service has none."""
        headers = dict(scope["headers"]) if self.keys else {}
        given = headers.get(b"x-api-key") or headers.get(b"authorization", b"")
        return re.sub(rb"(?i)^bearer +", b"", given)[:LONGEST_KEY]

    def _known(self, given: bytes) -> bool:
        matches = [hmac.compare_digest(given, key) for key in self.keys]  # all, in any case
        return any(matches)

    async def _within(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        limits, begun = self.service.limits, False

        async def started(message: Mapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def answer() -> None:
            body = await _body(receive, limits.body)
            if body is None:
                most = f"{limits.body:,}"
                await problem(413, f"body: found more, expected at most {most} bytes")(
                    scope, receive, started
                )
                return
            given = [{"type": "http.request", "body": body, "more_body": False}]

            async def replay() -> dict[str, Any]:
                return given.pop() if given else await receive()

            await self.app(scope, replay, started)

        try:
            await asyncio.wait_for(answer(), limits.seconds)
        except TimeoutError:
            if begun:
                raise
            await problem(504, f"no answer within {limits.seconds:g} seconds")(scope, receive, send)


async def _body(receive: Receive, most: int) -> bytes | None:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def problem(
    status: int, said: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return an error as JSON: one line, and for rows what was found and expected where."""
    return JSONResponse({"error": said, **more}, status, dict(headers or {}))


def make_app(
    folder: str | Path,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    keys: tuple[str, ...] | None = None,
    decisions: str | Path | None = None,
) -> FastAPI:
    """Return the service of a final model, an ASGI application.

    Args:
        folder: the model's folder.
        name: what the service calls it; None = the study's name.
        limits: of requests.
        keys: API keys, one of which a request must carry; None = those of LABELWEAVE_API_KEYS.
        decisions: a file that a line a request is appended to (`DecisionLog`); None = no log.

    Raises:
        LabelweaveError: no final model, inputs that cannot be served, or a log that was changed.
    """
    served = Served.read(Path(folder))
    service = Service(
        Path(folder), checked_name(name or served.model.facts.study), limits or Limits(), served,
        decisions=None if decisions is None else DecisionLog(decisions),
    )  # fmt: skip
    if keys is None:
        keys = environment_keys()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        watcher = asyncio.create_task(service.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await service.batcher.stop()
        if service.decisions is not None:
            service.decisions.close()

    app = FastAPI(
        title=f"labelweave: {service.name}",
        version=labelweave.__version__,
        lifespan=life,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.add_middleware(Gate, service=service, keys=tuple(key.encode() for key in keys))
    _add_errors(app)
    _add_service_paths(app, service)
    _add_protocol_paths(app, service)
    return app


def environment_keys() -> tuple[str, ...]:
    """Return the API keys of LABELWEAVE_API_KEYS, separated by commas."""
    given = os.environ.get(KEYS, "").split(",")
    return tuple(key.strip() for key in given if key.strip())


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(RowsError)
    async def wrong_rows(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RowsError)
        return problem(422, str(error), errors=error.errors)

    @app.exception_handler(TooManyRowsError)
    async def too_many(_: Request, error: Exception) -> JSONResponse:
        return problem(413, str(error))

    @app.exception_handler(LabelweaveError)
    async def wrong(_: Request, error: Exception) -> JSONResponse:
        return problem(400, str(error))


def _add_service_paths(app: FastAPI, service: Service) -> None:
    schema = schema_of(service.served.model.model)
    row = example_row(schema)
    text = f"{','.join(row)}\n{','.join(map(str, row.values()))}\n"
    images = image_columns(service.served.model.model)
    inputs = len(schema.named("input"))
    body: dict[str, Any] = {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["rows"],
                        "properties": {
                            "rows": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": service.limits.rows,
                                "items": row_description(schema),
                            }
                        },
                    },
                    "example": {"rows": [row]},
                },
            },
        }
    }
    content_kinds = body["requestBody"]["content"]
    if not images:
        content_kinds["text/csv"] = {"schema": {"type": "string"}, "example": text}
    elif inputs == 1:
        for kind in ("image/png", "image/jpeg"):
            content_kinds[kind] = {"schema": {"type": "string", "format": "binary"}}

    @app.post("/predict", openapi_extra=body, responses=ERRORS, summary="Predict rows")
    async def predict(request: Request) -> JSONResponse:
        served = service.served
        content = await request.body()
        kind = request.headers.get("content-type", "").lower()
        reader = csv_rows if kind.startswith("text/csv") else json_rows
        if kind.startswith("image/"):
            reader = image_rows
        read = await service.read(reader, content, served)
        found = await service.predicted(served, read.typed, request.scope["who"])
        rows = answered(served.model.model, served.model.relations, found, read)
        # a response as it is: FastAPI would go through every number once more
        return JSONResponse({"model": service.name, "version": served.version, "rows": rows})

    @app.get("/health", summary="Whether the service answers")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "model": service.name, "version": service.served.version}

    @app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        content = prometheus.generate_latest(service.meters.registry)
        return Response(content, media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        policy = (
            "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
            "img-src data:"
        )
        return HTMLResponse(PAGE.read_text("utf-8"), headers={"Content-Security-Policy": policy})

    @app.get("/example", summary="A row that fits the schema")
    async def example() -> dict[str, Any]:
        return {"rows": [row]}


def _add_protocol_paths(app: FastAPI, service: Service) -> None:
    """Add the Open Inference Protocol, version 2."""
    ends = ("", "/versions/{version}")
    Name = Annotated[str, Parameter(json_schema_extra={"enum": [service.name]})]

    def known(name: str, version: str | None) -> Served | JSONResponse:
        served = service.served
        if name != service.name:
            return problem(404, f"model: found '{name[:80]}', expected '{service.name}'")
        if version is not None and version != str(served.version):
            return problem(404, f"version: found '{version[:80]}', expected '{served.version}'")
        return served

    @app.get("/v2", summary="About the server")
    async def server() -> dict[str, Any]:
        return {
            "name": "labelweave",
            "version": labelweave.__version__,
            "extensions": ["binary_tensor_data"],
        }

    @app.get("/v2/health/live", summary="Whether the server lives")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready", summary="Whether the server is ready")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    async def metadata(name: Name, version: str | None = None) -> Any:
        served = known(name, version)
        if isinstance(served, JSONResponse):
            return served
        return model_metadata(service.name, served.version, served.model)

    async def model_ready(name: Name, version: str | None = None) -> Any:
        served = known(name, version)
        return served if isinstance(served, JSONResponse) else {"name": name, "ready": True}

    async def infer(request: Request, name: Name, version: str | None = None) -> Any:
        served = known(name, version)
        if isinstance(served, JSONResponse):
            return served
        content, header = await request.body(), _header_length(request)
        reader = partial(infer_rows, header=header)
        asked, read = await service.read(reader, content, served, header)
        found = await service.predicted(served, read.typed, request.scope["who"])
        answer = infer_answer(service.name, served.version, served.model.model, asked, found)
        if not wants_binary(asked):
            return JSONResponse(json_answer(answer))
        body, length = binary_answer(answer)
        return Response(body, media_type=BINARY, headers={HEADER: str(length)})

    example = _infer_example(service)
    for end in ends:
        path = f"/v2/models/{{name}}{end}"
        note = " of a version" if end else ""
        app.get(path, responses=ERRORS, summary=f"Inputs and outputs{note}")(metadata)
        app.get(f"{path}/ready", responses=ERRORS, summary=f"Readiness{note}")(model_ready)
        app.post(
            f"{path}/infer", openapi_extra=example, responses=ERRORS, summary=f"Predict{note}"
        )(infer)


def _header_length(request: Request) -> int | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", given):
        raise LabelweaveError(f"{HEADER}: found '{given[:80]}', expected a number of bytes")
    return int(given)


def _infer_example(service: Service) -> dict[str, Any]:
    schema = schema_of(service.served.model.model)
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": "FP64" if isinstance(value, int | float) else "BYTES",
            "data": [value],
        }
        for name, value in example_row(schema).items()
    ]
    described = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "minItems": 1, "items": input_description(schema)},
        },
    }
    content = {"schema": described, "example": {"id": "1", "inputs": inputs}}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "No JSON or CSV"},
    401: {"description": "No valid key"},
    404: {"description": "Another model or version"},
    413: {"description": "Body or rows beyond the limits"},
    422: {
        "description": "Rows that do not fit the schema",
        "content": {
            "application/json": {
                "example": {
                    "error": "row 1, column 'length': found 'long', expected a number",
                    "errors": [
                        {
                            "row": 1,
                            "column": "length",
                            "found": "'long'",
                            "expected": "a number, or null where it is missing",
                        }
                    ],
                }
            }
        },
    },
    503: {"description": "Too many requests at a time"},
    504: {"description": "No answer in time"},
}


def run_service(
    folder: Path,
    host: str,
    port: int,
    *,
    name: str | None,
    limits: Limits,
    open_: bool,
    decisions: Path | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in work are answered first.

    Raises:
        LabelweaveError: no model, or no API keys for a host that others can reach.
    """
    keys = environment_keys()
    if not keys and not open_ and host not in LOOPBACK:
        raise LabelweaveError(
            f"--host {host}: others can reach it, expected keys in {KEYS}, or --open to serve "
            "without"
        )
    app = make_app(folder, name=name, limits=limits, keys=keys, decisions=decisions)
    gc.collect()
    gc.freeze()  # what was loaded stays; to look through it would stop all requests for a while
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
        limit_concurrency=None,
    )


__all__ = ["Limits", "make_app", "run_service"]

"""Requests that arrive together are predicted together."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

AnyRows = pd.DataFrame | NDArray[np.float64]
Probabilities = dict[str, NDArray[np.float32]]


@dataclass(eq=False)
class Waiting:
    """Rows of a request, the model to predict them with, and where its answer goes."""

    model: Any
    rows: AnyRows
    answer: "asyncio.Future[Probabilities]"


@dataclass(eq=False)
class Batcher:
    """Collects the rows of requests for a moment and predicts them at once, in a thread.

    Args:
        predict: takes a model and rows; returns the probabilities of every task.
        most: rows of a batch; a request with more is a batch by itself.
        seconds: how long the first request of a batch waits for others.
        alone: models whose predictions depend on the batch take one request at a time.
        seen: called with the number of rows of every batch.
        busy: the number of requests in work; a batch that holds all of them does not wait.
        quick: rows that are predicted faster than a thread is asked to, and so without one.
    """

    predict: Callable[[Any, Any], Probabilities]
    most: int = 1024
    seconds: float = 0.002
    alone: Callable[[Any], bool] = lambda model: False
    seen: Callable[[int], None] = lambda rows: None
    busy: Callable[[], int] = lambda: sys.maxsize
    quick: Callable[[Any], bool] = lambda rows: False
    _queue: "asyncio.Queue[Waiting]" = field(default_factory=asyncio.Queue)
    _worker: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Finish what waits, then end."""
        await self._queue.join()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def probabilities(self, model: Any, rows: AnyRows) -> Probabilities:
        """Return the probabilities of n rows."""
        waiting = Waiting(model, rows, asyncio.get_running_loop().create_future())
        await self._queue.put(waiting)
        return await waiting.answer

    async def _work(self) -> None:
        while True:
            batch = await self._collect()
            groups: dict[Any, list[Waiting]] = {}
            for place, each in enumerate(batch):
                own = place if self.alone(each.model) else None
                groups.setdefault((id(each.model), type(each.rows), own), []).append(each)
            for group in groups.values():
                await self._answer(group)
            for _ in batch:
                self._queue.task_done()

    async def _collect(self) -> list[Waiting]:
        batch = [await self._queue.get()]
        rows, end = len(batch[0].rows), asyncio.get_running_loop().time() + self.seconds
        while rows < self.most:
            if self._queue.empty() and len(batch) >= self.busy():
                break
            left = end - asyncio.get_running_loop().time()
            try:
                each = (
                    self._queue.get_nowait()
                    if left <= 0
                    else await asyncio.wait_for(self._queue.get(), left)
                )
            except (TimeoutError, asyncio.QueueEmpty):
                break
            batch.append(each)
            rows += len(each.rows)
        return batch

    async def _answer(self, group: list[Waiting]) -> None:
        group = [each for each in group if not each.answer.done()]  # the others gave up
        if not group:
            return
        rows = _joined([each.rows for each in group])
        self.seen(len(rows))
        try:
            if self.quick(rows):
                found = self.predict(group[0].model, rows)
            else:
                found = await asyncio.to_thread(self.predict, group[0].model, rows)
        except Exception as error:
            for each in group:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        start = 0
        for each in group:
            end = start + len(each.rows)
            if not each.answer.done():
                each.answer.set_result({name: p[start:end] for name, p in found.items()})
            start = end


def _joined(parts: list[Any]) -> Any:
    """Return the rows of requests, all frames or all arrays, as one."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pd.concat(parts, ignore_index=True)

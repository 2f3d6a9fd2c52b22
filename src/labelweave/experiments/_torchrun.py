"""Calls by the processes that `torchrun` has started, all of them together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from labelweave.experiments._engines import Plan
from labelweave.training import TrainingConfig
from labelweave.training._device import device_of, is_first

T = TypeVar("T")


class TorchrunProcesses:
    """The processes of a `torchrun`: each call is made by all, one call after the other.

    The first process has the study and its results. It sends every call with its data to the
    others, which train with it and write nothing.

    Args:
        config: with as many devices and nodes as `torchrun` was given.

    Raises:
        LabelweaveError: `torchrun` has started another number of processes.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.device = device_of(config)

    def calls(
        self, call: Callable[..., T], given: Sequence[tuple[Any, ...]], plan: Plan
    ) -> Iterator[tuple[int, T]]:
        """Give the number and the result of every call, as it ends; see `Engine`."""
        for number, each in enumerate(given):
            self.device.broadcast((call, each))
            yield number, call(*each)

    def follow(self) -> None:
        """Make the calls that the first process sends, until it ends."""
        while (sent := self.device.broadcast(None)) is not None:
            call, given = sent
            call(*given)


@contextmanager
def leading(config: TrainingConfig) -> Iterator[TorchrunProcesses | None]:
    """Give the engine in the first process; in the others make its calls, and give None."""
    engine = TorchrunProcesses(config)
    if not is_first():
        engine.follow()
        yield None
        return
    yield engine
    engine.device.broadcast(None)  # after an error torchrun ends the others

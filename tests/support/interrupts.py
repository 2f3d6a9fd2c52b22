"""Ctrl-C as in a terminal, also where the tests run in the background and it is ignored."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(name="interrupts")
def interrupts() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

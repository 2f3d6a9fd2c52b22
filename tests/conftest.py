import signal
from collections.abc import Iterator

import pytest
import torch
from command_line import CommandLine
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("labelweave", deadline=None)
settings.load_profile("labelweave")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Give what calls the command line as a terminal would, without a new process."""
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let Ctrl-C work as in a terminal, also where tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

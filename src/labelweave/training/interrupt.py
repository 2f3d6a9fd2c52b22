"""Ctrl-C between two steps, so that a run can save its state before it stops."""

import signal
import threading
from typing import Self


class Interrupt:
    """Turns Ctrl-C into a question that the loop asks between two steps; a second one stops it."""

    def __init__(self) -> None:
        self.asked = False
        self.previous: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error: object) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)  # type: ignore[arg-type]

"""How a command is told to end: Ctrl-C, SIGTERM, or the end of the process that owns it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn

from fedzmq.cli.main import STOPPED

FORCED = 1.0  # seconds after the first signal from which on another one ends the process without tidying up


def on_signal(stop: Callable[[], None]) -> Callable[[], AbstractContextManager[None]]:
    """Have SIGINT and SIGTERM call `stop`, from the main thread, wherever it is.

    It is called once: one who presses twice in a hurry gets the same clean end, and one who is still there a second
    later gets out at once. What is given is for what must not be interrupted: `with` it, `stop` is called at the end.
    """
    first: list[float] = []
    held: list[bool] = []
    late: list[bool] = []

    def handle(number: int, frame: object) -> None:
        if not first:
            first.append(time.monotonic())
            if held:
                late.append(True)
            else:
                stop()
        elif time.monotonic() - first[0] > FORCED:
            os._exit(STOPPED)

    @contextmanager
    def later() -> Iterator[None]:
        held.append(True)
        try:
            yield
        finally:
            held.pop()
        if late:
            late.clear()
            stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return later


def interrupt() -> NoReturn:
    """A `stop` for commands that tidy up on their way out of whatever they do."""
    raise KeyboardInterrupt


def with_stdin() -> None:
    """End this process, as SIGTERM would, when its standard input ends: its owner is gone, however it died."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="fedzmq-owner", daemon=True).start()

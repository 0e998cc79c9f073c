"""How a command is told to end: Ctrl-C, a polite kill, or the end of the process that owns it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


def on_signal(stop: Callable[[], None]) -> None:
    """Have SIGINT and SIGTERM call `stop`, from the main thread, wherever it is. A second one changes nothing."""

    def handle(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stop()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def interrupt() -> None:
    """A `stop` for commands that tidy up on their way out of whatever they do."""
    raise KeyboardInterrupt


def with_stdin() -> None:
    """End this process, as SIGTERM would, when its standard input ends: its owner is gone, however it died."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="fedzmq-owner", daemon=True).start()

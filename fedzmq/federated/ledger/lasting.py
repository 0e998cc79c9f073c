"""Waits for the disk: at once where that is short, and else beside whatever is done next.

On a busy disk a wait is as long as several small rounds, and nothing to one that takes seconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fedzmq.client.waiting import Waiting
from fedzmq.files.whole_file import sync

MOST = 3  # commits that wait for the disk, before the next one waits too
LOOK = 1.0  # seconds between two looks whether it takes long
WORTH = 10  # times as long as the disk: what took so long between two commits does not notice that it is waited for


class Lasting:
    """Has a thread of its own from the first `begin` on, until `close`. `clock` gives seconds. `slow` is told now and
    then, while the disk takes long, for how many seconds it has been waited for.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, slow: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._changed = threading.Condition()
        self._clock = clock
        self._slow = slow
        self._took = 0.0  # seconds, the last time
        self._left: float | None = None  # when the last `begin` was done
        self._waiting: list[tuple[Sequence[Path], Callable[[], None]]] = []
        self._busy = 0  # commits that are being brought there
        self._is_closed = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def begin(self, paths: Sequence[Path], then: Callable[[], None]) -> None:
        """Have files, and folders' lists of names, brought to the disk. `then` is done after it, unless a later one is.

        It is there when this returns, unless less than `WORTH` times as long as that took the last time has passed
        since the last call. Raises the OSError of an earlier one, once.
        """
        is_long = self._left is None or self._clock() - self._left >= WORTH * self._took
        with self._changed:
            self._wait_for(lambda: len(self._waiting) + self._busy < MOST)
            self._raise()
            self._waiting.append((paths, then))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fedzmq-disk", daemon=True)
                self._thread.start()
        if is_long:
            self.wait()
        self._left = self._clock()

    def wait(self) -> None:
        """Until all is there. Raises the OSError that kept it from that, once."""
        with self._changed:
            self._wait_for(lambda: not self._waiting and not self._busy)
            self._raise()

    def close(self) -> None:
        """Once all is there, or is known not to be. Twice is fine."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        """Hold `_changed`."""
        waiting = Waiting(self._clock)
        while not self._changed.wait_for(condition, LOOK):
            if waiting.is_due():
                self._slow(waiting.seconds)

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                batch, self._waiting = self._waiting, []
                self._busy = len(batch)
            began = self._clock()
            try:
                for path in dict.fromkeys(path for paths, _ in batch for path in paths):
                    with contextlib.suppress(FileNotFoundError):  # a later state has taken its place
                        sync(path)
                batch[-1][1]()
            except OSError as error:
                self._error = error
            with self._changed:
                self._took = self._clock() - began
                self._busy = 0
                self._changed.notify_all()

"""Waits for the disk beside whatever else is done: on a busy one, a wait is as long as several small rounds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fedzmq.files.whole_file import sync

MOST = 3  # commits that wait for the disk, before the next one waits too


class Lasting:
    """Has a thread of its own from the first `begin` on, until `close`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[Sequence[Path], Callable[[], None]]] = []
        self._busy = 0  # commits that are being brought there
        self._is_closed = False
        self._error: OSError | None = None
        self._thread: threading.Thread | None = None

    def begin(self, paths: Sequence[Path], then: Callable[[], None]) -> None:
        """Have files, and folders' lists of names, brought to the disk. `then` is done after it, unless a later one is.

        Raises the OSError of an earlier one, once.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) + self._busy < MOST)
            self._raise()
            self._waiting.append((paths, then))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fedzmq-disk", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until all is there. Raises the OSError that kept it from that, once."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy)
            self._raise()

    def close(self) -> None:
        """Once all is there, or is known not to be. Twice is fine."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

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
            try:
                for path in dict.fromkeys(path for paths, _ in batch for path in paths):
                    with contextlib.suppress(FileNotFoundError):  # a later state has taken its place
                        sync(path)
                batch[-1][1]()
            except OSError as error:
                self._error = error
            with self._changed:
                self._busy = 0
                self._changed.notify_all()

"""Waits for the disk beside whatever else is done: on a busy one, a wait is as long as several small rounds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from fedzmq.files.whole_file import sync


class Lasting:
    """One wait at a time."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def begin(self, paths: Sequence[Path], then: Callable[[], None]) -> None:
        """Have files, and folders' lists of names, brought to the disk; `then` is done after it."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(paths, then), name="fedzmq-disk", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until they are there. Raises the OSError that kept them from it, once."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self, paths: Sequence[Path], then: Callable[[], None]) -> None:
        try:
            for path in paths:
                with contextlib.suppress(FileNotFoundError):  # it has been taken over by a file that is there
                    sync(path)
            then()
        except OSError as error:
            self._error = error

"""Who works in a folder: one process at a time, until it ends, however it ends.

The lock is the kernel's, so that a process that was killed holds none; what stands in the file is for people alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from fedzmq.errors import FolderLocked

LOCK = "lock"
PATIENCE = 1.0  # seconds: whoever only looks whether it is locked holds the lock for an instant
_LOOK = 0.02


class FolderLock:
    """Held from its making until `close`; it waits so many seconds for others.

    Raises FolderLocked, or what `locked` is, and OSError.
    """

    def __init__(
        self, folder: Path, patience: float = PATIENCE, locked: Callable[[str, str], FolderLocked] = FolderLocked
    ) -> None:
        path = folder / LOCK
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not self._wait(patience):
                raise locked(str(folder), owner_of(folder))
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        except BaseException:
            self.close()
            raise

    def is_in(self, folder: Path) -> bool:
        """The folder is still the one that was locked, and was not removed before that."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._descriptor), (folder / LOCK).stat())
        return False

    def close(self) -> None:
        """Let others have it. Twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
            time.sleep(_LOOK)


def owner_of(folder: Path) -> str:
    """Who holds the lock, in words, or held it last."""
    try:
        text = (folder / LOCK).read_text(errors="replace")[:200]
    except OSError:
        text = ""
    return text.strip() or "another process"


def is_locked(folder: Path) -> bool:
    """A living process works in this folder."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False

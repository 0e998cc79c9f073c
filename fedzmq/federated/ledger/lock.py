"""Who works on a run: one process at a time, until it ends, however it ends.

The lock is the kernel's, so that a process that was killed holds none; what stands in the file is for people alone.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from pathlib import Path
from types import TracebackType

from fedzmq.errors import RunFolderError, RunLocked

PATIENCE = 1.0  # seconds: whoever only looks whether a run is locked holds the lock for an instant
_LOOK = 0.02


class RunLock:
    """Held from its making until `close`. Raises RunLocked and RunFolderError."""

    def __init__(self, folder: Path) -> None:
        path = folder / "lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunFolderError(str(folder), f"it cannot be locked: {error.strerror}") from error
        try:
            self._wait(folder)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
        except OSError as error:
            self.close()
            raise RunFolderError(str(folder), f"it cannot be locked: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others have it. Twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, folder: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RunLocked(str(folder), owner_of(folder)) from None
            time.sleep(_LOOK)


def owner_of(folder: Path) -> str:
    """Who holds the lock, in words, or held it last."""
    try:
        text = (folder / "lock").read_text(errors="replace")[:200]
    except OSError:
        text = ""
    return text.strip() or "another process"


def is_locked(folder: Path) -> bool:
    """A living process works on the run in this folder."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
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

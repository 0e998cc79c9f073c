"""A folder in the system's temporary one that goes with its process, however that ends.

It is locked for as long as it is in use: where a process was killed, the next one that makes such a folder removes what
it left. A folder without a lock, or another user's, is nobody's to remove.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from fedzmq.errors import FolderLocked
from fedzmq.files.folder_lock import LOCK, FolderLock

_ATTEMPTS = 10


class TemporaryFolder:
    """`path` is there, for this user alone, from its making until `close`. `prefix` begins its name. Raises OSError."""

    def __init__(self, prefix: str) -> None:
        _remove_abandoned(prefix)
        for _ in range(_ATTEMPTS):
            self.path = Path(tempfile.mkdtemp(prefix=prefix))
            try:
                self._lock = FolderLock(self.path)
            except FolderLocked:
                continue
            except OSError:
                _remove(self.path)
                raise
            if self._lock.is_in(self.path):
                return
            self._lock.close()  # somebody who tidies up came between its making and its lock
        raise FileExistsError(f"no folder {prefix}... could be made in {tempfile.gettempdir()}")

    def close(self) -> None:
        """Remove it with all that is in it. Twice is fine."""
        _remove(self.path)
        self._lock.close()


def _remove_abandoned(prefix: str) -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError, FolderLocked):
            if not (_is_own(path) and (path / LOCK).is_file()):
                continue
            with FolderLock(path, patience=0.0) as lock:  # nobody's: its process is dead
                if lock.is_in(path):
                    _remove(path)


def _is_own(path: Path) -> bool:
    """It is a folder, and no link to one, of this user's."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _remove(path: Path) -> None:
    """The lock last, so that whoever is killed in the middle leaves what the next one removes."""
    with contextlib.suppress(OSError):
        for each in path.iterdir():
            if each.name == LOCK:
                continue
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)

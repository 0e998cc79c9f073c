"""What the system, or SQLite, says of a run's folder, as an error of this package's."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from textwrap import shorten

from fedzmq.errors import RunFolderError, RunFolderFull

_WIDTH = 240  # characters of a reason: SQLite's may hold all of a damaged text


def folder_error(path: Path, failed: str, error: Exception) -> RunFolderError:
    """`failed` begins the sentence: what could not be done there. A full disk is told from all that lasts."""
    if _is_full(error):
        return RunFolderFull(str(path), failed)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else shorten(str(error), _WIDTH)
    return RunFolderError(str(path), f"{failed}: {reason}")


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, sqlite3.OperationalError) and "is full" in str(error)

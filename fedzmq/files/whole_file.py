"""A file that is there whole or not at all, whenever the machine stops.

It is written under a name of its own, made lasting, and renamed; what had its name before stays until that moment.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

UNFINISHED = ".tmp-"  # how the names of files begin that nobody finished


class WholeFile:
    """`with WholeFile(folder) as whole: whole.file.write(...); whole.become("name")`.

    Without `become`, nothing is left of it. Raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
        self._is_named = False
        self.file: BinaryIO = self._path.open("xb")

    def become(self, name: str, *, lasting: bool = True) -> Path:
        """Take its name, in place of what has it. It is on the disk when this returns; not `lasting`, it outlives this
        process, and what the machine had of it when it stopped may be a part.
        """
        final = self._path.with_name(name)
        self.file.flush()
        if lasting:
            os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self._path, final)
        self._is_named = True
        if lasting:
            sync(final.parent)  # the list of names: a rename is lasting only then
        return final

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written before cannot be flushed now
            self.file.close()
        if not self._is_named:
            with contextlib.suppress(OSError):  # the folder is gone
                self._path.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what nobody finished; nobody may be writing there."""
    for path in folder.glob(f"{UNFINISHED}*"):
        path.unlink(missing_ok=True)

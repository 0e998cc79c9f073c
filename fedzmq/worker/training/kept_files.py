"""What stays on a worker between rounds, as files, so that a worker that is started again goes on with it.

The folder is made when there is something to keep, and belongs to one process at a time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import mkdtemp

from fedzmq.errors import UsageError
from fedzmq.files.folder_lock import FolderLock
from fedzmq.files.weights import read_weights, write_weights
from fedzmq.files.whole_file import WholeFile, sweep
from fedzmq.worker.training.memory import Kept, RunName

PATIENCE = 10.0  # seconds for the process that had the folder before to end
_KINDS = ("control", "personal", "model")
_SUFFIX = ".safetensors"


class KeptFiles:
    """Its methods raise OSError and FolderLocked."""

    def __init__(self, folder: Path) -> None:
        self._given = folder
        self._owned: Path | None = None
        self._lock: FolderLock | None = None

    def check(self) -> None:
        """Raises UsageError where nothing can be kept there: else that would show after the first round's work."""
        place = next(each for each in (self._folder, *self._folder.parents) if each.exists())
        try:  # permissions do not tell: root has them all, and a system's own folders take nothing
            os.rmdir(mkdtemp(prefix=".fedzmq-", dir=place))
        except OSError as error:
            raise UsageError(
                f"nothing can be kept in {str(self._given)!r}: {place} is no folder that can be written to; give "
                "another folder, there already or not"
            ) from error

    def write(self, name: RunName, round: int, kept: Kept) -> None:
        """Lasting when it returns."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._own(self._folder)
        tensors = {f"{kind}/{key}": each for kind in _KINDS for key, each in getattr(kept, kind).items()}
        try:
            with WholeFile(self._folder) as whole:
                write_weights(tensors, whole.file)
                whole.become(self._path(name, round).name)
        except OSError as error:  # of a full disk, which names no place by itself
            raise OSError(error.errno, error.strerror or str(error), str(self._folder)) from error

    def read(self, name: RunName, round: int) -> Kept | None:
        """What a round kept, in this process or an earlier one."""
        path = self._path(name, round)
        if not path.exists():
            return None
        self._own(self._folder)
        kept = Kept()
        for key, tensor in read_weights(path).items():
            kind, _, plain = key.partition("/")
            {"control": kept.control, "personal": kept.personal, "model": kept.model}[kind][plain] = tensor
        return kept

    def forget(self, name: RunName, but: int | None = None) -> None:
        """Of a run, all rounds but one."""
        still = None if but is None else self._path(name, but)
        for path in self._folder.glob(f"{_label(name)}-*{_SUFFIX}"):
            if path != still:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process have the folder. Twice is fine."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def _folder(self) -> Path:
        """Where it is now: a link on the way to it may lead elsewhere than before."""
        return self._given.resolve()

    def _own(self, folder: Path) -> None:
        if self._lock is None or self._owned != folder:
            self.close()
            self._lock, self._owned = FolderLock(folder, PATIENCE), folder
            sweep(folder)

    def _path(self, name: RunName, round: int) -> Path:
        return self._folder / f"{_label(name)}-{round}{_SUFFIX}"


def _label(name: RunName) -> str:
    """Of a run whose name came over the wire, and may hold anything."""
    return hashlib.sha256(repr((name.run, name.plan, name.dataset)).encode()).hexdigest()[:32]

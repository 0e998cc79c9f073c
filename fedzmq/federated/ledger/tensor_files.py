"""Weights in a folder, each file named by its sha256: whoever knows the name can tell whether it is whole."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import torch

from fedzmq.files.weights import read_weights, write_weights
from fedzmq.files.whole_file import WholeFile, sweep

_SUFFIX = ".safetensors"
_PIECE = 1 << 20  # bytes read at once
_DAMAGED = (errno.ENOENT, errno.EIO, errno.EISDIR, errno.ELOOP)  # what a disk, or somebody's hand, makes of a file


class TensorFiles:
    """Its methods raise OSError. One thread writes; another one may remove."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._needed: set[str] = set()

    def write(self, tensors: Mapping[str, torch.Tensor]) -> str:
        """Gives the name under which they are kept; that they are on the disk is for `path` to be waited for."""
        with WholeFile(self._folder) as whole:
            name = write_weights(tensors, whole.file)
            with self._lock:
                whole.become(name + _SUFFIX, lasting=False)
                self._needed.add(name)
        return name

    def path(self, name: str) -> Path:
        """Where they are."""
        return self._folder / (name + _SUFFIX)

    def is_whole(self, name: str) -> bool:
        """The file is there, can be read by whoever may, and no byte of it is another one."""
        digest = hashlib.sha256()
        try:
            with self.path(name).open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
        except OSError as error:
            if error.errno in _DAMAGED:
                return False
            raise
        return digest.hexdigest() == name

    def read(self, name: str) -> dict[str, torch.Tensor]:
        """What `write` was given."""
        return read_weights(self.path(name))

    def need(self, names: Collection[str]) -> None:
        """These are needed now, and those that are written from now on."""
        with self._lock:
            self._needed = set(names)

    def keep(self, names: Collection[str]) -> None:
        """Remove all but these and those that are needed now."""
        with self._lock:
            for path in self._folder.glob(f"*{_SUFFIX}"):
                if path.stem not in names and path.stem not in self._needed:
                    path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what nobody finished; nobody may be writing."""
        sweep(self._folder)

"""Updates on disk, for strategies that need all of a round at once: memory holds a piece of each, never a whole one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

import torch

from fedzmq.errors import UnavailableError
from fedzmq.tensors.buffers import export


class Spool:
    """Room for so many updates that have the form of `state`. Open from the beginning; close it, or use it in a `with`.

    Its file has no name: a killed process leaves none. Raises UnavailableError where there is no room for it.
    """

    def __init__(self, state: Sequence[torch.Tensor], updates: int) -> None:
        self._updates = updates
        self._dtypes = [each.dtype for each in state]
        self._begins = []
        self._stride = 0
        for each in state:
            self._begins.append(self._stride)
            self._stride += each.nbytes
        # Unbuffered, and read in place of being mapped: what was read once is not memory of this process any more.
        with _explained():
            self._file = cast(BinaryIO, tempfile.TemporaryFile(prefix="fedzmq-updates-", buffering=0))  # noqa: SIM115 - see `close`

    def write(self, update: int, place: int, start: int, values: torch.Tensor) -> None:
        """From that element on, of the tensor at that place, flattened."""
        self._file.seek(self._offset(update, place, start))
        left = export(values)[2]
        with _explained():
            while left:
                left = left[self._file.write(left) :]

    def read(self, place: int, start: int, stop: int) -> torch.Tensor:
        """These elements of every update, (updates, elements). What was not written is 0."""
        rows = torch.zeros(self._updates, stop - start, dtype=self._dtypes[place])
        for update, row in enumerate(rows):
            self._file.seek(self._offset(update, place, start))
            left = memoryview(row.view(torch.uint8).numpy()) if len(row) else memoryview(b"")
            while left and (count := self._file.readinto(left)):  # type: ignore[attr-defined]  # a raw file's
                left = left[count:]
        return rows

    def close(self) -> None:
        """What was spooled is gone; twice is fine."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _offset(self, update: int, place: int, start: int) -> int:
        return update * self._stride + self._begins[place] + start * self._dtypes[place].itemsize


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"there is no room for the updates of a round in the system's temporary folder: {error.strerror or error}; "
            "TMPDIR=FOLDER names another"
        ) from error

"""Arrays that lie in a file, row after row, of which rows are copied out. Memory does not grow with what was read.

Pages of a mapped file count as memory of this process once they are touched, so they are given back again and again.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzmq.errors import DataError

WINDOW = 8 * 1024 * 1024  # bytes of the file that are touched before they are given back
_AROUND = 2 * 1024 * 1024  # bytes around a row that the system may bring in with it

Array = np.ndarray[Any, Any]


class MappedArray:
    """`shape` numbers of one dtype from `offset` on, as C lays them out. Raises DataError where the file is too short.

    `bfloat16` are read as uint16, and become what they are in torch, which knows them.
    """

    def __init__(
        self, source: str, path: Path, offset: int, dtype: np.dtype[Any], shape: Sequence[int], bfloat16: bool = False
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self._source = source
        self._bfloat16 = bfloat16
        self._row_bytes = dtype.itemsize * prod(self.shape[1:])
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._needed = offset + dtype.itemsize * prod(self.shape)
        if self._needed > len(self._map):
            raise DataError(source, "the file ends before its arrays do: it was cut off")
        self._rows = np.frombuffer(self._map, dtype, prod(self.shape), offset).reshape(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, index: Array) -> Array | torch.Tensor:
        """Copies of these rows, in this order. Raises DataError where the file was changed meanwhile."""
        if self._map.size() < self._needed:  # to touch what is no longer there would end the process
            raise DataError(self._source, "the file was cut off while it was in use")
        if not len(index) or self._in_one_window(index):
            taken = self._rows[index]
            self._give_back()
        else:
            taken = self._by_windows(index)
        return torch.from_numpy(taken).view(torch.bfloat16) if self._bfloat16 else taken

    def _in_one_window(self, index: Array) -> bool:
        return (int(index.max()) - int(index.min()) + 1) * self._row_bytes <= WINDOW

    def _by_windows(self, index: Array) -> Array:
        """In the order in which the rows lie, so that no page is brought in twice."""
        taken = np.empty((len(index), *self.shape[1:]), self.dtype)
        order = np.argsort(index, kind="stable")
        lying = index[order]
        windows = lying // max(1, WINDOW // max(1, self._row_bytes))
        ends = np.append(np.flatnonzero(np.diff(windows)) + 1, len(lying))
        start = touched = 0
        for end in ends.tolist():
            taken[order[start:end]] = self._rows[lying[start:end]]
            touched += min(WINDOW, (end - start) * (self._row_bytes + _AROUND))
            if touched >= WINDOW or end == len(lying):
                self._give_back()
                touched = 0
            start = end
        return taken

    def _give_back(self) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on every system
            self._map.madvise(mmap.MADV_DONTNEED)


class MappedRows:
    """Arrays with as many rows each, one for each column. Raises DataError where they have not."""

    is_fixed = True

    def __init__(self, source: str, arrays: Sequence[MappedArray]) -> None:
        self._arrays = tuple(arrays)
        rows = {len(each) for each in self._arrays}
        if len(rows) > 1:
            counts = " and ".join(str(len(each)) for each in self._arrays)
            raise DataError(source, f"its arrays have {counts} rows; each row needs one of each")

    def __len__(self) -> int:
        return len(self._arrays[0])

    def take(self, index: torch.Tensor) -> list[Array | torch.Tensor]:
        wanted = index.numpy()
        return [each.take(wanted) for each in self._arrays]

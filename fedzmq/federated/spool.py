"""Updates on disk, for strategies that need all of a round at once: memory holds a piece of each, never a whole one."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from fedzmq.tensors.buffers import export


class Spool:
    """Open from the beginning; close it, or use it in a `with`. Its files have no names: a killed process leaves none.

    All states must be alike in shapes and dtypes.
    """

    def __init__(self) -> None:
        self._files = ExitStack()
        self._maps: list[mmap.mmap | bytes] = []
        self._starts: list[int] = []
        self._dtypes: list[torch.dtype] = []
        self.shapes: list[torch.Size] = []

    def __len__(self) -> int:
        return len(self._maps)

    def add(self, state: Sequence[torch.Tensor]) -> None:
        """Write one more state."""
        file = self._files.enter_context(tempfile.TemporaryFile(prefix="fedzmq-update-"))  # noqa: SIM115 - the stack closes it
        starts = []
        for tensor in state:
            starts.append(file.tell())
            file.write(export(tensor)[2])
            file.write(bytes(-file.tell() % 16))  # so that every tensor begins where any dtype may
        file.flush()
        if not self._maps:
            self._starts, self._dtypes = starts, [tensor.dtype for tensor in state]
            self.shapes = [tensor.shape for tensor in state]
        if not file.tell():
            self._maps.append(b"")
            return
        # A private copy: torch would warn of memory that it may not write to. Nothing writes to it.
        self._maps.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))

    def dtype(self, place: int) -> torch.dtype:
        return self._dtypes[place]

    def piece(self, place: int, start: int, stop: int) -> torch.Tensor:
        """These elements of the tensor at that place, flattened, of every state in the order in which they came."""
        dtype = self._dtypes[place]
        offset = self._starts[place] + start * dtype.itemsize
        return torch.stack(
            [torch.frombuffer(each, dtype=dtype, count=stop - start, offset=offset) for each in self._maps]
        )

    def close(self) -> None:
        """What was spooled is gone; twice is fine."""
        self._maps.clear()
        self._files.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

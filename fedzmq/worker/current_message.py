"""The message that is being run: its buffers, each of which gives one tensor, and what of it is still to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.tensors.buffers import restore
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Describe, Drop, Fetch, Sync, TensorSpec
from fedzmq.worker.store import Store

READS = frozenset({Describe, Fetch, Sync, Drop})  # what changes no memory


class CurrentMessage:
    """Of one client's messages the one whose records are run on its store now; its tensors come on `device`."""

    def __init__(self, store: Store, device: str = "cpu") -> None:
        self._store = store
        self._device = device
        self._buffers: list[Buffer | None] = []
        self._records: Sequence[Any] = []
        self._begun = 0  # the position after which it begins
        self._last_write = -1  # the position of the last record that may change memory, -1 until somebody asks

    def begin(self, records: Sequence[Any], buffers: Sequence[Buffer]) -> None:
        """Its records follow the store's position."""
        self._records, self._buffers = records, list(buffers)
        self._begun, self._last_write = self._store.position, -1

    def end(self) -> None:
        """What nothing took is forgotten."""
        self._buffers = []

    def take(self, spec: TensorSpec) -> Tensor:
        """A tensor from a buffer; each buffer gives one tensor, so that no two share its memory.

        Raises ProtocolError for a buffer that is not there, or not any more, and LimitExceeded for one that is larger
        than all that the client may store.
        """
        buffer = self._buffers[spec.buffer] if spec.buffer < len(self._buffers) else None
        if buffer is None:
            raise ProtocolError(f"buffer {spec.buffer} is not there, or was taken before")
        self._buffers[spec.buffer] = None
        if memoryview(buffer).nbytes > self._store.quota:
            raise LimitExceeded("the bytes of a tensor", memoryview(buffer).nbytes, self._store.quota)
        tensor = restore(spec, buffer).detach()  # no view of the bytes, or its views would take them for their base
        return tensor if self._device == "cpu" else tensor.to(self._device)

    @property
    def goes_on_writing(self) -> bool:
        """A later record of it may change the memory of a tensor."""
        if self._last_write < 0:
            writes = len(self._records)
            while writes and type(self._records[writes - 1]) in READS:
                writes -= 1
            self._last_write = self._begun + writes
        return self._store.position < self._last_write

"""Commands on their way to one worker: they gather in a batch, and nothing here waits.

The batch is posted when it is full, when somebody is about to wait for a reply, and when the owner calls `flush`, which
it does from time to time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, NoReturn

import torch

from fedzmq.errors import PointerError
from fedzmq.pointers.line import Line
from fedzmq.pointers.modes import INITIAL, Modes
from fedzmq.pointers.origins import Origin, Origins, origin
from fedzmq.pointers.shipment import Shipment
from fedzmq.tensors.buffers import export
from fedzmq.tensors.dtypes import name_of
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import check_message, encode
from fedzmq.wire.messages import Command, Drop, Fetch, Mode, Put, Seed, TensorSpec

MAX_BATCH = 256  # records
MAX_WEIGHT = 64 * 1024  # bytes of buffers and of long arguments
DROPS = 16_384  # ids that one record forgets

Record = tuple[Any, ...]  # an operation: see fedzmq.wire.apply


class Outbox:
    """Every method may be called from any thread; the commands of one thread keep their order."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.worker = line.worker
        self.modes = INITIAL
        self.new_id = count(1).__next__
        self.released: list[int] = []  # appended to by finalisers, in any thread, without the lock
        self.origins = Origins()
        self._lock = threading.Lock()
        self._records: list[Record | Command] = []
        self._issued: list[Origin | None] = []  # where each of them comes from
        self._buffers: list[Buffer] = []
        self._weight = 0
        self._seed: int | None = None  # that is to be told before anything else

    def append(self, record: Record, modes: Modes, origin: Origin | None) -> None:
        """One operation whose operands are all on the worker."""
        with self._lock:
            if modes is not self.modes:
                self._switch(modes)
            records = self._records
            records.append(record)
            self._issued.append(origin)
            if len(records) >= MAX_BATCH:
                self._flush()

    def ship(self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment) -> None:
        """One operation with operands that travel along, or with long arguments."""
        with self._lock:
            if modes is not self.modes:
                self._switch(modes)
            for place, tensor in zip(shipment.places, shipment.tensors, strict=True):
                place[2] = self._attach(tensor)
            self._weight += 9 * shipment.elements
            self._add(record, origin)

    def command(self, command: Command, origin: Origin | None) -> None:
        """Raises ProtocolError for one that cannot be sent, which would take the rest of its batch along."""
        check_message(command)
        with self._lock:
            self._add(command, origin)

    def put(self, tensor: torch.Tensor, requires_grad: bool = False) -> int:
        """Store a copy of a local tensor on the worker, in C order: its id. The tensor may be written to afterwards."""
        id = self.new_id()
        dtype, shape = name_of(tensor.dtype), tuple(tensor.shape)
        with self._lock:
            spec = TensorSpec(dtype, shape, self._attach(tensor))
            self._add(Put(id, spec, requires_grad), origin())
        return id

    def ask(self, make: Callable[[int], Command], origin: Origin | None) -> int:
        """Send a command that is to be answered: the number to wait for."""
        request = self.line.request()
        with self._lock:
            self._add(make(request), origin)
        return request

    def ask_for(self, ids: Sequence[int]) -> list[int]:
        """Send for the values of tensors, at once: the numbers to wait for."""
        requests = [self.line.request() for _ in ids]
        with self._lock:
            for request, id in zip(requests, ids, strict=True):
                self._add(Fetch(request, id), None)
            self._flush()
            self.origins.amend(len(ids), origin())  # now that the worker is at it
        return requests

    def ask_to_make(
        self, make: Callable[..., Command], room: int, modes: Modes, origin: Origin | None, shipment: Shipment
    ) -> tuple[int, int]:
        """As `ask`, for what will make tensors under `room` ids: the number to wait for, and the first id."""
        request = self.line.request()
        with self._lock:
            if modes is not self.modes:
                self._switch(modes)
            for place, tensor in zip(shipment.places, shipment.tensors, strict=True):
                place[2] = self._attach(tensor)
            first = self.run_of_ids(room)
            self._add(make(request=request, first=first), origin)
        return request, first

    def carry(
        self,
        make: Callable[[int], Command],
        buffers: Sequence[Buffer],
        post: Callable[[list[Buffer]], None] | None = None,
    ) -> int:
        """As `ask`, for a command with tensors in these buffers. It goes out at once, with `post` in that way."""
        request = self.line.request()
        with self._lock:
            self._flush(post)
            self._records.append(make(request))
            self._issued.append(origin())
            self._buffers += buffers
            self._flush(post)
        return request

    def flush(self) -> None:
        """Post what has gathered."""
        with self._lock:
            self._flush()

    def flush_by(self, post: Callable[[list[Buffer]], None]) -> None:
        """As `flush`, in another way than the line's own."""
        with self._lock:
            self._flush(post)

    def reseed(self, seed: int) -> None:
        """What is drawn from here on begins with this seed. Nothing is sent until there is something to do."""
        self._seed = seed
        self.modes = replace(self.modes)  # no operation's own: the next one switches

    def forked(self) -> None:
        """Have every command refused: this process was forked from the one that the stream is of."""
        self._lock = _Forked()  # type: ignore[assignment]  # whoever commands takes it first

    def run_of_ids(self, length: int) -> int:
        # Another thread may take an id in between; the ids of a run that it broke are never used.
        while True:
            ids = [self.new_id() for _ in range(length)]
            if ids[-1] - ids[0] == length - 1:
                return ids[0]

    def _add(self, record: Record | Command, origin: Origin | None) -> None:
        seed, self._seed = self._seed, None
        if seed is not None:
            self._records.append(Seed(seed))
            self._issued.append(None)
        self._records.append(record)
        self._issued.append(origin)
        if len(self._records) >= MAX_BATCH or self._weight >= MAX_WEIGHT:
            self._flush()

    def _attach(self, tensor: torch.Tensor) -> int:
        # A large one is posted before this call of the user's ends, so nobody can write to it meanwhile.
        size = tensor.numel() * tensor.element_size()
        _, _, view = export(tensor, copy=size < MAX_WEIGHT)
        self._buffers.append(view)
        self._weight += size
        return len(self._buffers) - 1

    def _switch(self, modes: Modes) -> None:
        autocast = None if modes.autocast is None else name_of(modes.autocast)
        self._add(Mode(modes.grad, autocast, name_of(modes.default_dtype)), None)
        self.modes = modes

    def _flush(self, post: Callable[[list[Buffer]], None] | None = None) -> None:
        if self.released:
            self._drop()
        if not self._records:
            return
        records, issued, buffers = self._records, self._issued, self._buffers
        self._records, self._issued, self._buffers, self._weight = [], [], [], 0
        body = encode(records)
        self.origins.extend(issued)
        (post or self.line.post)([body, *buffers])

    def _drop(self) -> None:
        forgotten = len(self.released)
        for start in range(0, forgotten, DROPS):
            self._records.append(Drop(tuple(self.released[start : min(start + DROPS, forgotten)])))
            self._issued.append(None)
        del self.released[:forgotten]


class _Forked:
    """Stands where the lock was, which a thread of the other process may hold forever."""

    def __enter__(self) -> NoReturn:
        raise PointerError(
            "a pointer is of the process that made it, and this one was forked from that: use it there, as with "
            "DataLoader(num_workers=0)"
        )

    def __exit__(self, *_: object) -> None: ...

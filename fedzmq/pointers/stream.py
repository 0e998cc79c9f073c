"""The ordered stream of commands from one client to one worker.

Nothing here waits but what says so: commands gather in a batch, and the batch is posted when it is full, when somebody
waits for a reply, and when the owner calls `flush`, which it does from time to time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any, NoReturn

import torch
from torch.utils.hooks import RemovableHandle

from fedzmq.errors import FedzmqError, NeedsValueError, PointerError, ProtocolError
from fedzmq.pointers.call import Call, OwnCall
from fedzmq.pointers.effects import Effect, Effects
from fedzmq.pointers.failures import error_of
from fedzmq.pointers.line import Line
from fedzmq.pointers.modes import INITIAL, Modes
from fedzmq.pointers.origins import Origin, Origins, origin
from fedzmq.pointers.seeding import follow_seeds
from fedzmq.pointers.shipment import Shipment
from fedzmq.tensors.buffers import export, restore_checked
from fedzmq.tensors.dtypes import name_of
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import check_message, encode
from fedzmq.wire.messages import (
    Command,
    Describe,
    Described,
    Drop,
    Failed,
    Fetch,
    LoadRandomState,
    Mode,
    Probe,
    Put,
    Reply,
    RequireGrad,
    SaveRandomState,
    Seed,
    Sync,
    Synced,
    TensorSpec,
    Value,
)

MAX_BATCH = 256  # records
MAX_WEIGHT = 64 * 1024  # bytes of buffers and of long arguments
DROPS = 16_384  # ids that one record forgets
ROOM = 16  # outputs that an operation of unforeseen outputs may have

Record = tuple[Any, ...]  # an operation: see fedzmq.wire.apply


class _Forked:
    """Stands where the lock was, which a thread of the other process may hold forever."""

    def __enter__(self) -> NoReturn:
        raise PointerError(
            "a pointer is of the process that made it, and this one was forked from that: use it there, as with "
            "DataLoader(num_workers=0)"
        )

    def __exit__(self, *_: object) -> None: ...


class RandomState:
    """One that the worker keeps as long as this object is held."""

    def __init__(self, id: int, released: list[int]) -> None:
        self.id = id
        self._released = released

    def __del__(self) -> None:
        self._released.append(self.id)


class Stream:
    """Every method may be called from any thread; the commands of one thread keep their order.

    `strict` refuses operands from elsewhere, `device` is where the worker computes, `location` what `pointer.location`
    gives (the worker's handle). Effects are shared by the streams of one client.
    """

    is_recording = False  # there is a worker at its end

    def __init__(
        self,
        line: Line,
        *,
        effects: Effects | None = None,
        device: str = "cpu",
        strict: bool = False,
        location: object = None,
    ) -> None:
        self.line = line
        self.worker = line.worker
        self.device = torch.device(device)
        self.effects = effects if effects is not None else Effects(self.device.type)
        self.strict = strict
        self.location: object = location
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
        if not self.is_recording:
            follow_seeds(self)

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

    def require_grad(self, id: int, value: bool) -> int:
        """Gradients are taken for a tensor from here on, or no longer: the id that it has now."""
        self.command(RequireGrad(id, value), origin())
        return id

    def linked(self, call: OwnCall) -> dict[int, Any]:
        """What an autograd function of the program's own gave, by its places, in the graph."""
        return call.gated()

    def hooked(self, pointer: torch.Tensor, hook: Callable[..., Any]) -> RemovableHandle | None:
        """Where there is no backward yet that could call a hook, what is done instead; None is nothing."""
        return None

    def put(self, tensor: torch.Tensor, requires_grad: bool = False) -> int:
        """Store a copy of a local tensor on the worker, in C order: its id. The tensor may be written to afterwards."""
        id = self.new_id()
        dtype, shape = name_of(tensor.dtype), tuple(tensor.shape)
        with self._lock:
            spec = TensorSpec(dtype, shape, self._attach(tensor))
            self._add(Put(id, spec, requires_grad), origin())
        return id

    def probe(
        self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment, more: int = 0
    ) -> tuple[int, Described]:
        """Run an operation whose outputs cannot be foreseen, and wait: the first output's id, and what they are.

        They may be ROOM and `more`.
        """
        room = ROOM + more
        return self.ask_for_outputs(partial(Probe, room=room, record=list(record)), room, modes, origin, shipment)

    def ask_for_outputs(
        self,
        make: Callable[..., Command],
        room: int,
        modes: Modes,
        origin: Origin | None,
        shipment: Shipment,
    ) -> tuple[int, Described]:
        """A command that is answered by what it made, under `room` ids from the first on."""
        request = self.line.request()
        with self._lock:
            if modes is not self.modes:
                self._switch(modes)
            for place, tensor in zip(shipment.places, shipment.tensors, strict=True):
                place[2] = self._attach(tensor)
            first = self.run_of_ids(room)
            self._add(make(request=request, first=first), origin)
        reply, _ = self.answer(request)
        if not isinstance(reply, Described):
            raise ProtocolError(f"worker {self.worker!r} answered with {type(reply).__name__}")
        return first, reply

    def describe(self, ids: Sequence[int]) -> list[bool | None]:
        """Of gradients, in one round trip: whether each requires grad, or None where it is None on the worker.

        Raises RemoteError where what made one failed.
        """
        reply, _ = self.answer(self.ask(partial(Describe, ids=tuple(ids)), origin()))
        if not isinstance(reply, Described) or len(reply.tensors) != len(ids):
            raise ProtocolError(f"worker {self.worker!r} answered a Describe with {type(reply).__name__}")
        return [each.requires_grad if each.dtype else None for each in reply.tensors]

    def fetch(self, ids: Sequence[int]) -> list[torch.Tensor]:
        """The values, in one round trip. Raises GetNotPermittedError, and RemoteError where what made one failed."""
        requests = [self.line.request() for _ in ids]
        with self._lock:
            for request, id in zip(requests, ids, strict=True):
                self._add(Fetch(request, id), None)
            self._flush()
            self.origins.amend(len(ids), origin())  # now that the worker is at it
        values: list[torch.Tensor] = []
        error: FedzmqError | None = None
        for request in requests:  # all of them, failed or not: a reply that nobody takes would lie there forever
            try:
                reply, buffers = self._reply(request)
            except FedzmqError as failed:
                error = error or failed
                continue
            if not isinstance(reply, Value) or reply.tensor.buffer >= len(buffers):
                raise ProtocolError(f"worker {self.worker!r} answered a Fetch with {type(reply).__name__}")
            values.append(restore_checked(reply.tensor, buffers[reply.tensor.buffer]))
        if error is not None:
            raise error
        return values

    def settle(self) -> None:
        """Wait until all commands so far have run, whatever came of them: what others may find is there then."""
        self.describe(())

    def sync(self) -> None:
        """Wait until all commands so far have run. Raises RemoteError for the first that failed unnoticed."""
        request = self.ask(Sync, origin())
        number = self.origins.count
        reply, _ = self.answer(request)
        if not isinstance(reply, Synced):
            raise ProtocolError(f"worker {self.worker!r} answered a Sync with {type(reply).__name__}")
        if reply.failures:
            first = reply.failures[0]
            raise error_of(first, self.worker, self.origins.of(first.command), len(reply.failures) - 1)
        if number == self.origins.count:
            self.origins.forget()

    def ask(self, make: Callable[[int], Command], origin: Origin | None) -> int:
        """Send a command that is to be answered: the number to wait for."""
        request = self.line.request()
        with self._lock:
            self._add(make(request), origin)
        return request

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

    def answer(self, request: int) -> tuple[Reply, list[Buffer]]:
        """Wait for a reply. A Failed is raised as the error that it stands for."""
        self.flush()
        return self._reply(request)

    def _reply(self, request: int) -> tuple[Reply, list[Buffer]]:
        try:
            reply, buffers = self.line.wait(request)
        except FedzmqError:
            raise
        except BaseException:  # Ctrl-C, or what an alarm of the program's raises: it is not waited for any more
            self.line.interrupt(self.origins.count)
            raise
        if isinstance(reply, Failed):
            raise error_of(reply.failure, self.worker, self.origins.of(reply.failure.command))
        return reply, buffers

    def flush(self) -> None:
        """Post what has gathered."""
        with self._lock:
            self._flush()

    def flush_by(self, post: Callable[[list[Buffer]], None]) -> None:
        """As `flush`, in another way than the line's own."""
        with self._lock:
            self._flush(post)

    def interrupt(self) -> None:
        """Have the worker stop the runs of plans among all commands so far, and go on with what comes after them."""
        self.flush()
        self.line.interrupt(self.origins.count)

    def needs_value(self, what: str) -> Exception:
        """The error for a program that asks for a value without fetching it."""
        return NeedsValueError(what, f"worker {self.worker!r}")

    def takes_no_hook(self) -> Exception | None:
        """The error for a hook on a gradient of this stream's, where there is no backward for it to be run in."""
        return None

    def meets_nothing(self) -> Exception | None:
        """The error for an operand that lives elsewhere, where none may ever meet the tensors of this stream."""
        return None

    def supposed(self, call: Call) -> Effect | None:
        """The effect of a call whose outputs depend on values, where a size may be supposed. For what records."""
        return None

    def noticed(self, written: Sequence[int], views: Sequence[tuple[int, int]]) -> None:
        """An operation wrote into these, and made the first of each pair a view of the second. For what records."""

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

    def reseed(self, seed: int) -> None:
        """What is drawn from here on begins with this seed. Nothing is sent until there is something to do."""
        self._seed = seed
        self.modes = replace(self.modes)  # no operation's own: the next one switches

    def save_random_state(self) -> RandomState:
        """How random numbers go on from here."""
        state = RandomState(self.new_id(), self.released)
        self.command(SaveRandomState(state.id), None)
        return state

    def load_random_state(self, saved: RandomState) -> None:
        self.command(LoadRandomState(saved.id), None)

    def _switch(self, modes: Modes) -> None:
        autocast = None if modes.autocast is None else name_of(modes.autocast)
        self._add(Mode(modes.grad, autocast, name_of(modes.default_dtype)), None)
        self.modes = modes

    def forked(self) -> None:
        """Have every command refused: this process was forked from the one that the stream is of."""
        self._lock = _Forked()  # type: ignore[assignment]  # whoever commands takes it first

    def run_of_ids(self, length: int) -> int:
        # Another thread may take an id in between; the ids of a run that it broke are never used.
        while True:
            ids = [self.new_id() for _ in range(length)]
            if ids[-1] - ids[0] == length - 1:
                return ids[0]

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

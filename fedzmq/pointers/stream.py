"""The ordered stream of commands from one client to one worker, and the answers to those that ask for one.

Commands go by way of the outbox, which waits for nothing; what waits for an answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from fedzmq.errors import FedzmqError, NeedsValueError, ProtocolError
from fedzmq.pointers.call import Call, OwnCall
from fedzmq.pointers.effects import Effect, Effects
from fedzmq.pointers.failures import error_of
from fedzmq.pointers.line import Line
from fedzmq.pointers.modes import Modes
from fedzmq.pointers.origins import Origin, origin
from fedzmq.pointers.outbox import Outbox, Record
from fedzmq.pointers.seeding import follow_seeds
from fedzmq.pointers.shipment import Shipment
from fedzmq.tensors.buffers import restore_checked
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Command,
    Describe,
    Described,
    Description,
    Failed,
    LoadRandomState,
    Probe,
    Reply,
    RequireGrad,
    SaveRandomState,
    Sync,
    Synced,
    Value,
)

ROOM = 16  # outputs that an operation of unforeseen outputs may have


class RandomState:
    """One that the worker keeps as long as this object is held."""

    def __init__(self, id: int, released: list[int]) -> None:
        self.id = id
        self._released = released

    def __del__(self) -> None:
        self._released.append(self.id)


class Stream(Outbox):
    """An outbox, what is asked beside it, and, at the end, what a recording in its place does otherwise.

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
        super().__init__(line)
        self.device = torch.device(device)
        self.effects = effects if effects is not None else Effects(self.device.type)
        self.strict = strict
        self.location: object = location
        if not self.is_recording:
            follow_seeds(self)

    def require_grad(self, id: int, value: bool) -> int:
        """Gradients are taken for a tensor from here on, or no longer: the id that it has now."""
        self.command(RequireGrad(id, value), origin())
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
        request, first = self.ask_to_make(make, room, modes, origin, shipment)
        reply, _ = self.answer(request)
        if not isinstance(reply, Described):
            raise ProtocolError(f"worker {self.worker!r} answered with {type(reply).__name__}")
        return first, reply

    def describe(self, ids: Sequence[int]) -> tuple[Description, ...]:
        """What tensors are like on the worker, in one round trip: a gradient that is None there is of no dtype.

        Raises RemoteError where what made one failed.
        """
        reply, _ = self.answer(self.ask(partial(Describe, ids=tuple(ids)), origin()))
        if not isinstance(reply, Described) or len(reply.tensors) != len(ids):
            raise ProtocolError(f"worker {self.worker!r} answered a Describe with {type(reply).__name__}")
        return reply.tensors

    def version(self, id: int) -> int:
        """How often a tensor was written to, in one round trip. Raises RemoteError where what made it failed."""
        return self.describe([id])[0].version

    def fetch(self, ids: Sequence[int]) -> list[torch.Tensor]:
        """The values, in one round trip. Raises GetNotPermittedError, and RemoteError where what made one failed."""
        requests = self.ask_for(ids)
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

    def interrupt(self) -> None:
        """Have the worker stop the runs of plans among all commands so far, and go on with what comes after them."""
        self.flush()
        self.line.interrupt(self.origins.count)

    def save_random_state(self) -> RandomState:
        """How random numbers go on from here."""
        state = RandomState(self.new_id(), self.released)
        self.command(SaveRandomState(state.id), None)
        return state

    def load_random_state(self, saved: RandomState) -> None:
        self.command(LoadRandomState(saved.id), None)

    def needs_value(self, what: str) -> Exception:
        """The error for a program that asks for a value without fetching it."""
        return NeedsValueError(what, f"worker {self.worker!r}")

    def linked(self, call: OwnCall) -> dict[int, Any]:
        """What an autograd function of the program's own gave, by its places, in the graph."""
        return call.gated()

    def hooked(self, pointer: torch.Tensor, hook: Callable[..., Any]) -> RemovableHandle | None:
        """Where there is no backward yet that could call a hook, what is done instead; None is nothing."""
        return None

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

"""Pulls what workers have trained, piece by piece and from all of them side by side, into a collector.

A piece is given on in the order of the workers' names as soon as it is there, and then it can go: whole updates are
nowhere but where they are small, and the same updates come in the same order, whoever is first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.client import Client
from fedzmq.client.pending import Pending
from fedzmq.client.session_line import SessionLine
from fedzmq.errors import FedzmqError, ProtocolError, RequestTimeout
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.updates.collector import Takes
from fedzmq.federated.updates.due import Due, Piece
from fedzmq.federated.updates.one_thread import one_thread
from fedzmq.wire.messages import Pulled

PATIENCE = 30.0  # seconds in which not a byte comes of a piece that is waited for
TELL_AFTER = 5.0  # seconds of waiting for one piece after which that is said
LOOK = 0.25  # seconds between two looks at whether anything comes


class Unusable(Exception):
    """What a worker has trained cannot be had, or cannot be used."""

    def __init__(self, worker: str, error: FedzmqError) -> None:
        super().__init__(f"{worker}: {error}")
        self.worker = worker
        self.error = error


@dataclass(frozen=True, slots=True, eq=False)
class _Flight:
    """A piece that was asked for, or is here already."""

    source: Assignment
    piece: Piece
    came: Pending | Sequence[torch.Tensor]


class Collection:
    """Of what is due of trainings that were answered.

    It can be done again and again, for as long as the workers keep what they have trained. `say` is given a line where
    one is waited for long.
    """

    def __init__(
        self,
        client: Client,
        due: Due,
        sources: Mapping[str, Assignment],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._client = client
        self._say = say
        self._due = due
        self._sources = [sources[name] for name in sorted(sources)]

    def into(self, collector: Takes) -> None:
        """Raises Unusable for the first worker whose update is not to be had: what was collected so far is no use."""
        with one_thread():
            self._into(collector)

    def _into(self, collector: Takes) -> None:
        collector.open(self._due.state)
        wanted = self._wanted()
        flights: deque[_Flight] = deque()
        flying = 0
        while True:
            for source, piece in wanted:
                flights.append(_Flight(source, piece, self._pull(source, piece)))
                flying += piece.nbytes
                if flying >= self._due.in_flight:
                    break
            if not flights:
                return
            flight = flights.popleft()
            flying -= flight.piece.nbytes
            for span, values in zip(flight.piece.spans, self._usable(flight), strict=True):
                collector.fold(flight.source.handle.name, span.place, span.start, values)

    def _wanted(self) -> Iterator[tuple[Assignment, Piece]]:
        return ((source, piece) for piece in self._due.pieces() for source in self._sources)

    def _pull(self, source: Assignment, piece: Piece) -> Pending | Sequence[torch.Tensor]:
        try:
            return source.pull(piece)
        except FedzmqError as error:
            raise Unusable(source.handle.name, error) from error

    def _usable(self, flight: _Flight) -> Iterator[torch.Tensor]:
        try:
            yield from self._values(flight)
        except FedzmqError as error:
            raise Unusable(flight.source.handle.name, error) from error

    def _values(self, flight: _Flight) -> Iterable[torch.Tensor]:
        """What lies in each span. Raises a FedzmqError where it does not come, or is of another form, or no number."""
        if not isinstance(flight.came, Pending):
            return flight.came
        self._wait(flight.came, flight.source.handle.line)
        reply, buffers = flight.came.answer()
        if not isinstance(reply, Pulled):
            raise ProtocolError(f"it answered a pull with {type(reply).__name__}")
        return self._due.values(flight.piece, reply.parts, buffers)

    def _wait(self, pending: Pending, line: SessionLine) -> None:
        """Raises RequestTimeout where the worker lives and nothing of the piece comes."""
        received, heard = line.received, time.monotonic()
        tell = heard + TELL_AFTER
        while not self._client.wait_until(lambda: pending.done, LOOK):
            now = time.monotonic()
            if now >= tell:
                tell = float("inf")
                self._say(f"waiting for what {line.worker} has trained: it is on its way for {TELL_AFTER:g} s and more")
            if line.received != received or self._client.endpoint.presence.away:
                received, heard = line.received, now
            elif now - heard > PATIENCE:
                raise RequestTimeout(f"a piece of what {line.worker!r} has trained", PATIENCE)

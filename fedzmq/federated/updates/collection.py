"""Pulls what workers have trained, piece by piece and from all of them side by side, into a collector.

A piece is given on in the order of the workers' names as soon as it is there, and then it can go: whole updates are
nowhere but where they are small, and the same updates come in the same order, whoever is first.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.client import Client
from fedzmq.client.pending import Pending
from fedzmq.errors import FedzmqError, ProtocolError, RequestTimeout, UpdateRefused
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.updates.acceptance import check_values
from fedzmq.federated.updates.collector import Takes
from fedzmq.federated.updates.one_thread import one_thread
from fedzmq.tensors.buffers import restore
from fedzmq.tensors.dtypes import name_of
from fedzmq.tensors.row import Row, Span
from fedzmq.wire.messages import Pulled

IN_FLIGHT = 8 * 1024 * 1024  # bytes that are asked for, or here and not folded, over all workers
FREELY = 64 * 1024 * 1024  # the same, for a model that is no larger than IN_FLIGHT: each way there and back counts then
LEAST_PIECE, MOST_PIECE = 64 * 1024, 512 * 1024  # bytes; up to here a piece is one packet, which is not copied
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
    """A piece that was asked for."""

    source: Assignment
    spans: Sequence[Span]
    nbytes: int
    pending: Pending


def along(shared: Mapping[str, torch.Tensor], workers: int) -> int:
    """How many bytes are to come along with the answers of so many, which saves a way there and back: all, or 0.

    All, where the answers, which wait for each other, come to no more together than what may be in flight.
    """
    row = Row.of(shared.values())
    return row.nbytes if _is_little(row, workers) else 0


class Collection:
    """Of trainings that were answered, for a model that shares these tensors, by name.

    It can be done again and again, for as long as the workers keep what they have trained. `say` is given a line where
    one is waited for long.
    """

    def __init__(
        self,
        client: Client,
        shared: Mapping[str, torch.Tensor],
        sources: Mapping[str, Assignment],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._client = client
        self._say = say
        self._names = list(shared)
        self._state = list(shared.values())
        self._sources = [sources[name] for name in sorted(sources)]
        self._row = Row.of(self._state)
        self._in_flight = _in_flight(self._row)

    def into(self, collector: Takes) -> None:
        """Raises Unusable for the first worker whose update is not to be had: what was collected so far is no use."""
        with one_thread():
            self._into(collector)

    def _into(self, collector: Takes) -> None:
        collector.open(self._state)
        wanted = self._wanted()
        flights: deque[_Flight] = deque()
        flying = 0
        while True:
            for source, start, stop, spans in wanted:
                flights.append(_Flight(source, spans, stop - start, self._pull(source, start, stop)))
                flying += stop - start
                if flying >= self._in_flight:
                    break
            if not flights:
                return
            flight = flights.popleft()
            flying -= flight.nbytes
            for span, values in zip(flight.spans, self._usable(flight), strict=True):
                collector.fold(flight.source.handle.name, span.place, span.start, values)

    def _wanted(self) -> Iterator[tuple[Assignment, int, int, list[Span]]]:
        for start, stop in _pieces(self._row, len(self._sources)):
            spans = self._row.spans(start, stop)
            for source in self._sources:
                yield source, start, stop, spans

    def _pull(self, source: Assignment, start: int, stop: int) -> Pending:
        try:
            return source.pull(start, stop)
        except FedzmqError as error:
            raise Unusable(source.handle.name, error) from error

    def _usable(self, flight: _Flight) -> Iterator[torch.Tensor]:
        try:
            yield from self._values(flight)
        except FedzmqError as error:
            raise Unusable(flight.source.handle.name, error) from error

    def _values(self, flight: _Flight) -> Iterator[torch.Tensor]:
        """What lies in each span. Raises a FedzmqError where it does not come, or is of another form, or no number."""
        self._wait(flight)
        reply, buffers = flight.pending.answer()
        if not isinstance(reply, Pulled):
            raise ProtocolError(f"it answered a pull with {type(reply).__name__}")
        if len(reply.parts) != len(flight.spans):
            raise UpdateRefused(f"a piece of it has {len(reply.parts)} parts, and {len(flight.spans)} were due")
        for span, part in zip(flight.spans, reply.parts, strict=True):
            name, due = self._names[span.place], name_of(self._state[span.place].dtype)
            if part.dtype != due or part.shape != (span.stop - span.start,):
                form = f"{due}[{span.stop - span.start}]"
                raise UpdateRefused(f"a piece of {name!r} is {part.dtype}{list(part.shape)}, and {form} was due")
            values = restore(part, buffers[part.buffer])
            check_values(name, values)
            yield values

    def _wait(self, flight: _Flight) -> None:
        """Raises RequestTimeout where the worker lives and nothing of the piece comes."""
        pending, line = flight.pending, flight.source.handle.line
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


def _is_little(row: Row, workers: int) -> bool:
    """All is one piece."""
    return row.nbytes * workers <= _in_flight(row)


def _in_flight(row: Row) -> int:
    return IN_FLIGHT if row.nbytes > IN_FLIGHT else FREELY


def _pieces(row: Row, workers: int) -> Iterator[tuple[int, int]]:
    whole = max(row.nbytes, 1)
    share = min(max(_in_flight(row) // workers, LEAST_PIECE), MOST_PIECE)
    return row.pieces(whole if _is_little(row, workers) else share)

"""A client: it finds workers, sends them commands, and waits for what they answer."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fedzmq.client.attendance import wait_for_all
from fedzmq.client.findings import Findings
from fedzmq.client.local_worker import LocalWorker
from fedzmq.client.publisher import Publisher
from fedzmq.client.session_line import SessionLine
from fedzmq.client.waiting import silent_for
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.datasets.federate import install
from fedzmq.errors import (
    BrokerUnreachable,
    NotEnoughWorkers,
    ProtocolError,
    TransportClosed,
    WorkerLost,
    WorkerNotFoundError,
)
from fedzmq.pointers.destination import DIRECTORIES
from fedzmq.pointers.effects import Effects
from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.packet import Lane
from fedzmq.session.roster import SILENCE, Roster
from fedzmq.session.session import Peer
from fedzmq.tensors.buffers import allocate
from fedzmq.transports.connection import Connection
from fedzmq.transports.registry import connect as connect_transport
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Heard, Lost

SLICE = 0.1  # seconds that one look at the mailbox lasts, so that other threads have their turn
ASK_EVERY = 1.0  # seconds between two calls of the roll while somebody is missed
PATIENCE = 10.0  # seconds that a broker, or a worker, has to answer for the first time


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker on the roster: what it is busy with (empty: it waits), and seconds since it was last heard."""

    name: str
    busy: str
    silent_for: float


class Client:
    """The roster of workers and the lines to them. Any thread may use it.

    A worker that is silent for `silence` seconds is lost, while the medium itself answers; while it does not, everybody
    waits for it to come back. With `direct`, what goes to workers on this machine, of the same user, does not
    go by the medium: messages by a socket, and what is large by memory.
    """

    def __init__(
        self, connection: Connection, *, silence: float = SILENCE, tended: bool = True, direct: bool = True
    ) -> None:
        install()  # whoever has a client wants `tensor.send(...)`
        self.endpoint = Endpoint(connection, is_worker=False, roster=Roster(silence), allocate=allocate, direct=direct)
        self.endpoint.departed = self._departed
        self.endpoint.urgent = self._urgent
        self.endpoint.ticked = self._flush
        self.effects = Effects()  # what one worker's pointers have learned serves those of all
        self._lines: dict[Peer, SessionLine] = {}
        self._handles: dict[str, WorkerHandle] = {}
        self._opening = threading.Lock()  # one handle of each worker for all threads
        self._ways: dict[Peer, set[Peer]] = {}  # which workers may wait for tensors of which
        self._is_closed = False
        self._may_wait = tended
        self.news = 0
        """Another number whenever something that was asked for may be done: it was answered, or its worker went."""
        self.publisher = Publisher(self.endpoint, self.wait_until)
        self.home = LocalWorker(self)
        DIRECTORIES.add(self)
        if tended:
            self.endpoint.start()

    @property
    def address(self) -> str:
        return self.endpoint.connection.address

    def workers(self) -> list[WorkerStatus]:
        """The workers that are here now, of each a WorkerStatus, in the order of their names."""
        self.endpoint.pump(0.0)
        presence, now = self.endpoint.presence, time.monotonic()
        return [
            WorkerStatus(member.name, member.busy, silent_for(presence, member.heard, now))
            for member in presence.roster.members()
        ]

    def worker(self, name: str, *, timeout: float = PATIENCE) -> WorkerHandle:
        """The handle of a worker, for `tensor.send(...)` and `module.send(...)`.

        Waits up to `timeout` seconds for it to show a sign of life. Raises WorkerNotFoundError. A worker that was
        started anew gets a new handle, and the old one keeps raising WorkerLost.
        """
        if (known := self._known(name)) is not None:
            return known
        roster = self.endpoint.presence.roster
        wait = timeout if self._may_wait or roster.silence < math.inf else 0.0
        self._missed(lambda: roster.get(name) is not None, wait)
        with self._opening:
            if (known := self._known(name)) is not None:  # another thread was first
                return known
            member = roster.get(name)
            if member is None:
                start = f"start it with `fedzmq worker --id {name} --broker {self.address}`"
                raise WorkerNotFoundError(name, self.names(), start if self._may_wait else "")
            handle = self._handles[name] = WorkerHandle(self, self.open_line(name, member.boot))
            return handle

    @property
    def me(self) -> LocalWorker:
        """This process, as a place to move tensors to."""
        return self.home

    def find(self, name: str) -> WorkerHandle | None:
        """The handle of a worker that is known to be here; never waits."""
        if (known := self._known(name)) is not None:
            return known
        if self._is_closed or self.endpoint.presence.roster.get(name) is None:
            return None
        return self.worker(name)

    def forked(self) -> None:
        """This process was forked from the client's: no pointer of it can be used here."""
        for handle in self._handles.values():
            handle.stream.forked()

    def names(self) -> tuple[str, ...]:
        """The workers that are known to be here."""
        here = {name for name, handle in self._handles.items() if not handle.is_lost}
        return tuple(sorted(here | {member.name for member in self.endpoint.presence.roster.members()}))

    def get_worker(self, worker: Any, fail_hard: bool = False) -> Any:
        """The handle of a worker by its id, or what was given where none is known.

        With `fail_hard` an unknown one raises WorkerNotFoundError.
        """
        if isinstance(worker, WorkerHandle | LocalWorker):
            return worker
        found = self.find(str(worker))
        if found is None and str(worker) == self.home.name:
            return self.home
        if found is None and fail_hard:
            raise WorkerNotFoundError(str(worker), self.names())
        return worker if found is None else found

    def search(self, *terms: str | Iterable[str]) -> Findings:
        """What `WorkerHandle.search` finds on every worker."""
        handles = [self.worker(name) for name in self.names()]
        return Findings([(handle.name, handle.search(*terms)) for handle in handles], terms)

    def adopt(self, handle: WorkerHandle) -> None:
        """Know a worker by a handle that was made elsewhere."""
        self._handles[handle.name] = handle

    def expect(self, source: Peer, target: Peer) -> None:
        """The target may wait for tensors of the source from now on, and is told when that one is gone."""
        self._ways.setdefault(source, set()).add(target)

    def open_line(self, name: str, boot: bytes) -> SessionLine:
        """A new line to that incarnation of a worker, which need not have shown a sign of life."""
        peer = self.endpoint.open(name, boot)
        line = self._lines[peer] = SessionLine(self.endpoint, peer, self.wait_until)
        return line

    def wait_for_workers(self, count: int, *, timeout: float = PATIENCE) -> list[WorkerStatus]:
        """Wait until at least `count` workers are here, and give them. Raises NotEnoughWorkers after `timeout` s."""
        if not self._missed(lambda: len(self.endpoint.presence.roster) >= count, timeout):
            present = tuple(worker.name for worker in self.workers())
            raise NotEnoughWorkers(count, present, f"waited {timeout:g} s at {self.address}")
        return self.workers()

    def wait_until(self, condition: Callable[[], bool], timeout: float = math.inf) -> bool:
        """Receive until the condition holds, or for `timeout` seconds; says whether it holds."""
        deadline = time.monotonic() + timeout
        while True:
            self._collect()
            if condition():
                return True
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            if self._is_closed:
                raise TransportClosed(self.endpoint.connection.name)
            self.endpoint.pump(min(rest, SLICE))

    def wait_for_news(self, since: int, timeout: float) -> None:
        """Receive until `news` is another number, or for `timeout` seconds.

        Whoever reads it before they look at what they wait for, misses nothing and need not look at all at each answer.
        """
        self.wait_until(lambda: self.news != since, timeout)

    def close(self) -> None:
        """Say goodbye: the workers release what they kept for this client. Twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        DIRECTORIES.remove(self)
        self.endpoint.close()
        for line in list(self._lines.values()):
            line.end(TransportClosed(self.endpoint.connection.name))

    def __repr__(self) -> str:
        return f"<client {self.home.name!r} at {self.address}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _known(self, name: str) -> WorkerHandle | None:
        handle = self._handles.get(name)
        return None if handle is None or handle.is_lost else handle

    def _missed(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Call the roll until the condition holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            rest = deadline - time.monotonic()
            if rest <= 0:
                return False
            self.endpoint.presence.ask()
            self.wait_until(condition, min(rest, ASK_EVERY))
        return True

    def _collect(self) -> None:
        """Hand what arrived to the lines that wait for it."""
        while (arrival := self.endpoint.take()) is not None:
            line = self._lines.get(arrival.peer)
            if line is None:
                continue
            body, *buffers = arrival.frames
            try:
                replies = decode(body, buffers)
            except ProtocolError as error:
                self.endpoint.end(arrival.peer, f"it answered what no fedzmq answers: {error}")
                continue
            for reply in replies:
                line.answer(reply, buffers)
            self.news += 1

    def _urgent(self, arrival: Arrival) -> None:
        for message in decode(arrival.frames[0]):
            if isinstance(message, Heard):
                self.publisher.heard(arrival.peer, message)

    def _departed(self, peer: Peer, reason: str) -> None:
        self.publisher.lose(peer)
        line = self._lines.pop(peer, None)
        if line is not None:
            line.end(WorkerLost(peer.name, reason))
            self.news += 1
        for target in tuple(self._ways.pop(peer, ())):  # to which another thread may be adding
            with suppress(WorkerLost):
                self.endpoint.post(target, [encode([Lost(peer.name, peer.boot)])], lane=Lane.CONTROL)

    def _flush(self) -> None:
        for handle in list(self._handles.values()):
            if not handle.is_lost:
                handle.stream.flush()


def connect(
    address: str,
    *,
    name: str | None = None,
    silence: float = SILENCE,
    timeout: float = PATIENCE,
    direct: bool = True,
) -> Client:
    """A client of whatever is at `address`: `tcp://host:port` or `ipc://path` of a broker, or `memory://hub`.

    `name` is what workers know the client by (default: client- and random letters). A party that shows no sign of life
    for `silence` seconds counts as gone. Without `direct` everything goes by the broker, to workers on this machine
    too. Raises AddressError, and BrokerUnreachable when nothing that speaks fedzmq
    answers within `timeout` seconds. All workers that are there are known when it returns, but for one that says
    nothing for a second.
    """
    connection = connect_transport(address, name or f"client-{os.urandom(4).hex()}")
    client = Client(connection, silence=silence, direct=direct)
    try:
        if not client.wait_until(lambda: connection.silent_for() < math.inf, timeout):
            raise BrokerUnreachable(address, timeout)
        wait_for_all(client.endpoint, client.wait_until)
    except BaseException:
        client.close()
        raise
    return client

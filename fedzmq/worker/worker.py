"""A worker: it holds tensors and data sets, and runs the commands of its clients, one message at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from fedzmq.errors import ProtocolError, WorkerLost
from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.roster import SILENCE, Roster
from fedzmq.session.session import Peer
from fedzmq.transports.connection import Buffer, Connection
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Cancel, Reply
from fedzmq.worker.data import Data
from fedzmq.worker.guest import Guest
from fedzmq.worker.plan_shelf import PlanShelf

LOOK = 0.1  # seconds until a worker that waits notices that it was told to stop


class Worker:
    """Serves clients over one connection until it is stopped.

    A client that is silent for `silence` seconds is gone, and so is all that it kept here. `say` is given a line for
    the operator at every turn of events.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        data: Iterable[Data] = (),
        silence: float = SILENCE,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._data = {each.name: each for each in data}
        self._plans = PlanShelf()
        self._guests: dict[Peer, Guest] = {}
        self._say = say
        self._stopped = threading.Event()
        self._endpoint = Endpoint(connection, is_worker=True, roster=Roster(silence))
        self._endpoint.urgent = self._urgent
        self._endpoint.departed = self._departed

    @property
    def name(self) -> str:
        return self._endpoint.connection.name

    @property
    def boot(self) -> bytes:
        """The incarnation of this worker: another one for every process."""
        return self._endpoint.boot

    def run(self) -> None:
        """Serve until `stop`. Raises NameTaken when another worker of this name lives."""
        self._endpoint.start()
        while not self._stopped.is_set():
            self.step(LOOK)

    def step(self, timeout: float) -> None:
        """Serve what comes within `timeout` seconds."""
        self._endpoint.pump(timeout)
        while (arrival := self._endpoint.take()) is not None and not self._stopped.is_set():
            self._serve(arrival)

    def stop(self) -> None:
        """Have `run` return after the message in hand; may come from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop what runs, say goodbye and close the connection."""
        self.stop()
        for guest in list(self._guests.values()):
            guest.leave()
        self._endpoint.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, arrival: Arrival) -> None:
        peer = arrival.peer
        guest = self._guest(peer)
        self._endpoint.presence.busy = f"running commands of {peer.name}"
        try:
            body, *buffers = arrival.frames
            records = decode(body, buffers)
            for answer in guest.run(records, buffers):
                self._post(peer, answer.reply, answer.buffers)
        except ProtocolError as error:
            self._endpoint.end(peer, f"it sent what no fedzmq sends: {error}")
        finally:
            self._endpoint.presence.busy = ""

    def _guest(self, peer: Peer) -> Guest:
        """May come from the thread that pumps as well as from the one that serves."""
        guest = self._guests.get(peer)
        if guest is not None:
            return guest
        guest = Guest(self._data, self._plans, lambda reply, buffers: self._post(peer, reply, buffers))
        kept = self._guests.setdefault(peer, guest)
        if kept is guest:
            self._say(f"{peer.name} is served")
            if not self._endpoint.has(peer):  # it left meanwhile, and nobody will say so again
                self._departed(peer, "it left")
        return kept

    def _post(self, peer: Peer, reply: Reply, buffers: Sequence[Buffer]) -> None:
        try:
            self._endpoint.post(peer, [encode([reply]), *buffers], donate=True)
        except WorkerLost:
            return  # the client went away while its commands ran

    def _urgent(self, arrival: Arrival) -> None:
        for message in decode(arrival.frames[0]):
            if isinstance(message, Cancel):
                self._guest(arrival.peer).cancel(message.request)

    def _departed(self, peer: Peer, reason: str) -> None:
        guest = self._guests.pop(peer, None)
        if guest is not None:
            guest.leave()
            self._say(f"{peer.name} is gone: {reason}; what it kept here is released")

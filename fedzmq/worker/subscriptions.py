"""What clients publish to many workers at once, as this worker hears it: one stream for each client that says so.

The thread that receives does this, so that chunks are taken in while a training runs.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

from fedzmq.errors import WorkerLost
from fedzmq.session.chunk import parse, topic_of
from fedzmq.session.endpoint import Endpoint
from fedzmq.session.packet import Lane
from fedzmq.session.reception import Reception
from fedzmq.session.session import Peer
from fedzmq.tensors.buffers import allocate
from fedzmq.transports.connection import Delivery
from fedzmq.wire.codec import encode
from fedzmq.wire.messages import Heard
from fedzmq.worker.store import DEFAULT_QUOTA

MOST_AT_ONCE = 2  # models that are half received, of all clients together


class Subscriptions:
    """Only what the client itself publishes counts, as the medium names it. No model has more than `most_bytes`."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = DEFAULT_QUOTA,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._receptions: dict[Peer, Reception] = {}
        self._rooms: dict[Peer, _Room] = {}
        self._topics: dict[Peer, list[int]] = {}  # the one of today, and the one before: some of it is on its way

    def reception(self, peer: Peer) -> Reception:
        """What a client's models arrive in."""
        with self._lock:
            if peer not in self._receptions:
                room = self._rooms[peer] = _Room()
                self._receptions[peer] = Reception(room.allocate, lambda size: self._has_place(peer, size))
            return self._receptions[peer]

    def held(self) -> dict[Peer, int]:
        """The bytes of each client's last model, half here or whole, as long as anybody has it."""
        with self._lock:
            return {peer: room.held for peer, room in self._rooms.items()}

    def listen(self, peer: Peer, number: int) -> None:
        """Hear that topic of the client's and no other (0: none), and tell it so."""
        with self._lock:
            before = self._topics.pop(peer, [])
            kept = [each for each in before if each != number][-1:] if number else []
            for each in before:
                if each not in kept and each != number:
                    self._endpoint.unhear(_topic(peer, each))
            if number:
                self._topics[peer] = [*kept, number]
        if number:
            self._endpoint.hear(_topic(peer, number), lambda delivery, now: self._take(peer, number, delivery, now))
        self._tell(peer, number, 0)

    def leave(self, peer: Peer) -> None:
        """The client is gone."""
        with self._lock:
            for number in self._topics.pop(peer, []):
                self._endpoint.unhear(_topic(peer, number))
            self._receptions.pop(peer, None)
            self._rooms.pop(peer, None)

    def broke(self) -> None:
        """The medium was away."""
        with self._lock:
            receptions = list(self._receptions.values())
        for reception in receptions:
            reception.broke()

    def _take(self, peer: Peer, number: int, delivery: Delivery, now: float) -> None:
        reception = self._receptions.get(peer)
        if reception is None or delivery.sender != peer.name:
            return
        reception.accept(parse(delivery.frames), now)
        position = reception.owes(now)
        if position is not None:
            self._tell(peer, self._topics.get(peer, [number])[-1], position)

    def _tell(self, peer: Peer, number: int, position: int) -> None:
        with suppress(WorkerLost):  # then it needs no word of this
            self._endpoint.post(peer, [encode([Heard(number, position)])], lane=Lane.CONTROL)

    def _has_place(self, peer: Peer, size: int) -> bool:
        if size > self._most_bytes:
            return False
        with self._lock:
            others = [each for other, each in self._receptions.items() if other != peer]
        now = self._clock()
        return sum(each.is_receiving(now) for each in others) < MOST_AT_ONCE


class _Room:
    """Memory for the models of one client, one after the other. Without a lock: its reception holds one then."""

    def __init__(self) -> None:
        self._last: tuple[weakref.ref[object], int] | None = None

    def allocate(self, size: int) -> memoryview:
        memory = allocate(size)
        self._last = weakref.ref(memory.obj), size
        return memory

    @property
    def held(self) -> int:
        last = self._last
        return 0 if last is None or last[0]() is None else last[1]


def _topic(peer: Peer, number: int) -> str:
    return topic_of(peer.name, peer.boot, number)

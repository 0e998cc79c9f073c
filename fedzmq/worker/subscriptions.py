"""What clients publish to many workers at once, as this worker hears it: one stream for each client that says so.

The thread that receives does this, so that chunks are taken in while a training runs.
"""

from __future__ import annotations

import threading
import time
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

MOST_AT_ONCE = 2  # models that are half received, of all clients together


class Subscriptions:
    """Only what the client itself publishes counts, as the medium names it."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._lock = threading.RLock()
        self._receptions: dict[Peer, Reception] = {}
        self._topics: dict[Peer, list[int]] = {}  # the one of today, and the one before: some of it is on its way

    def reception(self, peer: Peer) -> Reception:
        """What a client's models arrive in."""
        with self._lock:
            if peer not in self._receptions:
                self._receptions[peer] = Reception(allocate, lambda size: self._has_place(peer))
            return self._receptions[peer]

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

    def _has_place(self, peer: Peer) -> bool:
        with self._lock:
            others = [each for other, each in self._receptions.items() if other != peer]
        now = self._clock()
        return sum(each.is_receiving(now) for each in others) < MOST_AT_ONCE


def _topic(peer: Peer, number: int) -> str:
    return topic_of(peer.name, peer.boot, number)

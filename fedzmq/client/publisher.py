"""Sends the same bytes to many workers at once: they leave this process once, and the medium multiplies them.

Nothing here is promised to arrive. Whoever is named as a listener knows by the hash whether it has everything, and is
sent what it lacks through its session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from fedzmq.errors import WorkerLost
from fedzmq.session.audience import Audience
from fedzmq.session.chunk import Chunk, cut, topic_of
from fedzmq.session.endpoint import Endpoint
from fedzmq.session.packet import Lane
from fedzmq.session.presence import AWAY
from fedzmq.session.session import Peer
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import encode
from fedzmq.wire.messages import Heard, Listen

GREETING = 1.0  # seconds that those who were told to listen have to say that they do
LOOK = 0.1  # seconds between two looks at whether the medium is still there
SILENT = 1.5  # seconds without a sign of the medium after which nobody is to blame for being slow
ATTEMPTS = 3  # from the first byte on, where the medium was away in the middle
LONGEST_REST = 64  # wholes


class Publisher:
    """`wait_until` is the client's: it receives until the condition holds, or for so many seconds.

    Never more is on its way than `AHEAD_BYTES` beyond what the slowest listener has heard. One that makes no progress
    is left behind after `STALL` seconds, and listens again once it answers.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wait_until: Callable[[Callable[[], bool], float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._wait_until = wait_until
        self._clock = clock
        self._audience = Audience()
        self._turn = 0  # wholes that were published
        self._rests: dict[Peer, tuple[int, int]] = {}  # after which turn, and for how many

    def publish(
        self,
        name: bytes,
        buffers: Sequence[Buffer],
        peers: Iterable[Peer],
        say: Callable[[str], None] = lambda line: None,
    ) -> frozenset[Peer]:
        """Send what `name` is the SHA-256 of, and give who listened to the end. Nobody does where fewer than two would.

        The buffers' memory is the caller's again afterwards. `say` is given a line where the medium is waited for.
        """
        self._turn += 1
        audience, peers = self._audience, frozenset(peer for peer in peers if not self._is_resting(peer))
        for _ in range(ATTEMPTS):
            found = self._endpoint.connection.found()
            if len(peers) < 2 or len(self._gather(peers)) < 2:
                break
            if self._send(name, buffers, peers, found, say):
                return frozenset(audience.listening(peers))
            audience.renew()
        return frozenset()

    def heard(self, peer: Peer, message: Heard) -> None:
        """A worker says how far it has come; from any thread."""
        self._audience.heard(peer, message.topic, message.position, self._clock())

    def missed(self, peer: Peer) -> None:
        """A listener waited for what it did not hear whole. Others go to it alone for once, and for longer each time.

        One that hears nothing at all would else be waited for in every round.
        """
        turn, count = self._rests.get(peer, (0, 0))
        is_again = count > 0 and self._turn <= turn + 2 * count + 1
        self._rests[peer] = self._turn, min(2 * count, LONGEST_REST) if is_again else 1

    def lose(self, peer: Peer) -> None:
        """A worker is gone."""
        self._audience.lose(peer)
        self._rests.pop(peer, None)

    def _is_resting(self, peer: Peer) -> bool:
        turn, count = self._rests.get(peer, (0, 0))
        return turn < self._turn <= turn + count

    def _gather(self, peers: frozenset[Peer]) -> set[Peer]:
        """Have these listen and no others, and give those who say that they do.

        The others are waited for as well, or what is published next would go to them too.
        """
        told = self._audience.invite(peers)
        for peer, topic in told.items():
            try:
                self._endpoint.post(peer, [encode([Listen(topic)])], lane=Lane.CONTROL)
            except WorkerLost:
                self._audience.lose(peer)
        if told:
            self._wait_until(lambda: self._audience.is_gathered(told), GREETING)
        return self._audience.listening(peers)

    def _send(
        self,
        name: bytes,
        buffers: Sequence[Buffer],
        peers: frozenset[Peer],
        found: int,
        say: Callable[[str], None],
    ) -> bool:
        """False where it has to begin anew."""
        audience, endpoint = self._audience, self._endpoint
        total, offset = sum(map(len, buffers)), 0
        for body in cut(buffers):
            size = len(body)
            if not self._pace(size, peers, found, say):
                return False
            chunk = Chunk(name, total, offset, audience.published, body)
            audience.published += size
            offset += size
            endpoint.publish(topic_of(endpoint.connection.name, endpoint.boot, audience.topic), chunk.frames())
        return True

    def _pace(self, size: int, peers: frozenset[Peer], found: int, say: Callable[[str], None]) -> bool:
        """Wait until so many bytes may go; False where the medium lost some, or nobody is left to hear them."""
        audience, connection = self._audience, self._endpoint.connection
        since, is_away = self._clock(), False
        while connection.found() == found and not audience.may_publish(size):
            self._wait_until(lambda: audience.may_publish(size), LOOK)
            now = self._clock()
            if connection.silent_for() > SILENT:
                since = now
                if not is_away:
                    is_away = True
                    say(f"{connection.address} {AWAY}")
            if audience.stalled(size, since, now):
                audience.leave_behind(size, since, now)
                self._gather(peers)
        return connection.found() == found and bool(audience.listening(peers))

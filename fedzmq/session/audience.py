"""Who listens to what one party publishes, and how far each has come. Time is passed in, never read.

Nobody can be unsubscribed by another. So whoever does not keep pace is left behind on the topic that it listens to,
and the others are told of the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from fedzmq.session.session import Peer

AHEAD_BYTES = 16 * 1024 * 1024  # that go out before the slowest has heard the first of them
UNKNOWN = -1  # it has not said yet what it listens to
STALL = 2.0  # seconds without progress after which nobody waits for a listener any longer


@dataclass(slots=True)
class _Listener:
    """What it was told to listen to (0: to nothing), what it says it listens to, and how far it has come there."""

    told: int = 0
    listens: int = UNKNOWN
    position: int = 0
    heard: float = 0.0
    is_behind: bool = False


class Audience:
    """Topics have numbers, from 1 on. Any thread may call."""

    def __init__(self) -> None:
        self.topic = 1
        self.published = 0  # bytes, on all topics
        self._lock = threading.Lock()
        self._listeners: dict[Peer, _Listener] = {}

    def invite(self, peers: Iterable[Peer]) -> dict[Peer, int]:
        """Who is to be told of which topic, so that these listen and no others do (0: to none)."""
        with self._lock:
            wanted = set(peers)
            telling: dict[Peer, int] = {}
            for peer in wanted:
                listener = self._listeners.setdefault(peer, _Listener())
                if listener.told != self.topic:
                    telling[peer] = listener.told = self.topic
            for peer, listener in self._listeners.items():
                if peer not in wanted and listener.told:
                    telling[peer] = listener.told = 0
                    listener.listens = UNKNOWN
            return telling

    def heard(self, peer: Peer, topic: int, position: int, now: float) -> None:
        """A listener says what it listens to, and how far it has come."""
        with self._lock:
            listener = self._listeners.get(peer)
            if listener is None or listener.told != topic or position > self.published:
                return  # it is gone, it speaks of what is over, or of what never was
            if listener.listens <= 0:  # nothing that went out before counts for it
                position = self.published
            listener.listens, listener.is_behind = topic, False
            if position > listener.position:
                listener.position, listener.heard = position, now

    def lose(self, peer: Peer) -> None:
        """It is gone."""
        with self._lock:
            self._listeners.pop(peer, None)

    def listening(self, peers: Iterable[Peer]) -> set[Peer]:
        """Those of them that hear what goes out now."""
        with self._lock:
            return {peer for peer in peers if self._is_listening(peer)}

    def is_gathered(self, peers: Iterable[Peer]) -> bool:
        """All of them do as they were told, but for those who are gone or were left behind: nobody waits for these."""
        with self._lock:
            known = [self._listeners[peer] for peer in peers if peer in self._listeners]
            return all(listener.listens == listener.told or listener.is_behind for listener in known)

    def may_publish(self, size: int) -> bool:
        """So many bytes more take nobody beyond what it can be sent ahead."""
        with self._lock:
            return all(self._is_near(listener, size) for listener in self._present())

    def stalled(self, size: int, since: float, now: float) -> bool:
        """Somebody holds up the next `size` bytes, and has made no progress for too long, counted from `since` on."""
        with self._lock:
            return bool(self._holding_up(size, since, now))

    def leave_behind(self, size: int, since: float, now: float) -> None:
        """Begin a new topic, without those who hold up what goes out next."""
        with self._lock:
            for listener in self._holding_up(size, since, now):
                listener.listens, listener.is_behind = UNKNOWN, True
            self.topic += 1

    def renew(self) -> None:
        """Begin a new topic: the medium was away, and who heard what is not known."""
        with self._lock:
            for listener in self._listeners.values():
                listener.listens = UNKNOWN
            self.topic += 1

    def _present(self) -> list[_Listener]:
        return [listener for peer, listener in self._listeners.items() if self._is_listening(peer)]

    def _is_listening(self, peer: Peer) -> bool:
        listener = self._listeners.get(peer)
        return listener is not None and listener.listens == listener.told == self.topic

    def _is_near(self, listener: _Listener, size: int) -> bool:
        return self.published + size - listener.position <= max(AHEAD_BYTES, size)

    def _holding_up(self, size: int, since: float, now: float) -> list[_Listener]:
        return [
            listener
            for listener in self._present()
            if not self._is_near(listener, size) and now - max(since, listener.heard) > STALL
        ]

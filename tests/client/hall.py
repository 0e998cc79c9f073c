"""A publisher and workers that hear it, on a faulty medium, in one thread and on a clock of the test's own."""

from __future__ import annotations

import math
from collections.abc import Callable

from fedzmq.client.publisher import Publisher
from fedzmq.session.chunk import digest
from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.reception import Fate
from fedzmq.session.roster import Roster
from fedzmq.session.session import Peer
from fedzmq.testing.faulty import FaultyMedium
from fedzmq.wire.codec import decode
from fedzmq.wire.messages import Heard, Listen
from fedzmq.worker.subscriptions import Subscriptions


class Speaker:
    """A client that publishes. While it waits, the whole hall goes on."""

    def __init__(self, hall: Hall, name: str) -> None:
        self._hall = hall
        self.endpoint = hall.party(name, is_worker=False)
        self.publisher = Publisher(self.endpoint, hall.wait_until, hall.medium.clock)
        self.endpoint.urgent = self._urgent
        self.endpoint.departed = lambda peer, reason: self.publisher.lose(peer)
        self.peers: dict[str, Peer] = {}

    def publish(self, whole: bytes, *names: str, say: Callable[[str], None] = lambda line: None) -> list[str]:
        """Publish to the named, and give those who listened to the end."""
        for name in names:
            if name not in self.peers:
                self.peers[name] = self.endpoint.open(name, self._hall.listeners[name].endpoint.boot)
        heard = self.publisher.publish(digest([whole]), [whole], [self.peers[name] for name in names], say)
        return sorted(peer.name for peer in heard)

    def _urgent(self, arrival: Arrival) -> None:
        for message in decode(arrival.frames[0]):
            assert isinstance(message, Heard)
            self.publisher.heard(arrival.peer, message)


class Listener:
    """A worker that does nothing but listen, `pace` deliveries at a time."""

    def __init__(self, hall: Hall, name: str) -> None:
        self._hall = hall
        self.endpoint = hall.party(name, is_worker=True)
        self.subscriptions = Subscriptions(self.endpoint, hall.medium.clock)
        self.endpoint.urgent = self._urgent
        self.endpoint.departed = lambda peer, reason: self.subscriptions.leave(peer)
        self.endpoint.found = self.subscriptions.broke
        self.is_frozen = False

    def fate(self, whole: bytes, speaker: Speaker) -> Fate:
        return self.subscriptions.reception(self._peer(speaker)).fate(digest([whole]), self._hall.medium.clock())

    def take(self, whole: bytes, speaker: Speaker) -> bytes | None:
        got = self.subscriptions.reception(self._peer(speaker)).take(digest([whole]))
        return None if got is None else bytes(got)

    def _peer(self, speaker: Speaker) -> Peer:
        epoch = speaker.peers[self.endpoint.connection.name].epoch
        return Peer(speaker.endpoint.connection.name, speaker.endpoint.boot, epoch)

    def _urgent(self, arrival: Arrival) -> None:
        for message in decode(arrival.frames[0]):
            assert isinstance(message, Listen)
            self.subscriptions.reception(arrival.peer)
            self.subscriptions.listen(arrival.peer, message.topic)


class Hall:
    def __init__(self, seed: int = 0, *listeners: str, silence: float = math.inf, **faults: object) -> None:
        self.medium = FaultyMedium(seed, **faults)  # type: ignore[arg-type]
        self.silence = silence
        self.listeners = {name: Listener(self, name) for name in listeners}
        self.speakers: list[Speaker] = []

    def speaker(self, name: str = "coordinator") -> Speaker:
        speaker = Speaker(self, name)
        self.speakers.append(speaker)
        return speaker

    def party(self, name: str, *, is_worker: bool) -> Endpoint:
        return Endpoint(
            self.medium.connect(name), is_worker=is_worker, roster=Roster(self.silence), clock=self.medium.clock
        )

    def step(self) -> None:
        for party in (*self.listeners.values(), *self.speakers):
            if not (isinstance(party, Listener) and party.is_frozen):
                party.endpoint.pump(0.0)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        end = self.medium.clock() + timeout
        while not condition():
            if self.medium.clock() >= end:
                return False
            self.step()
            self.medium.clock.advance(0.01)
        return True

    def settle(self, seconds: float = 10.0) -> None:
        """Let everything arrive that will."""
        self.wait_until(lambda: False, seconds)

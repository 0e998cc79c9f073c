"""A medium that loses, doubles, delays and disorders on purpose, the same way for the same seed.

Nothing waits and nothing runs by itself: time is a clock that the test turns, so a whole conversation of many parties
is stepped through in one thread, and comes out the same every time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field

from fedzmq.errors import NameTaken, TransportClosed
from fedzmq.transports.connection import Buffer, Connection, Delivery
from fedzmq.transports.names import check_name, check_publishable, check_topic


class ManualClock:
    """A clock that goes when it is told to. Call it for the seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Turn it forward, and give the new time."""
        if seconds < 0:
            raise ValueError(f"time goes forward: cannot advance by {seconds:g} s")
        self.now += seconds
        return self.now


@dataclass(order=True, slots=True)
class _Flight:
    """A message on its way."""

    due: float
    number: int
    sender: str = field(compare=False)
    delivery: Delivery = field(compare=False)


class FaultyMedium:
    """Parties that `connect` to it exchange mail as well as the odds allow.

    `drop`, `duplicate` and `reorder` are probabilities for each message; a reordered one travels up to `disorder`
    seconds longer, and lets later ones pass. `delay` gives the least and the most seconds that each is on its way.
    `lose` holds the numbers of messages that are lost whatever the odds, counted from 0 over everything that the medium
    was given: with it a test can lose each single message of a good conversation in turn.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        clock: ManualClock | None = None,
        drop: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        disorder: float = 0.5,
        delay: tuple[float, float] = (0.0, 0.0),
        lose: Container[int] = (),
    ) -> None:
        self.clock = clock or ManualClock()
        self.drop = drop
        self.duplicate = duplicate
        self.reorder = reorder
        self.disorder = disorder
        self.delay = delay
        self.lose = lose
        self.given = 0  # messages that were sent, once for each receiver
        self.lost = 0  # those that will never arrive
        self.arrived = 0  # deliveries, doubled ones counted twice
        self._random = random.Random(seed)
        self._members: dict[str, FaultyConnection] = {}
        self._topics: dict[str, list[FaultyConnection]] = {}
        self._flights: dict[str, list[_Flight]] = {}
        self._last: dict[tuple[str, str, bool], float] = {}  # when the last message of a sender will arrive
        self._cut: dict[str, float] = {}
        self._numbers = 0

    def connect(self, name: str) -> FaultyConnection:
        """A connection under `name`."""
        return FaultyConnection(self, name)

    def cut(self, *names: str) -> None:
        """Break the link of each: what is on its way to it is lost, and so is all mail to and from it until `mend`."""
        for name in names:
            self._cut.setdefault(name, self.clock())
            self._drop_flights(name)

    def mend(self, *names: str) -> None:
        """Let mail through again; without names, to everybody."""
        for name in names or tuple(self._cut):
            if self._cut.pop(name, None) is not None and name in self._members:
                self._members[name].times_found += 1

    def crash(self) -> None:
        """Lose everything that is on its way, as a broker does that is killed and started again."""
        for name in self._flights:
            self._drop_flights(name)
        for member in self._members.values():
            member.times_found += 1

    def kill(self, name: str) -> None:
        """The party dies: its connection is closed without a word, and what is on its way to it is lost."""
        member = self._members.get(name)
        if member is not None:
            member.close()

    @property
    def in_flight(self) -> int:
        """Messages on their way."""
        return sum(len(flights) for flights in self._flights.values())

    def in_flight_bytes(self, to: str) -> int:
        """Bytes on their way to a party."""
        return sum(sum(map(len, flight.delivery.frames)) for flight in self._flights.get(to, []))

    def subscribers(self, topic: str) -> list[str]:
        """Who hears a topic, by name."""
        return sorted(member.name for member in self._topics.get(topic, []))

    def next_arrival(self) -> float | None:
        """When the next message arrives, to turn the clock to; None if none is on its way."""
        return min((flights[0].due for flights in self._flights.values() if flights), default=None)

    def _carry(self, sender: str, to: str, delivery: Delivery, *, bulk: bool) -> None:
        number, self.given = self.given, self.given + 1
        # Every message draws the same numbers, so that one fault more or less leaves the others where they were.
        lucky, twice, late = (self._random.random() for _ in range(3))
        seconds = self._random.uniform(*self.delay)
        detour = self._random.uniform(0.0, self.disorder)
        is_cut = sender in self._cut or to in self._cut
        if to not in self._members or is_cut or lucky < self.drop or number in self.lose:
            self.lost += 1
            return
        due = self.clock() + seconds
        if late < self.reorder:
            due += detour
        else:
            due = self._last[sender, to, bulk] = max(due, self._last.get((sender, to, bulk), 0.0))
        self._launch(to, due, sender, delivery)
        if twice < self.duplicate:
            self._launch(to, due + detour, sender, delivery)

    def _launch(self, to: str, due: float, sender: str, delivery: Delivery) -> None:
        self._numbers += 1
        copy = Delivery(delivery.sender, delivery.topic, list(delivery.frames))
        heapq.heappush(self._flights.setdefault(to, []), _Flight(due, self._numbers, sender, copy))

    def _arrive(self, to: str) -> Delivery | None:
        flights = self._flights.get(to, [])
        if not flights or flights[0].due > self.clock():
            return None
        self.arrived += 1
        return heapq.heappop(flights).delivery

    def _drop_flights(self, to: str) -> None:
        self.lost += len(self._flights.get(to, []))
        self._flights[to] = []


class FaultyConnection(Connection):
    """A mailbox on a faulty medium. `recv` gives what has arrived by the medium's clock, and never waits."""

    def __init__(self, medium: FaultyMedium, name: str) -> None:
        self.address = "faulty://"
        self.name = check_name(name)
        self._medium = medium
        self.times_found = 1
        self._topics: list[str] = []
        self._closed = False
        self._holds_name()

    def send(self, to: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        self._check_open()
        if self._holds_name():
            self._medium._carry(self.name, to, Delivery(self.name, None, _copies(frames)), bulk=bulk)

    def publish(self, topic: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        self._check_open()
        check_publishable(topic)
        if self._holds_name():
            copies = _copies(frames)
            for subscriber in self._medium._topics.get(topic, []):
                if subscriber is not self:
                    self._medium._carry(self.name, subscriber.name, Delivery(self.name, topic, copies), bulk=bulk)

    def subscribe(self, topic: str) -> None:
        self._check_open()
        check_topic(topic)
        if topic not in self._topics:
            self._topics.append(topic)
            if self._holds_name():
                self._medium._topics.setdefault(topic, []).append(self)

    def unsubscribe(self, topic: str) -> None:
        self._check_open()
        check_topic(topic)
        if topic in self._topics:
            self._topics.remove(topic)
            if self._medium._members.get(self.name) is self:
                self._medium._topics[topic].remove(self)

    def recv(self, timeout: float | None) -> Delivery | None:
        """What has arrived; None at once otherwise, whatever the timeout: only the test turns the clock."""
        self._check_open()
        if not self._holds_name():
            raise NameTaken(self.name, self.address)
        return self._medium._arrive(self.name)

    def wake(self) -> None:
        self._check_open()

    def silent_for(self) -> float:
        self._check_open()
        now = self._medium.clock()
        return now - self._medium._cut.get(self.name, now)

    def found(self) -> int:
        self._check_open()
        return self.times_found

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._medium._members.get(self.name) is self:
            del self._medium._members[self.name]
            self._medium._drop_flights(self.name)
            for topic in self._topics:
                self._medium._topics[topic].remove(self)

    def _holds_name(self) -> bool:
        """Take the name if it is free, and the topics with it."""
        holder = self._medium._members.get(self.name)
        if holder is None:
            self._medium._members[self.name] = self
            for topic in self._topics:
                self._medium._topics.setdefault(topic, []).append(self)
        return holder is None or holder is self

    def _check_open(self) -> None:
        if self._closed:
            raise TransportClosed(self.name)


def run(
    medium: FaultyMedium, steps: Iterable[Callable[[], object]], until: Callable[[], bool], *, limit: float
) -> None:
    """Call every step in turn and let a little time pass, again and again, until the test has seen enough.

    Raises AssertionError after `limit` seconds of the medium's clock.
    """
    steps = tuple(steps)
    end = medium.clock() + limit
    while not until():
        if medium.clock() > end:
            raise AssertionError(f"it did not come to that within {limit:g} s of the medium's clock")
        for step in steps:
            step()
        medium.clock.advance(0.01)


def _copies(frames: Sequence[Buffer]) -> list[Buffer]:
    return [bytes(frame) for frame in frames]

"""Who holds which name at a broker, and over which sockets it is reached. Time is passed in, never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fedzmq.errors import LimitExceeded
from fedzmq.transports.route import Channel, Mail, encode

MOST_TOPICS = 256  # of one party


@dataclass(slots=True, eq=False)
class Member:
    """A party that is connected. `places` are ZeroMQ's own names for its sockets. `dropped`: messages to it that found
    no room. is_announced: it published, and its coming and going is reported.
    """

    name: str
    instance: bytes
    came: float
    heard: float
    route: bytes  # of mail to it, and, going down, of mail from it: both are the verb and the name
    places: dict[Channel, bytes] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)
    dropped: int = 0
    is_announced: bool = False

    def is_silent(self, now: float, silence: float) -> bool:
        return now - self.heard > silence


@dataclass(frozen=True, slots=True)
class Seat:
    """What a socket that said hello is to the directory."""

    member: Member
    channel: Channel


class Directory:
    """Members by name, by route and by socket, and the topics that they subscribed to.

    A member lives as long as one of its sockets does: a link that broke and is dialled again costs it no name.
    """

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._by_route: dict[bytes, Member] = {}
        self._seats: dict[bytes, Seat] = {}
        self._subscribers: dict[str, dict[Member, None]] = {}
        self.addressee = self._by_route.get
        """Whom an encoded mail route names. Saves decoding it."""
        self.seat = self._seats.get
        """Who speaks from this socket."""

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def holder(self, name: str) -> Member | None:
        """Who has this name."""
        return self._members.get(name)

    def bind(self, name: str, instance: bytes, channel: Channel, place: bytes, now: float) -> Member:
        """Let a socket speak for a name that is free, or that this very instance holds."""
        seat = self._seats.get(place)
        if seat is not None and (seat.member.name, seat.channel) != (name, channel):
            self.unbind(place)
        member = self._members.get(name)
        if member is None:
            member = Member(name, instance, now, now, encode(Mail(name)))
            self._members[name] = self._by_route[member.route] = member
        elif member.instance != instance:
            raise ValueError(f"{name!r} is held by another instance: remove it first")
        former = member.places.get(channel)
        if former is not None and former != place:
            del self._seats[former]
        member.places[channel] = place
        member.heard = now
        self._seats[place] = Seat(member, channel)
        return member

    def unbind(self, place: bytes) -> Member | None:
        """Forget a socket that is gone; the member, if it was its last and the member went with it."""
        seat = self._seats.pop(place, None)
        if seat is None:
            return None
        del seat.member.places[seat.channel]
        if seat.member.places:
            return None
        self.remove(seat.member)
        return seat.member

    def remove(self, member: Member) -> None:
        """Free the name."""
        for place in member.places.values():
            self._seats.pop(place, None)
        member.places.clear()
        for topic in list(member.topics):
            self.unsubscribe(member, topic)
        if self._members.get(member.name) is member:
            del self._members[member.name], self._by_route[member.route]

    def subscribe(self, member: Member, topic: str) -> None:
        """Raises LimitExceeded for a member that wants to hear too much."""
        if topic in member.topics:
            return
        if len(member.topics) >= MOST_TOPICS:
            raise LimitExceeded("the number of topics", len(member.topics) + 1, MOST_TOPICS)
        member.topics.add(topic)
        self._subscribers.setdefault(topic, {})[member] = None

    def unsubscribe(self, member: Member, topic: str) -> None:
        """Fine where it had not subscribed."""
        if topic not in member.topics:
            return
        member.topics.remove(topic)
        subscribers = self._subscribers[topic]
        del subscribers[member]
        if not subscribers:
            del self._subscribers[topic]

    def subscribers(self, topic: str) -> list[Member]:
        """Those who hear a topic, in the order in which they came."""
        return list(self._subscribers.get(topic, ()))

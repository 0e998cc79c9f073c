"""The first frame of every message between a ZeroMQ connection and its broker: what is to be done with the others.

Plain bytes, a verb and its operands, because it is all that a broker reads. Any byte string decodes to a route or is a
ProtocolError. Mail of one small frame is one with its route, and follows it behind a zero byte, which no name holds:
every frame costs each hop as much as its bytes do. Nothing comes after it, so that nobody has to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Union

from fedzmq.errors import InvalidName, ProtocolError
from fedzmq.transports.connection import Buffer
from fedzmq.transports.names import check_name, check_publishable, check_topic

VERSION = 4
INSTANCE_BYTES = 16
BOOT_BYTES = 8
MOST_ROUTE_BYTES = 512
MOST_NOTE_BYTES = 8 * 1024  # of the one frame that follows the route of its mail
NOTE = b"\0"
MOST_FRAME_BYTES = 16 << 20  # of any frame: what one message can make the other side allocate by its word


class Channel(IntEnum):
    """Each connection has two, so that what is small never waits behind what is large."""

    CONTROL = 0
    BULK = 1


class Reason(IntEnum):
    """Why a broker does not let a connection in."""

    NAME_TAKEN = 1
    BAD_NAME = 2
    VERSION = 3


class Verb(IntEnum):
    """The first byte of a route."""

    HELLO = ord("H")
    WELCOME = ord("W")
    REFUSE = ord("R")
    WHO = ord("?")
    MAIL = ord("M")
    PUBLISH = ord("P")
    TOPIC = ord("T")
    SUBSCRIBE = ord("S")
    UNSUBSCRIBE = ord("U")
    PING = ord("p")
    PONG = ord("o")
    BYE = ord("B")


MAIL = bytes([Verb.MAIL])
"""How mail begins, by which it is told from all else without decoding it."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Up: who speaks on this channel. `instance` is drawn at random by each connection, and proves that it is the same.

    The name is any text: a broker that does not accept it says so.
    """

    name: str
    instance: bytes
    channel: Channel
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Welcome:
    """Down: mail is routed from now on. `boot` is the incarnation of the broker."""

    boot: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """Down: the hello was not accepted. `version` is the broker's."""

    reason: Reason
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Who:
    """Down: this broker has not heard your hello; say it again."""


@dataclass(frozen=True, slots=True)
class Mail:
    """Up: to whom. Down: from whom, as the broker knows it."""

    name: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Up: for all others that subscribed."""

    topic: str


@dataclass(frozen=True, slots=True)
class Topic:
    """Down: what `sender` published."""

    topic: str
    sender: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Up: from now on."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Up: no more."""

    topic: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Either way: nothing but a sign of life. Going up it asks for a pong."""


@dataclass(frozen=True, slots=True)
class Pong:
    """Down: the broker knows this channel."""


@dataclass(frozen=True, slots=True)
class Bye:
    """Up: the name is free."""


Route = Union[Hello, Welcome, Refuse, Who, Mail, Publish, Topic, Subscribe, Unsubscribe, Ping, Pong, Bye]

_VERBS: dict[type, Verb] = {
    Hello: Verb.HELLO,
    Welcome: Verb.WELCOME,
    Refuse: Verb.REFUSE,
    Who: Verb.WHO,
    Mail: Verb.MAIL,
    Publish: Verb.PUBLISH,
    Topic: Verb.TOPIC,
    Subscribe: Verb.SUBSCRIBE,
    Unsubscribe: Verb.UNSUBSCRIBE,
    Ping: Verb.PING,
    Pong: Verb.PONG,
    Bye: Verb.BYE,
}
_BARE: dict[Verb, Route] = {Verb.WHO: Who(), Verb.PING: Ping(), Verb.PONG: Pong(), Verb.BYE: Bye()}


def encode(route: Route) -> bytes:
    """The bytes of a route."""
    return bytes([_VERBS[type(route)]]) + _operands(route)


def decode(data: Buffer) -> Route:
    """The route that these bytes are. Raises ProtocolError for any others."""
    if not 1 <= len(data) <= MOST_ROUTE_BYTES:
        raise ProtocolError(f"a route has 1 to {MOST_ROUTE_BYTES} bytes, not {len(data)}")
    data = bytes(data)
    operands = data[1:]
    try:
        verb = Verb(data[0])
        if verb in _BARE:
            if operands:
                raise ProtocolError(f"a route {verb.name} has no operands")
            return _BARE[verb]
        return _decode(verb, operands)
    except (ValueError, IndexError, InvalidName) as error:  # no such verb or code, bad utf-8, too short, a bad name
        raise ProtocolError(f"no route: {error}") from None


def _operands(route: Route) -> bytes:
    if isinstance(route, Mail):
        return route.name.encode()
    if isinstance(route, (Publish, Subscribe, Unsubscribe)):
        return route.topic.encode()
    if isinstance(route, Topic):
        sender = route.sender.encode()
        return bytes([len(sender)]) + sender + route.topic.encode()
    if isinstance(route, Hello):
        return bytes([route.version, route.channel]) + route.instance + route.name.encode()
    if isinstance(route, Welcome):
        return route.boot
    if isinstance(route, Refuse):
        return bytes([route.reason, route.version])
    return b""


def _decode(verb: Verb, operands: bytes) -> Route:
    if verb is Verb.MAIL:
        return Mail(check_name(operands.decode()))
    if verb is Verb.PUBLISH:
        return Publish(check_publishable(operands.decode()))
    if verb is Verb.TOPIC:
        end = 1 + operands[0]
        return Topic(check_topic(operands[end:].decode()), operands[1:end].decode())
    if verb is Verb.SUBSCRIBE:
        return Subscribe(check_topic(operands.decode()))
    if verb is Verb.UNSUBSCRIBE:
        return Unsubscribe(check_topic(operands.decode()))
    if verb is Verb.HELLO:
        return _decode_hello(operands)
    if verb is Verb.WELCOME:
        return Welcome(_exactly(operands, BOOT_BYTES))
    _exactly(operands, 2)
    return Refuse(Reason(operands[0]), operands[1])


def _decode_hello(operands: bytes) -> Hello:
    version = operands[0]
    if version != VERSION:  # what follows is of a form that this version cannot know
        return Hello("", b"", Channel.CONTROL, version)
    channel, end = Channel(operands[1]), 2 + INSTANCE_BYTES
    return Hello(operands[end:].decode(), _exactly(operands[2:end], INSTANCE_BYTES), channel)


def _exactly(operands: bytes, size: int) -> bytes:
    if len(operands) != size:
        raise ProtocolError(f"expected {size} bytes, not {len(operands)}")
    return operands

"""A model that a client publishes once, for all workers that listen, in place of sending it to each."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Count
from fedzmq.wire.messages.message import Command, Message, Reply


@dataclass(frozen=True, slots=True)
class Listen(Command):
    """Hear what this client publishes on its topic of that number, and on no other; 0 is none. Answered by Heard."""

    topic: Count


@dataclass(frozen=True, slots=True)
class Heard(Message):
    """This worker listens to that topic of the client's (0: to none), and has come so far in what it publishes."""

    topic: Count
    position: Count


@dataclass(frozen=True, slots=True)
class ModelMissing(Reply):
    """The answer to a Train or an Evaluate whose state neither came along nor came whole on the client's topic."""

    model: str

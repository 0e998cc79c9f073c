"""The sorts of message. A client sends commands; what it asks, a worker answers under the number it gave."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Id


@dataclass(frozen=True, slots=True)
class Message:
    """Its fields, in order, are its wire form: to add, move or retype one is to change the protocol."""


@dataclass(frozen=True, slots=True)
class Command(Message):
    """Something for a worker to do."""


@dataclass(frozen=True, slots=True)
class Request(Command):
    """A command that is answered."""

    request: Id


@dataclass(frozen=True, slots=True)
class Reply(Message):
    """An answer to the client that asked."""

    request: Id

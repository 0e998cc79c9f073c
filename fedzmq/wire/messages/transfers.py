"""A tensor that goes from worker to worker: what the client tells the two, and what passes between them."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.failures import Failure
from fedzmq.wire.messages.fields import Boot, Id
from fedzmq.wire.messages.message import Command
from fedzmq.wire.messages.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Hand(Command):
    """Post a tensor to another worker, to that incarnation of it, where the client claims it by `key`."""

    id: Id
    worker: str
    boot: Boot
    key: str


@dataclass(frozen=True, slots=True)
class Claim(Command):
    """Store what that incarnation of a worker posts here under `key`. What comes after this waits until it is here."""

    id: Id
    key: str
    worker: str
    boot: Boot
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class Lost(Command):
    """That incarnation of a worker is gone: what it has not posted will not come."""

    worker: str
    boot: Boot


@dataclass(frozen=True, slots=True)
class Deliver(Command):
    """From worker to worker: a tensor that a client moves, for whoever of this name claims it."""

    key: str
    client: str
    tensor: TensorSpec


@dataclass(frozen=True, slots=True)
class Undelivered(Command):
    """From worker to worker: why no tensor comes under that key."""

    key: str
    client: str
    failure: Failure

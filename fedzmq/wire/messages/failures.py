"""Failures, and how a client hears of them: as an answer, or where it asks for all."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Count
from fedzmq.wire.messages.message import Reply, Request


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong on a worker, as text. It never holds a value of a tensor.

    `command` is the 1-based position of the record in its client's stream to this worker, 0 when it has none. `error`
    is the name of the exception's type, and `shapes` says what the operands were, such as "float32[2, 3]".
    """

    command: Count
    operation: str
    error: str
    message: str
    traceback: str
    shapes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed(Reply):
    """The answer to any request that could not be met."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Sync(Request):
    """Ask for the failures that no one has been told of; answered by Synced once all before it has run."""


@dataclass(frozen=True, slots=True)
class Synced(Reply):
    """The answer to Sync: failures in the order of their commands."""

    failures: tuple[Failure, ...]

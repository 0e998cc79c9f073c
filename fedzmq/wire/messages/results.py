"""What a training led to stays on the worker, until it is pulled and then released."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Count, Id
from fedzmq.wire.messages.message import Command, Reply, Request
from fedzmq.wire.messages.tensors import Tensors


@dataclass(frozen=True, slots=True)
class Pull(Request):
    """Ask for a piece of what a Train of this client led to; answered by Pulled or Failed, while others train.

    start, stop: bytes of its tensors in a row, those that travel, in the plan's order; no element is split.
    """

    task: Id
    start: Count
    stop: Count


@dataclass(frozen=True, slots=True)
class Pulled(Reply):
    """The answer to Pull: what lies in that range of each tensor that it touches, flattened."""

    parts: Tensors


@dataclass(frozen=True, slots=True)
class Release(Command):
    """A run is over: the result that the worker keeps of it can go."""

    run: str

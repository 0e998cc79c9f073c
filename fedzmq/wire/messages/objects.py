"""Stored tensors by what they are called, who may find them and who may read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedzmq.wire.bounds import Between
from fedzmq.wire.limits import MAX_OUTPUTS
from fedzmq.wire.messages.fields import Count, Id, Names
from fedzmq.wire.messages.message import Command, Reply, Request
from fedzmq.wire.messages.tensors import Description


@dataclass(frozen=True, slots=True)
class Label(Command):
    """Give a tensor these tags and this description, in place of those that it had."""

    id: Id
    tags: Names
    description: str


@dataclass(frozen=True, slots=True)
class Share(Command):
    """Let other clients find a tensor: the named ones, or all where none is named."""

    id: Id
    clients: Names


@dataclass(frozen=True, slots=True)
class Restrict(Command):
    """Let the value of a tensor, and of all that is computed from it, leave the worker for these clients alone."""

    id: Id
    users: Names


@dataclass(frozen=True, slots=True)
class Search(Request):
    """Find tensors to which every term fits; answered by Found. They are bound to first, first + 1 and so on.

    A term fits that is a tag, or part of the description. What is bound shares the memory, and is a tensor of its own.
    Where more is found than there is `room` for, nothing is bound.
    """

    terms: Names
    first: Id
    room: Annotated[int, Between(0, MAX_OUTPUTS)]


@dataclass(frozen=True, slots=True)
class ListObjects(Request):
    """Ask for all that this client stores; answered by Found, with its own ids."""


@dataclass(frozen=True, slots=True)
class Clear(Command):
    """Forget everything that this client stores."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A stored tensor, without its values: `owner` is the client that stores it."""

    id: Id
    tensor: Description
    tags: Names
    description: str
    owner: str


@dataclass(frozen=True, slots=True)
class Found(Reply):
    """The answer to Search and to ListObjects. `total` counts what the room was too small for, too."""

    total: Count
    objects: tuple[ObjectInfo, ...]

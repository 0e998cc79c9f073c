"""Operations: the modes they run under, and those whose outputs nobody can foretell.

A plain operation is no dataclass but a bare record, see `fedzmq.wire.apply`: most of what travels is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fedzmq.wire.bounds import Between
from fedzmq.wire.limits import MAX_OUTPUTS
from fedzmq.wire.messages.fields import Apply, Id
from fedzmq.wire.messages.message import Command, Reply, Request
from fedzmq.wire.messages.tensors import Description


@dataclass(frozen=True, slots=True)
class Mode(Command):
    """The modes under which this client's later records run. `autocast` is a dtype, or None when it is off."""

    grad: bool
    autocast: str | None
    default_dtype: str


@dataclass(frozen=True, slots=True)
class Seed(Command):
    """Seed the random numbers that this client's operations draw."""

    value: int


@dataclass(frozen=True, slots=True)
class SaveRandomState(Command):
    """Bind the state of this client's random numbers as it is now, a tensor of bytes."""

    id: Id


@dataclass(frozen=True, slots=True)
class LoadRandomState(Command):
    """Draw on from a state that was saved."""

    id: Id


@dataclass(frozen=True, slots=True)
class Probe(Request):
    """Apply an operation whose outputs only its values tell: bind them to first, first + 1, ..., `room` at most."""

    first: Id
    room: Annotated[int, Between(1, MAX_OUTPUTS)]
    record: Apply


@dataclass(frozen=True, slots=True)
class Described(Reply):
    """The answer to Probe, Call and Describe. `bare` says that an operation gave one tensor, and not several."""

    tensors: tuple[Description, ...]
    bare: bool


@dataclass(frozen=True, slots=True)
class Call(Request):
    """Call a function of the worker's owner by its name, and else as Probe: the record's operation means nothing."""

    name: str
    first: Id
    room: Annotated[int, Between(1, MAX_OUTPUTS)]
    record: Apply


@dataclass(frozen=True, slots=True)
class ListFunctions(Request):
    """Ask which functions the worker's owner lets clients call; answered by FunctionsListed."""


@dataclass(frozen=True, slots=True)
class FunctionsListed(Reply):
    """The answer to ListFunctions."""

    names: tuple[str, ...]

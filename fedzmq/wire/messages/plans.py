"""Plans: trained under the hash of their bytes, or stored as tensors are, run, and shared."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Id, Names, PlanBytes, Positive, Ref
from fedzmq.wire.messages.message import Command, Reply, Request
from fedzmq.wire.messages.tensors import Tensors


@dataclass(frozen=True, slots=True)
class DefinePlan(Command):
    """Make a plan known under the hash of its bytes."""

    plan: PlanBytes


@dataclass(frozen=True, slots=True)
class PlanMissing(Reply):
    """The answer to a Train, or a FetchPlan, whose plan this worker does not have."""

    plan: str


@dataclass(frozen=True, slots=True)
class PutPlan(Command):
    """Store a plan under an id of the client's, as tensors are stored, with the tensors that it keeps as its buffers.

    `writes` are the registers, of those that it is given, that it writes to: a run that fails spoils them.
    """

    id: Id
    plan: PlanBytes
    state: tuple[Id, ...]
    writes: tuple[Positive, ...]


@dataclass(frozen=True, slots=True)
class RunPlan(Command):
    """Run a stored plan once, without gradients: its parameters and then its columns are `arguments`.

    The outputs are bound to `results` in the plan's order, where 0 is not kept.
    """

    plan: Id
    arguments: tuple[Id, ...]
    results: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Interrupt(Command):
    """Stop each RunPlan among the client's first so many commands, unless it has begun to write to what it was given.

    It goes past the commands. What a run that was stopped would have given has failed; all else is as if it was not.
    """

    commands: Positive


@dataclass(frozen=True, slots=True)
class SharePlan(Command):
    """Let other clients fetch a stored plan, by `key`, which nobody guesses, or by one of its tags."""

    plan: Id
    key: str
    tags: Names


@dataclass(frozen=True, slots=True)
class FetchPlan(Request):
    """Ask for a shared plan by its key or a tag; answered by PlanFetched, PlanMissing or Failed."""

    name: str


@dataclass(frozen=True, slots=True)
class PlanFetched(Reply):
    """The answer to FetchPlan: the plan, under its key, and the values that its buffers have now."""

    key: str
    plan: PlanBytes
    state: Tensors

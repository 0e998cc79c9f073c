"""What a role does in a protocol, step by step: operations, and what passes between roles.

A step is run on pointers of real workers, which `Cast` holds under the numbers that the recording gave their tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.creation import create
from fedzmq.pointers.destination import Destination
from fedzmq.pointers.nesting import leaves
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.sending import send_tensor
from fedzmq.tensors.buffers import restore
from fedzmq.transports.connection import Buffer
from fedzmq.wire.apply import results_of
from fedzmq.wire.messages import TensorSpec

Name = tuple[str, int]  # a role, and the number of one of its tensors


@dataclass(slots=True)
class Cast:
    """One run of a protocol: who plays which role, the tensors so far, and those on their way."""

    workers: dict[str, Destination]
    tensors: dict[Name, Any] = field(default_factory=dict)
    posted: dict[str, Any] = field(default_factory=dict)


class Action(Protocol):
    """`role` does `what`."""

    @property
    def role(self) -> str: ...

    @property
    def what(self) -> str: ...

    def run(self, cast: Cast) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Compute:
    """An operation on the role's own tensors."""

    role: str
    record: Sequence[Any]
    constants: Sequence[Buffer]

    @property
    def what(self) -> str:
        return CATALOG.name(self.record[0])

    def run(self, cast: Cast) -> None:
        operation, _, mask, arguments, *keywords = self.record
        scope = Scope(lambda id: cast.tensors[self.role, id], self._constant)
        values = [
            cast.tensors[self.role, value] if mask >> place & 1 else unpack(value, scope)
            for place, value in enumerate(arguments)
        ]
        named = unpack_keywords(keywords[0], scope) if keywords else {}
        function = CATALOG.function(operation)
        if any(isinstance(each, torch.Tensor) for each in leaves([values, named])):
            output = function(*values, **named)
        else:
            output = create(cast.workers[self.role].stream, function, tuple(values), named)
        tensors = [each for each in leaves(output) if isinstance(each, torch.Tensor)]
        for id, tensor in zip(results_of(self.record), tensors, strict=False):
            if id:
                cast.tensors[self.role, id] = tensor

    def _constant(self, spec: TensorSpec) -> torch.Tensor:
        return restore(TensorSpec(spec.dtype, spec.shape, 0), self.constants[spec.buffer]).clone()


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """A tensor of the protocol's own is sent to the role."""

    role: str
    id: int
    value: torch.Tensor
    what: str = "send"

    def run(self, cast: Cast) -> None:
        cast.tensors[self.role, self.id] = send_tensor(self.value, cast.workers[self.role])


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A tensor leaves the role for another one."""

    role: str
    id: int
    to: str
    key: str
    what: str = "move"

    def run(self, cast: Cast) -> None:
        cast.posted[self.key] = cast.tensors[self.role, self.id].move(cast.workers[self.to])


@dataclass(frozen=True, slots=True, eq=False)
class Receive:
    """A tensor of another role's arrives."""

    role: str
    id: int
    key: str
    what: str = "receive"

    def run(self, cast: Cast) -> None:
        cast.tensors[self.role, self.id] = cast.posted.pop(self.key)


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A tensor is tagged and described, for those who search, or shared with them."""

    role: str
    id: int
    tags: tuple[str, ...] = ()
    description: str = ""
    shared: tuple[str, ...] | None = None

    @property
    def what(self) -> str:
        return "tag" if self.shared is None else "share"

    def run(self, cast: Cast) -> None:
        pointer: Pointer = cast.tensors[self.role, self.id]
        if self.shared is not None:
            pointer.share(*self.shared)
            return
        if self.tags:
            pointer.tag(*self.tags)
        if self.description:
            pointer.describe(self.description)

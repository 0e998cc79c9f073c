"""Tensors that a client stores on a worker: put, read and forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fedzmq.wire.bounds import AtMost, Between
from fedzmq.wire.limits import MAX_BUFFERS
from fedzmq.wire.messages.fields import Id, Shape, Stride
from fedzmq.wire.messages.message import Command, Reply, Request


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor whose bytes are buffer number `buffer` of the same message, row-major and without gaps."""

    dtype: str
    shape: Shape
    buffer: Annotated[int, Between(0, MAX_BUFFERS - 1)]


Tensors: TypeAlias = Annotated[tuple[TensorSpec, ...], AtMost(MAX_BUFFERS)]


@dataclass(frozen=True, slots=True)
class Description:
    """A tensor on a worker, without its values. `version` says how often it was written to."""

    dtype: str
    shape: Shape
    stride: Stride
    requires_grad: bool
    version: int


@dataclass(frozen=True, slots=True)
class Put(Command):
    """Store a new tensor."""

    id: Id
    tensor: TensorSpec
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class Drop(Command):
    """Forget tensors; an id that is not there is passed over."""

    ids: tuple[Id, ...]


@dataclass(frozen=True, slots=True)
class SetData(Command):
    """`tensor.data = source`."""

    id: Id
    source: Id


@dataclass(frozen=True, slots=True)
class Fetch(Request):
    """Ask for a value; answered by Value or Failed."""

    id: Id


@dataclass(frozen=True, slots=True)
class Value(Reply):
    """The answer to Fetch."""

    tensor: TensorSpec

"""A recorded computation: the very commands that pointers turn into, with registers in place of stored tensors.

Registers are numbered from 1: first the parameters, then the buffers, then the columns of a batch, then the constants,
then whatever the records name. A plan travels as bytes and is named by their hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, cast

import msgpack

from fedzmq.errors import ProtocolError
from fedzmq.wire.bounds import AtMost
from fedzmq.wire.kind import Mismatch
from fedzmq.wire.kinds import record
from fedzmq.wire.limits import MAX_PLAN, MAX_TEXT, check_size, check_tensor
from fedzmq.wire.messages import Apply, Positive, Shape
from fedzmq.wire.messages.fields import Count, Ref

MAX_RECORDS = 60_000
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor that a plan is given.

    The shape of a column is that of one example, without the rows. Of the state, what is `trained` gets gradients,
    and the rest is frozen.
    """

    name: str
    dtype: str
    shape: Shape
    trained: bool


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor that the recorded program held itself."""

    dtype: str
    shape: Shape
    data: Annotated[bytes, AtMost(MAX_PLAN)]


@dataclass(frozen=True, slots=True)
class Output:
    """A register that a plan gives back, under a name such as "loss"."""

    name: str
    register: Positive


@dataclass(frozen=True, slots=True)
class Lowered:
    """Records in a row, from the place `first`, that run under autocast to `dtype`."""

    first: int
    count: Positive
    dtype: str


@dataclass(frozen=True, slots=True)
class BackwardBody:
    """The backward of the record at `place`: so many records after it are no steps of the plan, but make gradients.

    That record names outputs and inputs. It fills a register for each output, which is the same with this backward, and
    one for the gradient of each, which is there when the backward runs. `results` are the gradients of the inputs: 0 is
    none.
    """

    place: Count
    count: Count
    results: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of operations over registers. `catalog` is the digest of the operation list that its numbers refer to.

    What is `lowered` follows in order and does not overlap; of the `backwards`, in the order of their places, one may
    hold another.
    """

    catalog: str
    parameters: tuple[Slot, ...]
    buffers: tuple[Slot, ...]
    columns: tuple[Slot, ...]
    constants: tuple[Constant, ...]
    records: Annotated[tuple[Apply, ...], AtMost(MAX_RECORDS)]
    outputs: tuple[Output, ...]
    lowered: Annotated[tuple[Lowered, ...], AtMost(MAX_RECORDS)] = ()
    backwards: Annotated[tuple[BackwardBody, ...], AtMost(MAX_RECORDS)] = ()

    @property
    def state(self) -> tuple[Slot, ...]:
        """What it is given beside the examples, in order: the parameters, and then the buffers."""
        return (*self.parameters, *self.buffers)

    @property
    def given(self) -> int:
        """How many registers are filled before the first record runs."""
        return len(self.parameters) + len(self.buffers) + len(self.columns) + len(self.constants)

    def to_bytes(self) -> bytes:
        """What travels. Raises ProtocolError for a plan that no worker would take."""
        try:
            body: bytes = msgpack.packb([_VERSION, _KIND.encode(self)])
        except Mismatch as error:
            raise ProtocolError(f"the field {error}") from None
        check_size("the bytes of a plan", len(body), MAX_PLAN)
        return body


def name_of(plan: bytes) -> str:
    """The name of a plan: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(plan).hexdigest()


def from_bytes(body: bytes) -> Plan:
    """The plan that these bytes are; whether it may run is for `check`. Raises ProtocolError for anything else."""
    check_size("the bytes of a plan", len(body), MAX_PLAN)
    try:
        row = msgpack.unpackb(body, max_str_len=MAX_TEXT, max_ext_len=0, strict_map_key=True)
    except Exception as error:  # msgpack answers hostile bytes with several unrelated exceptions
        raise ProtocolError(f"a plan is not msgpack: {type(error).__name__}") from None
    if type(row) is not list or len(row) != 2 or type(row[0]) is not int or row[0] != _VERSION:
        raise ProtocolError(f"a plan is [{_VERSION}, fields] in this version, and something else came")
    try:
        plan = cast(Plan, _KIND.decode(row[1]))
    except Mismatch as error:
        raise ProtocolError(f"the field {error}" if error.path else f"a plan{error}") from None
    for constant in plan.constants:
        check_tensor(constant.dtype, constant.shape, len(constant.data))
    return plan


_KIND = record(Plan)

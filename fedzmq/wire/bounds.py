"""What the annotation of a message's field says beside its type."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.kind import Convert


@dataclass(frozen=True, slots=True)
class Between:
    """Annotates an int: both ends belong to it."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class AtMost:
    """Annotates bytes, a tuple or a dict: its greatest length."""

    length: int


@dataclass(frozen=True, slots=True)
class Finite:
    """Annotates a float: neither infinite nor NaN."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Annotates a hint that has its own check, which serves both directions and raises ProtocolError or Mismatch."""

    convert: Convert

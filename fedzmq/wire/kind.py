"""How one field of a message is checked: once on its way out, and once on its way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """The two directions of one hint. Each gives the converted value or raises Mismatch."""

    encode: Convert
    decode: Convert


class Mismatch(Exception):
    """A value that its field does not take; containers put the names of the fields on the way in front."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(value, expected)
        self.value = value
        self.expected = expected
        self.path: list[str] = []

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} is {brief(self.value)}: {self.expected} is expected"


def brief(value: object) -> str:
    """A value in a few words, however large it is."""
    if isinstance(value, (bool, int, float, NoneType)):
        return repr(value)
    if isinstance(value, str):
        return repr(value[:60])
    size = f" of {len(value)}" if isinstance(value, (bytes, list, tuple, dict)) else ""
    return f"a {type(value).__name__}{size}"

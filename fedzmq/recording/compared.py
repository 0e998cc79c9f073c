"""The numbers that a program may compare a size with: what it does for just so many shows only where there are so many.

They are the whole numbers among the constants, the arguments, the globals and the modules' attributes of those of its
functions that compare at all. What comes of it are more recordings, so there may be too many of them but none that does
harm.
"""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from torch import nn

from fedzmq.pointers.origins import LIBRARY

MOST = 24  # sizes that are tried
LARGEST = 1024  # so that a recording stays small
_ARITHMETIC = frozenset({"mpmath", "networkx", "numpy", "sympy", "typing_extensions"})  # what torch itself calls
_NOT_THE_USERS = (*LIBRARY, os.path.dirname(os.__file__), "<string>", "<frozen")


class Compared:
    """Gathers them while a function runs."""

    def __init__(self) -> None:
        self._found: dict[int, None] = {}
        self._seen: dict[CodeType, bool | None] = {}

    @property
    def sizes(self) -> list[int]:
        return list(self._found)[:MOST]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What is called within, in this thread."""
        profiling = sys.getprofile()
        sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(profiling)

    def _look(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code not in self._seen:
            self._seen[code] = _orders(code) if _is_the_users(frame) else None
        orders = self._seen[code]
        if orders is None:
            return
        for number in _numbers(frame):
            for size in (number, number - 1, number + 1) if orders else (number,):
                if 1 <= size <= LARGEST:
                    self._found.setdefault(size)


def _is_the_users(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package not in _ARITHMETIC and not frame.f_code.co_filename.startswith(_NOT_THE_USERS)


def _orders(code: CodeType) -> bool | None:
    """Whether it asks for more or less, or for equality alone; None where it compares nothing."""
    asked = [str(each.argval) for each in dis.get_instructions(code) if each.opname in ("COMPARE_OP", "CONTAINS_OP")]
    return any("<" in each or ">" in each for each in asked) if asked else None


def _numbers(frame: FrameType) -> Iterator[int]:
    held = list(frame.f_locals.values())
    values: list[Any] = [*frame.f_code.co_consts, *held]
    values += [frame.f_globals.get(name) for name in frame.f_code.co_names]
    for each in held:
        if isinstance(each, nn.Module):
            values += vars(each).values()
    for value in values:
        for each in value if isinstance(value, tuple | frozenset) else (value,):
            if type(each) is int:
                yield each

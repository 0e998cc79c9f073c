"""The numbers that a program may compare a size with: what it does for just so many shows only where there are so many.

They are the whole numbers that those of its functions which compare at all can reach: constants, arguments, globals,
and what these hold under a name that the function mentions, or in a list. What comes of it are more recordings, so
there may be too many of them but none that does harm.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib._bootstrap import _find_and_load  # type: ignore[attr-defined]  # where every import goes through
from types import CodeType, FrameType
from typing import Any

from fedzmq.recording.chance import NOT_THE_USERS

MOST = 24  # sizes that are tried
MOST_WITHIN = 32  # things in a list or a map that is looked through
DEEPEST = 3  # as self.settings.sizes[0]
LARGEST = 1024  # so that a recording stays small
_IMPORT: Any = _find_and_load.__code__
_ARITHMETIC = frozenset({"mpmath", "networkx", "numpy", "sympy", "typing_extensions"})  # what torch itself calls


class Compared:
    """Gathers them while a function runs."""

    def __init__(self) -> None:
        self._found: dict[int, None] = {}
        self._seen: dict[CodeType, bool | None] = {}
        self._imports = 0  # that are under way: what they run compares much, and no size

    @property
    def sizes(self) -> list[int]:
        return list(self._found)[:MOST]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What is called within, in this thread."""
        tracing = sys.gettrace()  # not the profiler, for what Python's own would not be set back to
        sys.settrace(self._look)
        try:
            yield
        finally:
            sys.settrace(tracing)

    def _look(self, frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if code is _IMPORT:
            self._imports += 1
            frame.f_trace_lines = False
            return self._imported
        if self._imports:
            return None
        if code not in self._seen:
            self._seen[code] = _orders(code) if _is_the_users(frame) else None
        orders = self._seen[code]
        if orders is None:
            return None
        for number in _numbers(frame):
            for size in (number, number - 1, number + 1) if orders else (number,):
                if 1 <= size <= LARGEST:
                    self._found.setdefault(size)
        return None

    def _imported(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "return":
            self._imports -= 1
        return self._imported


def _is_the_users(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package not in _ARITHMETIC and not frame.f_code.co_filename.startswith(NOT_THE_USERS)


def _orders(code: CodeType) -> bool | None:
    """Whether it asks for more or less, or for equality alone; None where it compares nothing."""
    asked = [str(each.argval) for each in dis.get_instructions(code) if each.opname in ("COMPARE_OP", "CONTAINS_OP")]
    return any("<" in each or ">" in each for each in asked) if asked else None


def _numbers(frame: FrameType) -> Iterator[int]:
    code = frame.f_code
    names = frozenset(("_modules", *code.co_names, *(each for each in code.co_consts if type(each) is str)))
    yield from _whole(code.co_consts, names, DEEPEST)
    yield from _whole([*frame.f_locals.values(), *(frame.f_globals.get(name) for name in names)], names, DEEPEST)


def _whole(values: Iterable[Any], names: frozenset[str], depth: int) -> Iterator[int]:
    for value in values:
        if type(value) is int:
            yield value
        elif depth:
            yield from _whole(_held(value, names), names, depth - 1)


def _held(value: Any, names: frozenset[str]) -> Iterable[Any]:
    """What a function that mentions these names can get out of a value without calling anything."""
    kind = type(value)  # not isinstance, which asks the value for its __class__
    if issubclass(kind, list | tuple | set | frozenset):
        return value if len(value) <= MOST_WITHIN else ()
    if issubclass(kind, dict):
        pairs = dict.items(value) if dict.__len__(value) <= MOST_WITHIN else ()
        return [*(dict.get(value, name) for name in names), *(each for key, each in pairs if type(key) is not str)]
    found = [each for name in names if (each := _attribute(value, name)) is not None]
    getters = [getattr(each.fget, "__code__", None) for each in found if type(each) is property]
    return [*found, *(_attribute(value, name) for each in getters if each for name in each.co_names)]


def _attribute(value: Any, name: str) -> Any:
    """As it is kept, so that nothing is called."""
    for holder in (value, *type(value).__mro__):
        with suppress(AttributeError):
            attributes = object.__getattribute__(holder, "__dict__")
            if name in attributes:
                return attributes[name]
    return None

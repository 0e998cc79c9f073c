"""One record of a plan as a function of the registers: every name resolved, and every argument in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import CATALOG, Operation
from fedzmq.operations.guards.guard import Guard, leaves
from fedzmq.operations.rules import Rule, of_size
from fedzmq.operations.uncounted import counted
from fedzmq.wire.apply import results_of

Registers = list[Any]  # register 0 holds the number of rows
Run = Callable[[Registers], None]
_Get = Callable[[Registers], Any]


def resolved(
    record: Sequence[Any], place: int, last_use: dict[int, int], guard: Guard | None, most_bytes: int | None
) -> Run:
    """Runs the record. Notes in `last_use` that the registers which it reads and fills are used at that place.

    Raises ProtocolError or OperationRefused. A result of more than `most_bytes` is refused when it runs.
    """
    return _Resolver(place, last_use, guard, most_bytes).run(record)


@dataclass(frozen=True, slots=True)
class _Later:
    """A value that is known only when the step runs."""

    get: _Get
    register: int | None  # where it lies as it is


class _Resolver:
    """Resolves the record at one place, and notes which registers it uses."""

    def __init__(self, place: int, last_use: dict[int, int], guard: Guard | None, most_bytes: int | None) -> None:
        self._place = place
        self._last_use = last_use
        self._guard = guard
        self._most_bytes = most_bytes
        self._scope = Scope(lookup=self._register, batch=self._of_rows, extent=self._of_extent)

    def run(self, record: Sequence[Any]) -> Run:
        number, result, mask, values = record[:4]
        function = counted(CATALOG.name(number), CATALOG.function(number))
        if self._guard is not None and self._most_bytes is not None:
            function = _guarded(function, self._guard, self._most_bytes)
        arguments = [
            self._register(value) if mask >> index & 1 else unpack(value, self._scope)
            for index, value in enumerate(values)
        ]
        keywords = unpack_keywords(record[4], self._scope) if len(record) == 5 else {}
        call = _call(function, arguments, keywords)
        for register in results_of(record):
            self._last_use[register] = self._place
        return _into_one(call, result) if type(result) is int else _into_each(call, tuple(result))

    def _register(self, register: int) -> _Later:
        self._last_use[register] = self._place
        return _Later(lambda held: held[register], register)

    def _of_rows(self, rule: Rule) -> _Later:
        return _Later(lambda held: of_size(rule, held[0]), None)

    def _of_extent(self, register: int, dimension: int, rule: Rule) -> _Later:
        self._last_use[register] = self._place
        return _Later(lambda held: of_size(rule, held[register].shape[dimension]), None)


def _call(function: Operation, arguments: list[Any], keywords: dict[str, Any]) -> _Get:
    """The shapes that calls have nearly always are told apart here, and not in every step."""
    places = [(i, each.register) for i, each in enumerate(arguments) if isinstance(each, _Later) and each.register]
    others = [each for each in arguments if not isinstance(each, _Later)]
    is_plain = len(places) + len(others) == len(arguments)
    if not is_plain or any(map(_is_open, (*others, *keywords.values()))):
        get_arguments, get_keywords = _getter(arguments), _getter(keywords)
        return lambda held: function(*get_arguments(held), **get_keywords(held))
    if not keywords and len(places) == len(arguments):
        registers = [register for _, register in places]
        if len(registers) == 1:
            (a,) = registers
            return lambda held: function(held[a])
        if len(registers) == 2:
            a, b = registers
            return lambda held: function(held[a], held[b])
        return lambda held: function(*[held[register] for register in registers])

    def call(held: Registers) -> Any:
        filled = arguments.copy()
        for index, register in places:
            filled[index] = held[register]
        return function(*filled, **keywords)

    return call


def _is_open(value: Any) -> bool:
    """Something in it is known only when the step runs."""
    if isinstance(value, _Later):
        return True
    if isinstance(value, slice):
        return _is_open((value.start, value.stop, value.step))
    return isinstance(value, (list, tuple)) and any(map(_is_open, value))


def _getter(value: Any) -> _Get:
    if isinstance(value, _Later):
        return value.get
    if type(value) is dict:
        entries = [(key, _getter(each)) for key, each in value.items()]
        return lambda held: {key: get(held) for key, get in entries}
    if type(value) is slice:
        ends = [_getter(each) for each in (value.start, value.stop, value.step)]
        return lambda held: slice(*[get(held) for get in ends])
    if type(value) is list or type(value) is tuple:
        kind, gets = type(value), [_getter(each) for each in value]
        return lambda held: kind([get(held) for get in gets])
    return lambda held: value


def _into_one(call: _Get, register: int) -> Run:
    if register == 0:

        def run(held: Registers) -> None:
            call(held)

    else:

        def run(held: Registers) -> None:
            held[register] = call(held)

    return run


def _into_each(call: _Get, registers: tuple[int, ...]) -> Run:
    def run(held: Registers) -> None:
        tensors = [value for value in leaves(call(held)) if isinstance(value, torch.Tensor)]
        if len(tensors) != len(registers):
            raise PlanError(f"an operation of the plan gave {len(tensors)} tensors, and {len(registers)} were recorded")
        for register, tensor in zip(registers, tensors, strict=True):
            if register:
                held[register] = tensor

    return run


def _guarded(function: Operation, guard: Guard, most_bytes: int) -> Operation:
    def guarded(*arguments: Any, **keywords: Any) -> Any:
        guard(most_bytes, arguments, keywords)
        return function(*arguments, **keywords)

    return guarded

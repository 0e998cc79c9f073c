"""A plan made ready to run: every name resolved and every argument in its place, so that a step only computes.

No source text is written and nothing is evaluated: a step is a function from a list of registers, made beforehand. That
costs a fifth of a microsecond for each operation above generated code, and leaves nothing for a plan to inject into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import CATALOG, Operation
from fedzmq.operations.guards.guard import Guard, leaves
from fedzmq.operations.listed.differentiation import leaf
from fedzmq.operations.rules import Rule, of_size
from fedzmq.operations.uncounted import counted
from fedzmq.plans.backward import OwnBackward
from fedzmq.plans.plan import BackwardBody, Plan
from fedzmq.plans.scopes import ends
from fedzmq.tensors.buffers import restore
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.messages import TensorSpec

_GRAD = CATALOG.number(torch.autograd.grad)
MOST_BYTES = 1 << 33  # of one result
Step = Callable[..., tuple[torch.Tensor, ...]]
_Registers = list[Any]  # register 0 holds the number of rows
_Run = Callable[[_Registers], None]
_Get = Callable[[_Registers], Any]
_Step = tuple[_Run | None, list[int], Sequence[Any]]


def compile_plan(plan: Plan, most_bytes: int | None = MOST_BYTES) -> Step:
    """`step(rows, *parameters, *buffers, *columns, *constants)` gives the outputs in the plan's order.

    `rows` is the number of examples in the batch. Buffers are changed in place, as the recorded program did. The plan
    has been checked; what its arguments hold has not, and raises ProtocolError or OperationRefused. A result of more
    than `most_bytes` is refused where the arguments tell its size; with None nothing is refused, which is for a plan
    that is run here on what belongs to whoever runs it. An exception of a step has the number of the
    operation that raised it as `failed_operation`.
    """
    last_use: dict[int, int] = {}
    runs = _Steps(plan, most_bytes).between(0, len(plan.records), last_use)
    outputs = [output.register for output in plan.outputs]
    spent: list[list[int]] = [[] for _ in runs]
    for register, place in last_use.items():
        if register > plan.given and register not in outputs:
            spent[place].append(register)
    parts = _parts(plan, list(zip(runs, spent, plan.records, strict=True)))
    registers = 1 + max([plan.given, *last_use])
    trained = [place for place, slot in enumerate(plan.parameters, 1) if slot.trained]
    differentiates = any(record[0] == _GRAD for record in plan.records)

    def step(rows: int, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        held: _Registers = [rows, *given]
        held += [None] * (registers - len(held))
        try:
            for lower, steps in parts:
                with nullcontext() if lower is None else torch.autocast("cpu", lower):
                    for run, done, record in steps:  # noqa: B007 - the exception needs it
                        run(held)
                        for register in done:
                            held[register] = None
        except Exception as error:
            error.failed_operation = record[0]  # type: ignore[attr-defined]  # ours alone
            raise
        return tuple([held[register] for register in outputs])

    def differentiating(rows: int, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Where no gradient is wanted of the outputs, those in the midst of the plan need a graph all the same."""
        held = list(given)
        for place in trained:
            if not held[place - 1].requires_grad:
                held[place - 1] = leaf(held[place - 1])
        if torch.is_grad_enabled():
            return step(rows, *held)
        with torch.enable_grad():
            return tuple([output.detach() for output in step(rows, *held)])

    return differentiating if differentiates else step


def constants(plan: Plan) -> list[torch.Tensor]:
    """The constants anew for every task: a plan may write to them, and no task is to see what another wrote."""
    return [restore(TensorSpec(each.dtype, each.shape, 0), each.data) for each in plan.constants]


def _parts(plan: Plan, steps: list[_Step]) -> list[tuple[torch.dtype | None, list[Any]]]:
    """The steps in a row that are lowered alike: None is as they are."""
    parts: list[tuple[torch.dtype | None, list[_Step]]] = []
    done = 0
    for each in plan.lowered:
        end = each.first + each.count
        parts += [(None, steps[done : each.first]), (dtype_of(each.dtype), steps[each.first : end])]
        done = end
    parts.append((None, steps[done:]))
    return [(lower, [step for step in part if step[0] is not None]) for lower, part in parts]


class _Steps:
    """Makes records into functions of the registers; those of a backward into one that runs when gradients come."""

    def __init__(self, plan: Plan, most_bytes: int | None) -> None:
        self._plan = plan
        self._most_bytes = most_bytes
        self._backwards = {each.place: each for each in plan.backwards}

    def between(self, start: int, end: int, last_use: dict[int, int]) -> list[_Run | None]:
        """One for each record, None for those of a backward. Notes where each register is used last."""
        runs: list[_Run | None] = []
        while len(runs) < end - start:
            place = start + len(runs)
            backward = self._backwards.get(place)
            if backward is None:
                runs.append(_Resolved(place, last_use, self._most_bytes).record(self._plan.records[place]))
            else:
                runs += [self._own(backward, last_use).run, *[None] * backward.count]
        return runs

    def _own(self, backward: BackwardBody, last_use: dict[int, int]) -> OwnBackward:
        place, records = backward.place, self._plan.records
        outputs, inputs = ends(records[place])
        linked, gradients = records[place][1][: len(outputs)], records[place][1][len(outputs) :]
        first, end = place + 1, place + 1 + backward.count
        used = dict.fromkeys((*gradients, *filter(None, backward.results)), place)
        steps = list(zip(self.between(first, end, used), records[first:end], strict=True))
        own = {*gradients, *(register for record in records[first:end] for register in _results(record))}
        captured = [register for register in used if register not in own]
        last_use.update(dict.fromkeys((*outputs, *inputs, *captured, *linked), place))
        return OwnBackward(
            tuple(outputs),
            tuple(inputs),
            tuple(linked),
            tuple(gradients),
            backward.results,
            tuple(captured),
            _in_turn([(run, record) for run, record in steps if run is not None]),
            any(record[0] == _GRAD for record in records[first:end]),
            1 + backward.count,
        )


def _results(record: Sequence[Any]) -> list[int]:
    return [record[1]] if type(record[1]) is int else record[1]


def _in_turn(steps: list[tuple[_Run, Sequence[Any]]]) -> _Run:
    def run(held: _Registers) -> None:
        try:
            for step, record in steps:  # noqa: B007 - the exception needs it
                step(held)
        except Exception as error:
            error.failed_operation = record[0]  # type: ignore[attr-defined]  # ours alone
            raise

    return run


@dataclass(frozen=True, slots=True)
class _Later:
    """A value that is known only when the step runs."""

    get: _Get
    register: int | None  # where it lies as it is


class _Resolved:
    """Turns one record into a function of the registers, and notes which registers it uses."""

    def __init__(self, place: int, last_use: dict[int, int], most_bytes: int | None) -> None:
        self._place = place
        self._last_use = last_use
        self._most_bytes = most_bytes
        self._scope = Scope(lookup=self._register, batch=self._of_rows, extent=self._of_extent)

    def record(self, record: Sequence[Any]) -> _Run:
        number, result, mask, values = record[:4]
        function, guard = counted(CATALOG.name(number), CATALOG.function(number)), CATALOG.guard(number)
        if guard is not None and self._most_bytes is not None:
            function = _guarded(function, guard, self._most_bytes)
        arguments = [
            self._register(value) if mask >> index & 1 else unpack(value, self._scope)
            for index, value in enumerate(values)
        ]
        keywords = unpack_keywords(record[4], self._scope) if len(record) == 5 else {}
        call = _call(function, arguments, keywords)
        for register in [result] if type(result) is int else result:
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

    def call(held: _Registers) -> Any:
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


def _into_one(call: _Get, register: int) -> _Run:
    if register == 0:

        def run(held: _Registers) -> None:
            call(held)

    else:

        def run(held: _Registers) -> None:
            held[register] = call(held)

    return run


def _into_each(call: _Get, registers: tuple[int, ...]) -> _Run:
    def run(held: _Registers) -> None:
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

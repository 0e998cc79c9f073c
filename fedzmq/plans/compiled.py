"""A plan as straight-line Python, of which no text comes from the plan: the code holds numbers of registers alone.

Operations, keywords and values are looked up in the code's own namespace, where nothing else is. Such code is three
times faster than walking the records, and drops each register after its last use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import CATALOG, Operation
from fedzmq.operations.guards.guard import Guard, leaves
from fedzmq.plans.plan import Plan
from fedzmq.tensors.buffers import restore
from fedzmq.wire.messages import TensorSpec

MOST_BYTES = 1 << 33  # of one result
Step = Callable[..., tuple[torch.Tensor, ...]]


def compile_plan(plan: Plan, most_bytes: int = MOST_BYTES) -> Step:
    """`step(rows, *parameters, *buffers, *columns, *constants)` gives the outputs in the plan's order.

    `rows` is the number of examples in the batch. Buffers are changed in place, as the recorded program did. The plan
    has been checked; what its arguments hold has not, and raises ProtocolError or OperationRefused. A result of more
    than `most_bytes` is refused where the arguments tell its size.
    """
    writer = _Writer(most_bytes)
    for record in plan.records:
        writer.add(record)
    return writer.step(plan.given, [output.register for output in plan.outputs])


def constants(plan: Plan) -> list[torch.Tensor]:
    """The constants anew for every task: a plan may write to them, and no task is to see what another wrote."""
    return [restore(TensorSpec(each.dtype, each.shape, 0), each.data) for each in plan.constants]


@dataclass(frozen=True, slots=True)
class _Code:
    """A value that is known only when the code runs."""

    text: str


class _Writer:
    """Writes a line for each record, and remembers which was the last to use a register."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lines: list[str] = []
        self._last_use: dict[int, int] = {}
        self._names: dict[str, Any] = {"__builtins__": {}, "slice": slice, "each": _each}
        self._scope = Scope(lookup=self._register, batch=lambda times: _Code(f"rows * {times:d}"))

    def add(self, record: Sequence[Any]) -> None:
        number, result, mask, values = record[:4]
        arguments = [
            self._register(value) if mask >> index & 1 else unpack(value, self._scope)
            for index, value in enumerate(values)
        ]
        texts = [self._text(argument) for argument in arguments]
        if len(record) == 5 and record[4]:
            keywords = unpack_keywords(record[4], self._scope).items()
            texts.append("**{" + ", ".join(f"{self._text(key)}: {self._text(value)}" for key, value in keywords) + "}")
        call = f"{self._operation(number)}({', '.join(texts)})"
        if type(result) is int:
            self._lines.append(f"{self._fill(result)} = {call}")
        else:
            targets = "".join(f"{self._fill(register)}, " for register in result)
            self._lines.append(f"({targets}) = each({call}, {len(result)})")

    def step(self, given: int, outputs: Sequence[int]) -> Step:
        parameters = ", ".join(["rows", *(f"r{register}" for register in range(1, given + 1))])
        spent: dict[int, list[str]] = {}
        for register, number in self._last_use.items():
            if register > given and register not in outputs:
                spent.setdefault(number, []).append(f"r{register}")
        body = []
        for number, line in enumerate(self._lines):
            body.append(line)
            if number in spent:
                body.append(f"del {', '.join(spent[number])}")
        body.append(f"return ({''.join(f'r{register}, ' for register in outputs)})")
        source = f"def step({parameters}):\n" + "".join(f"    {line}\n" for line in body)
        exec(compile(source, "<plan>", "exec"), self._names)
        step: Step = self._names["step"]
        return step

    def _register(self, register: int) -> _Code:
        self._last_use[register] = len(self._lines)
        return _Code(f"r{register:d}")

    def _fill(self, register: int) -> str:
        return self._register(register).text if register else "_"

    def _text(self, value: Any) -> str:
        if isinstance(value, _Code):
            return value.text
        if type(value) is list:
            return "[" + ", ".join(map(self._text, value)) + "]"
        if type(value) is tuple:
            return "(" + "".join(f"{self._text(item)}, " for item in value) + ")"
        if type(value) is slice:
            return f"slice({self._text(value.start)}, {self._text(value.stop)}, {self._text(value.step)})"
        name = f"v{len(self._names)}"
        self._names[name] = value
        return name

    def _operation(self, number: int) -> str:
        name = f"f{number:d}"
        if name not in self._names:
            function, guard = CATALOG.function(number), CATALOG.guard(number)
            self._names[name] = function if guard is None else _guarded(function, guard, self._most_bytes)
        return name


def _guarded(function: Operation, guard: Guard, most_bytes: int) -> Operation:
    def guarded(*arguments: Any, **keywords: Any) -> Any:
        guard(most_bytes, arguments, keywords)
        return function(*arguments, **keywords)

    return guarded


def _each(output: Any, count: int) -> list[torch.Tensor]:
    """The tensors of an output, however they are nested."""
    tensors = [value for value in leaves(output) if isinstance(value, torch.Tensor)]
    if len(tensors) != count:
        raise PlanError(f"an operation of the plan gave {len(tensors)} tensors, and {count} were recorded")
    return tensors

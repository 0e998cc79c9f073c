"""A plan as plain Python: torch.fx writes the code, and nothing of the plan but numbers and constants gets into it.

Straight-line code is three times faster than walking the records, and drops each register after its last use.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from fedzmq.operations.arguments import Scope, unpack
from fedzmq.operations.catalog import CATALOG, Operation
from fedzmq.operations.guards.guard import Guard
from fedzmq.plans.plan import Plan
from fedzmq.tensors.buffers import restore
from fedzmq.wire.messages import TensorSpec

MOST_BYTES = 1 << 33  # of one result
Step = Callable[..., tuple[torch.Tensor, ...]]


def compile_plan(plan: Plan, most_bytes: int = MOST_BYTES) -> Step:
    """`step(rows, *parameters, *buffers, *columns)` gives the outputs in the plan's order. The plan has been checked.

    `rows` is the number of examples in the batch. Buffers are changed in place, as the recorded program did. A result
    of more than `most_bytes` is refused where the arguments tell its size.
    """
    writer = _Writer(most_bytes)
    given = plan.given - len(plan.constants)
    for register in range(1, given + 1):
        writer.registers[register] = writer.graph.placeholder(f"r{register}")
    for register, constant in enumerate(plan.constants, given + 1):
        tensor = restore(TensorSpec(constant.dtype, constant.shape, 0), constant.data)
        writer.registers[register] = writer.constant(f"constant{register}", tensor)
    for record in plan.records:
        writer.add(record)
    writer.graph.output(tuple(writer.registers[output.register] for output in plan.outputs))
    step: Step = fx.GraphModule(writer.root, writer.graph).forward
    return step


class _Writer:
    """Writes the graph, record by record. fx's own nodes stand for the tensors that a record names."""

    def __init__(self, most_bytes: int) -> None:
        self.graph = fx.Graph()
        self.root = torch.nn.Module()
        self.registers: dict[int, fx.Node] = {}
        self._most_bytes = most_bytes
        self._rows = self.graph.placeholder("rows")
        self._scope = Scope(lookup=self.registers.__getitem__, batch=self._times_rows)

    def constant(self, name: str, tensor: torch.Tensor) -> fx.Node:
        self.root.register_buffer(name, tensor)
        return self.graph.get_attr(name)

    def add(self, record: Sequence[Any]) -> None:
        number, result, mask, values = record[:4]
        args = tuple(
            self.registers[value] if mask >> index & 1 else unpack(value, self._scope)
            for index, value in enumerate(values)
        )
        keywords = {key: unpack(value, self._scope) for key, value in record[4].items()} if len(record) == 5 else {}
        node = self.graph.call_function(self._callable(number), args, keywords)
        if type(result) is int:
            if result:
                self.registers[result] = node
            return
        for index, register in enumerate(result):
            if register:
                self.registers[register] = self.graph.call_function(operator.getitem, (node, index))

    def _callable(self, number: int) -> Operation:
        """What the code is to call: the operation itself, unless somebody has to look at the arguments first."""
        function, guard = CATALOG.function(number), CATALOG.guard(number)
        if guard is not None:
            return _guarded(function, guard, self._most_bytes)
        return function if getattr(function, "__module__", None) else _named(function)

    def _times_rows(self, times: int) -> fx.Node:
        return self.graph.call_function(operator.mul, (self._rows, times))


def _guarded(function: Operation, guard: Guard, most_bytes: int) -> Operation:
    def guarded(*args: Any, **keywords: Any) -> Any:
        guard(most_bytes, args, keywords)
        return function(*args, **keywords)

    return guarded


def _named(function: Operation) -> Operation:
    """fx asks a function for its module, which the getter of a property does not have."""

    def named(*args: Any, **keywords: Any) -> Any:
        return function(*args, **keywords)

    return named

"""The tensors of a recording, numbered as those of a plan: inputs, then constants, then what the operations make.

A tensor of the program's own is a constant of the plan. One as large as the batch cannot be; if it holds one value
throughout, as the zeros that a recurrent network starts from, an operation makes it anew for every batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import Constant
from fedzmq.recording.tracing import Recording
from fedzmq.tensors.buffers import restore
from fedzmq.wire.limits import ITEM_SIZES
from fedzmq.wire.messages import TensorSpec

Record = list[Any]


class Registers:
    """Renumbers the records that `first` and `second`, of batches of different size, were merged to.

    In those, a number as large as the batch is `{"b": times}`, also in the shape of a constant.
    """

    def __init__(self, first: Recording, second: Recording) -> None:
        self.constants: list[Constant] = []
        self._places: dict[Constant, int] = {}
        self._inputs = len(first.inputs)
        self._first = first.constants
        self._second = second.constants
        self._made = 0
        self._pending: list[Record] = []

    def register(self, id: int) -> int:
        """Every constant has a register kept free for it, whether it turns out to be one or is made by an operation."""
        return id if id <= self._inputs else id + len(self._first)

    def records(self, merged: list[Record], origins: tuple[str, ...]) -> Iterator[Record]:
        """The records with new numbers. Raises PlanError, which names the line."""
        for record, line in zip(merged, origins, strict=True):
            try:
                moved = self._record(record)
            except _NotConstant as error:
                raise PlanError(
                    f"a tensor that the model makes itself{f' at {line}' if line else ''} {error}, and a plan holds "
                    "fixed ones; make it of the model's input, as by torch.zeros_like, torch.rand_like or x.new_full"
                ) from None
            yield from self._pending
            self._pending = []
            yield moved

    def _record(self, record: Record) -> Record:
        operation, result, mask, arguments, *keywords = record
        given = [
            self.register(each) if mask >> index & 1 else self._value(each) for index, each in enumerate(arguments)
        ]
        results = [self._result(each) for each in result] if isinstance(result, list) else self._result(result)
        return [operation, results, mask, given, *({k: self._value(v) for k, v in each.items()} for each in keywords)]

    def _result(self, id: int) -> int:
        return self.register(id) if id else 0

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if not isinstance(value, dict):
            return value
        ((key, content),) = value.items()
        if key == "p":
            return {"p": self.register(content)}
        if key == "x":
            return {"p": self._own(*content)}
        return {key: self._value(content)}

    def _own(self, dtype: str, shape: list[Any], number: int) -> int:
        one, other = bytes(self._first[number]), bytes(self._second[number])
        if any(isinstance(extent, dict) for extent in shape):
            item = one[: ITEM_SIZES[dtype]]
            if any(data != item * (len(data) // len(item)) for data in (one, other) if data):
                raise _NotConstant("has a size that depends on the number of examples in a batch")
            return self._full(dtype, shape, item)
        if one != other:
            raise _NotConstant("depends on the number of examples in a batch, or on chance")
        constant = Constant(dtype, tuple(shape), one)
        if constant not in self._places:
            self.constants.append(constant)
            self._places[constant] = self._inputs + len(self.constants)
        return self._places[constant]

    def _full(self, dtype: str, shape: list[Any], item: bytes) -> int:
        """Of the registers kept for constants, those fill up from below and these from above."""
        register = self._inputs + len(self._first) - self._made
        self._made += 1
        number = restore(TensorSpec(dtype, (1,), 0), item).item() if item else 0
        value = {"c": [number.real, number.imag]} if isinstance(number, complex) else number
        self._pending.append([CATALOG.number(torch.full), register, 0, [{"t": shape}, value], {"dtype": {"d": dtype}}])
        return register


class _NotConstant(Exception):
    """What is wrong with a tensor of the program's own."""

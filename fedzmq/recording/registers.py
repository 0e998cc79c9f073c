"""The tensors of a recording, numbered as those of a plan: inputs, then constants, then what the operations make.

A tensor of the program's own is a constant of the plan. One that depends on how large the batch is cannot be; if it
holds one value throughout, as the zeros that a recurrent network starts from, or counts, or is the same for every
example, as a mask that was spread over them, an operation makes it anew for every batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.rules import of_size
from fedzmq.plans.plan import BackwardBody, Constant, Lowered
from fedzmq.recording.batch_rows import Sized
from fedzmq.recording.fitting import fitting
from fedzmq.tensors.buffers import export, restore
from fedzmq.wire.limits import ITEM_SIZES
from fedzmq.wire.messages import TensorSpec

Record = list[Any]


class Registers:
    """Renumbers the records that these recordings, of batches of different size, were merged to.

    In those, a number as large as the batch is `{"b": times}`, also in the shape of a constant.
    """

    def __init__(self, sized: Sequence[Sized]) -> None:
        self.constants: list[Constant] = []
        self._places: dict[Constant, int] = {}
        first, _ = sized[0]
        self._inputs = len(first.inputs)
        self._most = 2 * len(first.constants)
        self._own_tensors = [recording.constants for recording, _ in sized]
        self._rows = [rows for _, rows in sized]
        self.lowered: list[Lowered] = []
        self._lower = first.lowered or (None,) * len(first.records)
        self.backwards: list[BackwardBody] = []
        self._backwards = first.backwards
        self._made = 0
        self._pending: list[Record] = []

    def register(self, id: int) -> int:
        """Every constant has two registers kept free for it, as it may be one, or made by an operation, of another."""
        return id if id <= self._inputs else id + self._most

    def records(self, merged: list[Record], origins: tuple[str, ...]) -> Iterator[Record]:
        """The records with new numbers. Raises PlanError, which names the line."""
        place = 0
        places: list[int] = []
        for record, line, lower in zip(merged, origins, self._lower, strict=True):
            try:
                moved = self._record(record)
            except NotConstant as error:
                raise PlanError(
                    f"a tensor that the model makes itself{f' at {line}' if line else ''} {error}, and a plan holds "
                    "fixed ones; make it of the model's input, as by torch.zeros_like, torch.rand_like or x.new_full"
                ) from error
            yield from self._pending
            place += len(self._pending)
            self._pending = []
            self._note(place, lower)
            places.append(place)
            place += 1
            yield moved
        self.backwards = [self._moved(each, places) for each in self._backwards]

    def _moved(self, backward: BackwardBody, places: list[int]) -> BackwardBody:
        """Where it is among the records, of which there are more now."""
        last = places[backward.place + backward.count]
        results = tuple([self._result(each) for each in backward.results])
        return BackwardBody(places[backward.place], last - places[backward.place], results)

    def _note(self, place: int, lower: str | None) -> None:
        if lower is None:
            return
        last = self.lowered[-1] if self.lowered else None
        if last is not None and last.dtype == lower and last.first + last.count == place:
            self.lowered[-1] = replace(last, count=last.count + 1)
        else:
            self.lowered.append(Lowered(place, 1, lower))

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
        if key == "n":
            return {"n": [self.register(content[0]), *content[1:]]}
        if key == "b":
            return value
        if key == "x":
            return {"p": self._own(*content)}
        return {key: self._value(content)}

    def _own(self, dtype: str, shape: list[Any], number: int) -> int:
        found = [bytes(constants[number]) for constants in self._own_tensors]
        grows = any(isinstance(extent, dict) for extent in shape)
        if grows or any(each != found[0] for each in found):
            made = self._filled(dtype, shape, found) or self._counted(dtype, shape, found)
            made = made or self._repeated(dtype, shape, found)
            if made is None:
                raise NotConstant(f"{'has a size that' if grows else 'is one that'} depends on the number of examples")
            return made
        return self._constant(Constant(dtype, tuple(shape), found[0]))

    def _constant(self, constant: Constant) -> int:
        if constant not in self._places:
            self.constants.append(constant)
            self._places[constant] = self._inputs + len(self.constants)
        return self._places[constant]

    def _filled(self, dtype: str, shape: list[Any], found: Sequence[bytes]) -> int | None:
        """Where it holds one number throughout, which may depend on the rows."""
        size = ITEM_SIZES[dtype]
        if any(data != data[:size] * (len(data) // size) for data in found):
            return None
        numbers = [restore(TensorSpec(dtype, (1,), 0), data[:size]).item() if data else 0 for data in found]
        value: Any = numbers[0]
        if any(repr(each) != repr(value) for each in numbers):
            rule = fitting(numbers, self._rows)
            if rule is None:
                return None
            value = {"b": rule if isinstance(rule, int) else list(rule)}
        elif isinstance(value, complex):
            value = {"c": [value.real, value.imag]}
        return self._make([CATALOG.number(torch.full), 0, 0, [{"t": shape}, value], {"dtype": {"d": dtype}}])

    def _counted(self, dtype: str, shape: list[Any], found: Sequence[bytes]) -> int | None:
        """Where it holds 0, 1, 2, ... for as many as there are."""
        if len(shape) != 1 or dtype not in ("int64", "int32"):
            return None
        for data in found:
            length = len(data) // ITEM_SIZES[dtype]
            if restore(TensorSpec(dtype, (length,), 0), data).tolist() != list(range(length)):
                return None
        return self._make([CATALOG.number(torch.arange), 0, 0, [shape[0]], {"dtype": {"d": dtype}}])

    def _repeated(self, dtype: str, shape: list[Any], found: Sequence[bytes]) -> int | None:
        """Where it is the same all along the extents that depend on the rows."""
        rules = [extent.get("b") if isinstance(extent, dict) else 0 for extent in shape]
        if None in rules:
            return None
        ones: list[torch.Tensor] = []
        for data, rows in zip(found, self._rows, strict=True):
            extents = [of_size(rule, rows) if rule else extent for rule, extent in zip(rules, shape, strict=True)]
            tensor = restore(TensorSpec(dtype, tuple(map(int, extents)), 0), data)
            one = tensor[tuple([slice(1) if rule else slice(None) for rule in rules])]
            if not tensor.numel() or not torch.equal(one.expand_as(tensor), tensor):
                return None
            ones.append(one)
        if any(not torch.equal(each, ones[0]) for each in ones):
            return None
        constant = self._constant(Constant(dtype, tuple(ones[0].shape), bytes(export(ones[0].contiguous())[2])))
        times = [extent if rule else 1 for rule, extent in zip(rules, shape, strict=True)]
        return self._make([CATALOG.number(torch.Tensor.repeat), 0, 1, [constant, {"t": times}]])

    def _make(self, record: Record) -> int:
        """Of the registers kept for constants, those fill up from below and these from above."""
        register = self._inputs + self._most - self._made
        self._made += 1
        self._pending.append([record[0], register, *record[2:]])
        return register


class NotConstant(Exception):
    """What is wrong with a tensor of the program's own."""

"""Which tensors of a recording hold the same values: those that the same operation gave of the same operands.

A number stands for a value. What is drawn by chance is like nothing else, and what is written to is another value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.outbox import Record
from fedzmq.wire.apply import results_of

_AS_MANY = frozenset(
    f"{home}.{name}"
    for home in ("torch", "Tensor")
    for name in [
        "view",
        "reshape",
        "flatten",
        "ravel",
        "unsqueeze",
        "squeeze",
        "contiguous",
        "clone",
        "detach",
        "t",
        "permute",
        "transpose",
        "bool",
    ]
)
_Value = tuple[int, int]


class Values:
    """The numbers of a recording's tensors. `base` gives the tensor whose memory one shares."""

    def __init__(self, base: Callable[[int], int]) -> None:
        self._base = base
        self._numbers: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._table: dict[Hashable, int] = {}
        self._like: dict[int, tuple[_Value, _Value]] = {}

    def of(self, id: int) -> _Value:
        """Equal for two tensors that hold the same."""
        number = self._numbers.setdefault(id, len(self._numbers))
        return number, self._written.get(self._base(id), 0)

    def truths(self, id: int) -> _Value:
        """Equal for two tensors of which as many elements are true, whatever their shapes."""
        then, like = self._like.get(id, (None, self.of(id)))
        return like if then == self.of(id) else self.of(id)

    def write(self, id: int) -> None:
        self._written[self._base(id)] = self._written.get(self._base(id), 0) + 1

    def note(self, record: Record, constants: Sequence[bytes]) -> None:
        """An operation gave what its record names."""
        operation, _, mask, arguments, *keywords = record
        results = results_of(record)
        known = [
            self.of(each) if mask >> index & 1 else self._seen(each, constants) for index, each in enumerate(arguments)
        ]
        named = [(name, self._seen(each, constants)) for part in keywords for name, each in sorted(part.items())]
        key = (operation, tuple(known), tuple(named))
        for place, id in enumerate(results):
            if not id:
                continue
            fresh = len(self._numbers) + len(self._table) + 1_000_000_000
            is_new = CATALOG.is_random(operation)
            self._numbers[id] = fresh if is_new else self._table.setdefault((key, place), fresh)
        if mask & 1 and results[0] and CATALOG.name(operation) in _AS_MANY and not _names_a_dtype(arguments, *keywords):
            self._same_truths(results[0], arguments[0])

    def _same_truths(self, id: int, source: int) -> None:
        self._like[id] = (self.of(id), self.truths(source))

    def _seen(self, value: Any, constants: Sequence[bytes]) -> Hashable:
        if isinstance(value, (list, tuple)):
            return tuple([self._seen(each, constants) for each in value])
        if not isinstance(value, dict):
            return repr(value)
        ((key, content),) = value.items()
        if key == "p":
            return self.of(content)
        if key == "x":
            dtype, shape, number = content
            return dtype, tuple(shape), constants[number]
        return key, self._seen(content, constants)


def _names_a_dtype(arguments: Sequence[Any], *keywords: dict[str, Any]) -> bool:
    """A view as another dtype has other elements."""
    values = [*arguments, *(each for part in keywords for each in part.values())]
    return any(isinstance(each, dict) and "d" in each for each in values)

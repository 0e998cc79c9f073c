"""Two recordings of one function, on batches of different size, made into one that holds for any.

A number that grows with the batch is a multiple of its rows. What differs in any other way cannot be said in a plan.
"""

from __future__ import annotations

from typing import Any

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.recording.tracing import Recording

_ONE_LIST = "a plan is one list of operations for any batch; use torch.where and masks instead of branches"


def generalise(first: Recording, first_rows: int, second: Recording, second_rows: int) -> list[list[Any]]:
    """The records of both, with `{"b": k}` for k times the rows. Raises PlanError, which names the line."""
    sizes = f"{first_rows} and {second_rows} examples"
    for one, other, line in zip(first.records, second.records, first.origins, strict=False):
        if one[0] != other[0]:
            names = f"{CATALOG.name(one[0])} and {CATALOG.name(other[0])}"
            raise PlanError(f"the model does {names}{_at(line)} for {sizes}: {_ONE_LIST}")
    if len(first.records) != len(second.records):
        counts = f"{len(first.records)} and {len(second.records)}"
        raise PlanError(f"the model does {counts} operations for {sizes}: {_ONE_LIST}")
    merged = []
    for one, other, line in zip(first.records, second.records, first.origins, strict=True):
        try:
            merged.append(_merge(list(one), list(other), first_rows, second_rows))
        except _Different as difference:
            raise PlanError(
                f"{CATALOG.name(one[0])}{_at(line)} depends on the number of examples in a batch in a way that a plan "
                f"cannot say: {difference} for {sizes}{difference.hint}"
            ) from None
    return merged


def _at(line: str) -> str:
    return f" at {line}" if line else ""


class _Different(Exception):
    """Two values that no multiple of the rows explains, and the way out where there is one."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def _merge(one: Any, other: Any, rows: int, other_rows: int) -> Any:
    if type(one) is not type(other):
        raise _Different(f"{one!r:.60} and {other!r:.60}")
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            raise _Different(f"{len(one)} and {len(other)} values")
        return [_merge(a, b, rows, other_rows) for a, b in zip(one, other, strict=True)]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            raise _Different(f"{one!r:.60} and {other!r:.60}")
        return {key: _merge(one[key], other[key], rows, other_rows) for key in one}
    if one == other or (one != one and other != other):
        return one
    if type(one) is int and one > 0 and one % rows == 0 and one * other_rows == other * rows:
        return {"b": one // rows}
    hint = "; make the number of examples a tensor first: torch.full((), len(x))" if type(one) is float else ""
    raise _Different(f"{one!r} and {other!r}", hint)

"""Two recordings of one function, on batches of different size, made into one that holds for any.

A number that depends on the batch is a multiple of its rows, or follows another simple rule: see
`fedzmq.operations.arguments.of_rows`. What differs in any other way cannot be said in a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isclose
from typing import Any

from fedzmq.errors import PlanError
from fedzmq.operations.arguments import Rule, of_rows
from fedzmq.operations.catalog import CATALOG
from fedzmq.recording.tracing import Recording

_POWERS = (0.5, -0.5, -1.0, -2.0, 1.0, 2.0)
_ONE_LIST = "a plan is one list of operations for any batch; use torch.where and masks instead of branches"


def generalise(
    first: Recording,
    first_rows: int,
    second: Recording,
    second_rows: int,
    third: Callable[[], tuple[Recording, int]] | None = None,
) -> list[list[Any]]:
    """The records of both, with `{"b": k}` for k times the rows. Raises PlanError, which names the line.

    A number that is no multiple of them, such as the rows less one, takes a `third` recording to tell its rule by.
    """
    sizes = f"{first_rows} and {second_rows} examples"
    for one, other, line in zip(first.records, second.records, first.origins, strict=False):
        if one[0] != other[0]:
            names = f"{CATALOG.name(one[0])} and {CATALOG.name(other[0])}"
            raise PlanError(f"the model does {names}{_at(line)} for {sizes}: {_ONE_LIST}")
    if len(first.records) != len(second.records):
        counts = f"{len(first.records)} and {len(second.records)}"
        raise PlanError(f"the model does {counts} operations for {sizes}: {_ONE_LIST}")
    merged = []
    last: tuple[Recording, int] | None = None
    for place, (one, other, line) in enumerate(zip(first.records, second.records, first.origins, strict=True)):
        both = [list(one), list(other)]
        try:
            try:
                merged.append(_merge(both, [first_rows, second_rows]))
            except _Different:
                if third is None:
                    raise
                last = last or third()
                if [each[0] for each in last[0].records] != [each[0] for each in first.records]:
                    raise
                merged.append(_merge([*both, list(last[0].records[place])], [first_rows, second_rows, last[1]]))
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


def _merge(values: Sequence[Any], rows: Sequence[int]) -> Any:
    one, other = values[:2]
    if len({type(each) for each in values}) > 1:
        raise _Different(f"{one!r:.60} and {other!r:.60}")
    if isinstance(one, (list, tuple)):
        if len({len(each) for each in values}) > 1:
            raise _Different(f"{len(one)} and {len(other)} values")
        return [_merge(each, rows) for each in zip(*values, strict=True)]
    if isinstance(one, dict):
        if any(each.keys() != one.keys() for each in values):
            raise _Different(f"{one!r:.60} and {other!r:.60}")
        return {key: _merge([each[key] for each in values], rows) for key in one}
    if all(each == one or (each != each and one != one) for each in values):
        return one
    if type(one) is int and one > 0 and one % rows[0] == 0 and _fits(one // rows[0], values, rows):
        return {"b": one // rows[0]}
    if len(values) > 2 and type(one) in (int, float):
        for rule in _rules(values, rows):
            if _fits(rule, values, rows):
                return {"b": list(rule)}
    hint = "; make the number of examples a tensor first: torch.full((), len(x))" if type(one) is float else ""
    raise _Different(f"{one!r} and {other!r}", hint)


def _fits(rule: Rule, values: Sequence[Any], rows: Sequence[int]) -> bool:
    """Exactly, but for the last digit of a float."""
    found = [of_rows(rule, count) for count in rows]
    return all(
        a == b or (type(b) is float and isclose(a, b, rel_tol=1e-12)) for a, b in zip(found, values, strict=True)
    )


def _rules(values: Sequence[Any], rows: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """What goes through the first two: n - 1, n * (n - 1), the root of n, 1 / n, and the like."""
    (u, v), (m, n), kind = values[:2], rows[:2], type(values[0])
    linear = (v - u) / (n - m)
    square = (v / n - u / m) / (n - m)
    for rule in ((u - linear * m, linear, 0), (0, u / m - square * m, square)):
        if all(isclose(each, round(each), abs_tol=1e-9) for each in rule):
            yield tuple(kind(round(each)) for each in rule)
    if kind is float:
        for power in _POWERS:
            factor = u / m**power
            yield (float(round(factor)) if isclose(factor, round(factor), rel_tol=1e-12) else factor, power)

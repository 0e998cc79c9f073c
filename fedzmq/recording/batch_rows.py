"""Recordings of one function, on batches of different sizes, made into one that holds for any.

A number that depends on the batch is a multiple of its rows, or follows another rule: see `fedzmq.operations.rules`.
What differs in any other way cannot be said in a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.rules import Rule
from fedzmq.recording.fitting import fitting
from fedzmq.recording.tracing import Recording

_ONE_LIST = "a plan is one list of operations for any batch; use torch.where and masks instead of branches"

Sized = tuple[Recording, int]
"""A recording, and the number of examples that it was made for."""


def generalise(sized: Sequence[Sized], further: Callable[[], Sequence[Sized]] = lambda: ()) -> list[list[Any]]:
    """The records of all, with `{"b": rule}` for a number that depends on the rows. Raises PlanError with the line.

    A number that is no multiple of the rows takes `further` recordings to tell its rule by. All of `sized` do the same
    operations, and so do those of the further ones that count.
    """
    first = sized[0][0]
    all_sized = list(sized)
    merged: list[list[Any]] = []
    has_all = False
    for place, line in enumerate(first.origins):
        try:
            try:
                merged.append(_merge_record(all_sized, place))
            except _Different:
                if has_all:
                    raise
                has_all = True
                all_sized += [each for each in further() if does_the_same(first, each[0])]
                merged.append(_merge_record(all_sized, place))
        except _Different as difference:
            raise PlanError(
                f"{CATALOG.name(first.records[place][0])}{_at(line)} depends on the number of examples in a batch in a "
                f"way that a plan cannot say: {difference.text([rows for _, rows in all_sized])}{difference.hint}"
            ) from None
    return merged


def does_the_same(one: Recording, other: Recording) -> bool:
    """The same operations in the same order, on as many sizes that only values tell."""
    same = [each[0] for each in one.records] == [each[0] for each in other.records]
    same = same and one.backwards == other.backwards
    return same and one.lowered == other.lowered and len(one.unknown) == len(other.unknown)


def check_alike(one: Sized, another: Sized, sizes: str = "") -> None:
    """Raises PlanError, with the line, where the two do not do the same operations for `sizes` of something."""
    (first, first_rows), (second, second_rows) = one, another
    sizes = sizes or f"{first_rows} and {second_rows} examples"
    longer = max(first, second, key=lambda each: len(each.records))
    for a, b, line in zip(first.records, second.records, longer.origins, strict=False):
        if a[0] != b[0]:
            names = f"{CATALOG.name(a[0])} and {CATALOG.name(b[0])}"
            raise PlanError(f"the model does {names}{_at(line)} for {sizes}: {_ONE_LIST}")
    if len(first.records) == len(second.records) and first.lowered != second.lowered:
        raise PlanError(f"the model uses autocast in other places for {sizes}: {_ONE_LIST}")
    if len(first.records) == len(second.records) and first.backwards != second.backwards:
        raise PlanError(f"a backward of the model's own gives other gradients for {sizes}: {_ONE_LIST}")
    if len(first.unknown) != len(second.unknown):
        raise PlanError(f"the model chooses by other masks for {sizes}: {_ONE_LIST}")
    if len(first.records) != len(second.records):
        counts = f"{len(first.records)} and {len(second.records)}"
        shorter = min(len(first.records), len(second.records))
        line = longer.origins[shorter]
        raise PlanError(f"the model does {counts} operations for {sizes}{_at(line)}: {_ONE_LIST}")


def _at(line: str) -> str:
    return f" at {line}" if line else ""


class _Different(Exception):
    """Values that no rule explains, one for each size, and the way out where there is one."""

    def __init__(self, values: Sequence[str], hint: str = "") -> None:
        self.values = values
        self.hint = f"; {hint}" if hint else ""

    def text(self, rows: Sequence[int]) -> str:
        place = next(index for index, value in enumerate(self.values) if value != self.values[0])
        both = f"{self.values[0]} and {self.values[place]}"
        if rows[0] == rows[place]:
            return f"{both} for {rows[0]} examples, of which masks choose other numbers"
        return f"{both} for {rows[0]} and {rows[place]} examples"


def _merge_record(sized: Sequence[Sized], place: int) -> list[Any]:
    first = sized[0][0]
    extents = [
        ((each.id, each.dimension), [recording.unknown[number].size for recording, _ in sized])
        for number, each in enumerate(first.unknown)
    ]
    merging = _Merging([rows for _, rows in sized], extents)
    merged: list[Any] = merging.of([list(recording.records[place]) for recording, _ in sized])
    return merged


class _Merging:
    """Makes one value of those in several recordings, whose rows and unknown extents these are."""

    def __init__(self, rows: Sequence[int], extents: Sequence[tuple[tuple[int, int], Sequence[int]]]) -> None:
        self._rows = rows
        self._extents = extents

    def of(self, values: Sequence[Any]) -> Any:
        one = values[0]
        if len({type(each) for each in values}) > 1:
            raise _Different([f"{each!r:.60}" for each in values])
        if isinstance(one, (list, tuple)):
            if len({len(each) for each in values}) > 1:
                hint = "make a tensor of them, as by torch.arange(len(x))"
                raise _Different([f"{len(each)} values" for each in values], hint)
            return [self.of(each) for each in zip(*values, strict=True)]
        if isinstance(one, dict):
            if any(each.keys() != one.keys() for each in values):
                raise _Different([f"{each!r:.60}" for each in values])
            return {key: self.of([each[key] for each in values]) for key in one}
        if all(each == one or (each != each and one != one) for each in values):
            return one
        return self._ruled(values)

    def _ruled(self, values: Sequence[Any]) -> Any:
        rule = fitting(values, self._rows)
        if rule is not None:
            return {"b": _plain(rule)}
        found = [(place, rule) for place, sizes in self._extents if (rule := fitting(values, sizes)) is not None]
        if not found or any(one[1] != found[0][1] for one in found):
            hint = "make the number of examples a tensor first: torch.full((), len(x))"
            raise _Different([repr(each) for each in values], hint if type(values[0]) is float else "")
        if len(found) > 1:
            raise _Different(
                [repr(each) for each in values], "as many are chosen by several masks; use one mask for all"
            )
        ((id, dimension), rule) = found[0]
        return {"n": [id, dimension, _plain(rule)]}


def _plain(rule: Rule) -> Any:
    return rule if isinstance(rule, int) else list(rule)

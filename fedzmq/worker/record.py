"""What the record of an operation names: the tensors that it uses, and those that it writes to.

What lies deeper than arguments may nest is not looked at: no operation runs with it, and it could lie deeper than a
process can follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedzmq.operations.catalog import Catalog
from fedzmq.wire.limits import MAX_ARGUMENT_DEPTH

_DEEPEST = 2 * (MAX_ARGUMENT_DEPTH + 1)  # lists and maps: a tuple is a list in a map


def operands(record: list[Any]) -> Iterator[int]:
    """The ids of the tensors among the arguments, however deep."""
    mask = record[2]
    for position, value in enumerate(record[3]):
        yield from _references(value, bool(mask >> position & 1))
    if len(record) == 5:
        yield from _references(list(record[4].values()), False)


def written(record: list[Any], catalog: Catalog) -> Iterator[int]:
    """The ids of the tensors that the operation writes to. Without a result it writes to its first argument."""
    number, result, mask, arguments = record[:4]
    keywords = record[4] if len(record) == 5 else {}
    if number >= len(catalog):
        return
    for position in catalog.writes_now(number, arguments, keywords) or ((0,) if result == 0 else ()):
        if position < len(arguments):
            yield from _references(arguments[position], bool(mask >> position & 1))
        else:
            yield from _references(list(keywords.values()), False)


def _references(value: Any, is_id: bool, depth: int = 0) -> Iterator[int]:
    if is_id:
        if type(value) is int:
            yield value
    elif depth > _DEEPEST:
        return
    elif type(value) is list:
        for item in value:
            yield from _references(item, False, depth + 1)
    elif type(value) is dict:
        for key, item in value.items():
            yield from _references(item, key == "p", depth + 1)

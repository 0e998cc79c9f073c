"""What a guard is: it sees an operation's arguments before the operation does, and raises to refuse them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from fedzmq.errors import LimitExceeded

Arguments = Sequence[Any]
Keywords = Mapping[str, Any]
Guard = Callable[[int, Arguments, Keywords], None]
"""The int is the most bytes that one result may take."""
Operation = Callable[..., Any]
MakeGuard = Callable[[str, Operation], Guard]
"""Of an operation, by its name in the list."""


def pick(arguments: Arguments, keywords: Keywords, position: int, keyword: str, default: Any = None) -> Any:
    """An argument, however it was given."""
    return arguments[position] if len(arguments) > position else keywords.get(keyword, default)


def each(*makers: MakeGuard) -> MakeGuard:
    """Makes a guard that is several, one after another."""

    def make(name: str, function: Operation) -> Guard:
        guards = [maker(name, function) for maker in makers]

        def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
            for one in guards:
                one(limit, arguments, keywords)

        return guard

    return make


def whole(value: Any) -> int | None:
    """The int that torch takes the value for, which a tensor with one element may be too; None where it is none."""
    if isinstance(value, Tensor):
        is_whole = value.numel() == 1 and not value.is_floating_point() and not value.is_complex()
        return int(value) if is_whole else None
    return value if type(value) is int else None


def leaves(value: Any) -> Iterator[Any]:
    """What lists, tuples and maps hold, however deep."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    else:
        yield value


def product(factors: Iterable[int]) -> int:
    """Of factors that are 1 or more. Beyond the largest memory it ends, so that many or large ones cost nothing."""
    total = 1
    for factor in factors:
        total *= factor
        if total > sys.maxsize:
            break
    return total


def extent(value: Tensor) -> int:
    """The number of elements; of a tensor without any, how many there would be were its empty dimensions 1.

    What is made of it may have those.
    """
    return value.numel() or product(max(1, length) for length in value.shape)


def check_bytes(name: str, size: int, limit: int) -> None:
    """Raises LimitExceeded where a result of `size` bytes would be too large."""
    if size > limit:
        raise LimitExceeded(f"the bytes of the result of {name}", size, limit)

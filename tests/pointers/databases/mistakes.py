"""torch's own wrong calls of its operations: what raises here raises the same through pointers, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fedzmq.errors import OperationRefused, RemoteError
from tests.pointers.databases.comparison import Comparison, copied, replaced
from tests.pointers.databases.operations import name_of
from tests.pointers.databases.outcome import Different, Outcome, compared
from tests.pointers.databases.outside import OUTSIDE

# What no longer is wrong once each tensor has been sent by itself, or what no worker could be sent.
_NOT_SENT = ("single memory location", "on the same device", "but got devices", "64 dims")


def outcomes(ops: Sequence[Any]) -> Iterator[Outcome]:
    """Of each operation that has such calls."""
    comparison = Comparison()
    for op in ops:
        if op.error_inputs_func is None or name_of(op) in OUTSIDE:
            continue
        yield compared(name_of(op), _comparisons(comparison, op))


def _comparisons(comparison: Comparison, op: Any) -> Iterator[tuple[str, Callable[[], None]]]:
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        expected = _raised(op, (sample.input, sample.args, sample.kwargs))
        if expected is not None and not any(text in str(expected) for text in _NOT_SENT):
            yield sample.summary(), partial(_compare, comparison, op, sample, expected)


def _compare(comparison: Comparison, op: Any, sample: Any, expected: Exception) -> None:
    given = (sample.input, sample.args, sample.kwargs)
    there = replaced(given, {}, lambda tensor: comparison.send(copied(tensor, True)))
    found = _raised(op, there)
    if found is None or isinstance(found, RemoteError):
        try:
            comparison.place.stream.sync()
        except RemoteError as late:
            found = late
        kind = found.error if isinstance(found, RemoteError) else "nothing"
        if kind != type(expected).__name__:
            raise Different(f"it raises {kind} and not {type(expected).__name__}: {expected}")
        return  # values alone tell, and those are on the worker
    if isinstance(found, OperationRefused):
        raise found
    if type(found) is not type(expected):
        raise Different(f"it raises {type(found).__name__}: {found}, and not {type(expected).__name__}: {expected}")


def _raised(op: Any, given: Any) -> Exception | None:
    first, args, kwargs = given
    try:
        op(first, *args, **kwargs)
    except Exception as error:
        return error
    return None

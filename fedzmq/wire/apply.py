"""The record that applies one operation: by far the most frequent, so it stays a plain list, never an object.

    [operation, result, mask, arguments]    or    [operation, result, mask, arguments, keywords]

`operation` is a number of the catalog. `result` is 0 where nothing new is named, one id, or a list of ids with 0 for
each output that is not kept. Bit i of `mask` says that argument i is the id of a stored tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedzmq.errors import ProtocolError
from fedzmq.wire.kind import brief
from fedzmq.wire.limits import MAX_ARGUMENTS, MAX_INT, MAX_OUTPUTS, check_size

_MOST_MASKS = 1 << MAX_ARGUMENTS


def is_plain_apply(record: list[Any]) -> bool:
    """True for a good record of the commonest form, in one expression; any other goes through `check_apply`."""
    return (
        len(record) == 4
        and type(record[1]) is int
        and type(record[2]) is int
        and type(record[3]) is list
        and 0 <= record[1] <= MAX_INT
        and 0 <= record[2] < 1 << len(record[3]) <= _MOST_MASKS
    )


def check_apply(record: Any) -> list[Any]:
    """The record itself, once its shape is right; what the arguments hold is checked where they are resolved."""
    if type(record) is tuple:
        record = list(record)
    if type(record) is not list or not 4 <= len(record) <= 5:
        raise ProtocolError(f"an operation's record has 4 or 5 elements, not {_length(record)}")
    operation, result, mask, arguments = record[:4]
    if type(operation) is not int or operation < 0:
        raise ProtocolError(f"the number of an operation is an int of 0 or more, not {brief(operation)}")
    if type(result) is not int or not 0 <= result <= MAX_INT:
        _check_results(result)
    if type(arguments) is not list and type(arguments) is not tuple:
        raise ProtocolError(f"the arguments of an operation are an array, not {brief(arguments)}")
    if type(mask) is not int or not 0 <= mask < 1 << len(arguments):
        raise ProtocolError(f"the mask {brief(mask)} does not fit {len(arguments)} arguments")
    if len(arguments) > MAX_ARGUMENTS:
        check_size("the number of arguments", len(arguments), MAX_ARGUMENTS)
    if len(record) == 5:
        _check_keywords(record[4])
    return record


def results_of(record: Sequence[Any]) -> list[int]:
    """The ids that a record names, 0 for each output that is not kept; [0] where nothing new is named."""
    result = record[1]
    return [result] if type(result) is int else list(result)


def _check_results(results: Any) -> None:
    if type(results) is not list and type(results) is not tuple:
        raise ProtocolError(f"the result of an operation is an id or an array of ids, not {brief(results)}")
    check_size("the number of outputs", len(results), MAX_OUTPUTS)
    for result in results:
        if type(result) is not int or not 0 <= result <= MAX_INT:
            raise ProtocolError(f"the id of a result is an int of 0 or more, not {brief(result)}")


def _check_keywords(keywords: Any) -> None:
    if type(keywords) is not dict:
        raise ProtocolError(f"the keyword arguments of an operation are a map, not {brief(keywords)}")
    check_size("the number of keyword arguments", len(keywords), MAX_ARGUMENTS)
    for key in keywords:
        if type(key) is not str:
            raise ProtocolError(f"the name of an argument is a str, not {brief(key)}")


def _length(record: Any) -> str:
    return str(len(record)) if type(record) is list else brief(record)

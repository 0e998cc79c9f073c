"""The kinds of fields that hold no message: numbers, texts, bytes, and arrays and maps of one kind of value."""

from __future__ import annotations

from math import isfinite
from typing import Any

from fedzmq.wire.bounds import AtMost, Between, Finite
from fedzmq.wire.kind import Convert, Kind, Mismatch
from fedzmq.wire.limits import MAX_ARRAY, MAX_INT, MAX_MAP, MAX_TEXT, MIN_INT

# Where the annotation says nothing else.
_WHOLE = Between(MIN_INT, MAX_INT)
_ARRAY = AtMost(MAX_ARRAY)
_MAP = AtMost(MAX_MAP)


def nothing() -> Kind:
    def check(value: Any) -> Any:
        return value

    return Kind(check, check)


def boolean() -> Kind:
    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise Mismatch(value, "a bool")
        return value

    return Kind(check, check)


def integer(between: Between = _WHOLE) -> Kind:
    low, high = between.low, between.high

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Mismatch(value, f"an int from {low} to {high}")
        return value

    return Kind(check, check)


def real(finite: Finite | None = None) -> Kind:
    def decode(value: Any) -> float:
        if type(value) is not float or (finite and not isfinite(value)):
            raise Mismatch(value, "a finite float" if finite else "a float")
        return value

    def encode(value: Any) -> float:
        return decode(float(value) if isinstance(value, (int, float)) and type(value) is not bool else value)

    return Kind(encode, decode)


def text() -> Kind:
    def check(value: Any) -> str:
        # Four bytes at most a character: only a text near the limit is encoded to be measured.
        if type(value) is not str or (4 * len(value) > MAX_TEXT and len(value.encode(errors="replace")) > MAX_TEXT):
            raise Mismatch(value, f"a str of at most {MAX_TEXT} bytes")
        return value

    return Kind(check, check)


def binary(most: AtMost) -> Kind:
    def check(value: Any) -> bytes:
        if type(value) is not bytes or len(value) > most.length:
            raise Mismatch(value, f"at most {most.length} bytes")
        return value

    return Kind(check, check)


def sequence(item: Kind, most: AtMost = _ARRAY) -> Kind:
    expected = f"an array of at most {most.length}"

    def encode(values: Any) -> list[Any]:
        if type(values) not in (list, tuple) or len(values) > most.length:
            raise Mismatch(values, expected)
        return [item.encode(value) for value in values]

    def decode(values: Any) -> tuple[Any, ...]:
        if type(values) is not list or len(values) > most.length:
            raise Mismatch(values, expected)
        return tuple([item.decode(value) for value in values])

    return Kind(encode, decode)


def mapping(item: Kind, most: AtMost = _MAP) -> Kind:
    key_of = text().decode

    def through(convert: Convert) -> Convert:
        def check(values: Any) -> dict[str, Any]:
            if type(values) is not dict or len(values) > most.length:
                raise Mismatch(values, f"a map of at most {most.length}")
            return {key_of(key): convert(value) for key, value in values.items()}

        return check

    return Kind(through(item.encode), through(item.decode))

"""Numbers that depend on a size that is known only when a plan runs, such as the rows of a batch.

A rule is data: a multiple `k`; `(a, b, c)`, which is a + b n + c n^2; `(k, p)`, which is k n^p; or one of the named
forms below. It is evaluated here and nowhere else.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from fedzmq.wire.limits import MAX_INT, MIN_INT

Rule: TypeAlias = int | tuple[Any, ...]

FLOOR = "floor"  # a, b, c, d, low, high: (a + b n + c n^2) // d, within low and high where they are not None
PART = "part"  # f, low, high: int(f n), within low and high
ROUND = "round"  # f, low, high: round(f n), within low and high
POWER = "power"  # k, a, b, c, p: k (a + b n + c n^2)^p
LOGARITHM = "log"  # k, s, c: k log(n + s) + c
_FORMS: dict[str, tuple[tuple[type, ...], ...]] = {
    FLOOR: ((int,), (int,), (int,), (int,), (int, type(None)), (int, type(None))),
    PART: ((float,), (int, type(None)), (int, type(None))),
    ROUND: ((float,), (int, type(None)), (int, type(None))),
    POWER: ((float,), (int,), (int,), (int,), (float,)),
    LOGARITHM: ((float,), (int,), (float,)),
}


def is_rule(content: Any) -> bool:
    """Whether it is a rule, whatever came."""
    if type(content) is int:
        return 0 < content <= MAX_INT
    if type(content) not in (list, tuple) or not content:
        return False
    if any(type(each) is int and not MIN_INT <= each <= MAX_INT for each in content):
        return False
    if type(content[0]) is str:
        kinds = _FORMS.get(content[0])
        parts = content[1:]
        if kinds is None or len(parts) != len(kinds):
            return False
        fits = all(type(part) in kind for part, kind in zip(parts, kinds, strict=True))
        return fits and not (content[0] == FLOOR and content[4] == 0)
    kinds_of = {type(each) for each in content}
    return (len(content) == 3 and kinds_of in ({int}, {float})) or (len(content) == 2 and kinds_of == {float})


def of_size(rule: Rule, size: int) -> int | float:
    """What a rule makes of a size. Raises ArithmeticError or ValueError as the program's own arithmetic would."""
    if isinstance(rule, int):
        return rule * size
    match rule:
        case ("floor", a, b, c, d, low, high):
            return _within((a + b * size + c * size * size) // d, low, high)
        case ("part", factor, low, high):
            return _within(int(factor * size), low, high)
        case ("round", factor, low, high):
            return _within(round(factor * size), low, high)
        case ("power", factor, a, b, c, power):
            return float(factor * math.pow(a + b * size + c * size * size, power))
        case ("log", factor, shift, constant):
            return float(factor * math.log(size + shift) + constant)
        case (factor, power):
            return float(factor * math.pow(size, power))
    constant, linear, square = rule
    value: int | float = constant + linear * size + square * size * size
    return value


def _within(value: int, low: int | None, high: int | None) -> int:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)

"""The rule that a number follows from one size to the next, found from what it was for several.

A rule that fits by chance would train another model than the program does, so a form is tried on as many sizes as tell
its cases apart: `SIZES` has the smallest, ten in a row, sizes at which decimal fractions round down, and large ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fedzmq.operations.rules import FLOOR, LOGARITHM, PART, POWER, ROUND, Rule, of_size

SIZES = (2, 3, 4, 5, 15, 16, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 50, 64, 90, 100, 128, 180, 300)
_ALIKE = 10  # divisors whose every remainder is among the sizes
_LARGEST_DIVISOR = 64
_POWERS = (0.5, -0.5, -1.0, -2.0, 1.0, 2.0)

Number = int | float


def fitting(values: Sequence[Number], sizes: Sequence[int]) -> Rule | None:
    """The simplest rule that all values follow, or None. A bool is no number."""
    if any(type(each) is not type(values[0]) for each in values) or type(values[0]) not in (int, float):
        return None
    return next((rule for rule in _rules(values, sizes) if fits(rule, values, sizes)), None)


def fits(rule: Rule, values: Sequence[Number], sizes: Sequence[int]) -> bool:
    """Exactly, but for the last digit of a float."""
    try:
        found = [of_size(rule, size) for size in sizes]
    except (ArithmeticError, ValueError):
        return False
    return all(
        a == b or (type(b) is float and isinstance(a, float) and math.isclose(a, b, rel_tol=1e-12))
        for a, b in zip(found, values, strict=True)
    )


def _rules(values: Sequence[Number], sizes: Sequence[int]) -> Iterator[Rule]:
    first = values[0]
    if type(first) is int and first > 0 and first % sizes[0] == 0:
        yield first // sizes[0]
    if len(sizes) < 3:
        return
    yield from _polynomials(values, sizes)
    if type(first) is float:
        yield from _powers(values, sizes)
        yield from _logarithms(values, sizes)
    elif len(set(sizes)) > _ALIKE:
        whole = [int(each) for each in values]
        for low, high in _bounds(whole, sizes):
            yield from _floors(whole, sizes, low, high)


def _polynomials(values: Sequence[Number], sizes: Sequence[int]) -> Iterator[Rule]:
    """n - 1, n * (n - 1) and the like, which go through the first two."""
    (u, v), (m, n), kind = values[:2], sizes[:2], type(values[0])
    linear = (v - u) / (n - m)
    square = (v / n - u / m) / (n - m)
    for rule in ((u - linear * m, linear, 0), (0, u / m - square * m, square)):
        if all(math.isclose(each, round(each), abs_tol=1e-9) for each in rule):
            yield tuple(kind(round(each)) for each in rule)


def _powers(values: Sequence[Number], sizes: Sequence[int]) -> Iterator[Rule]:
    """The root of n, 1 / n, 1 / (n - 1), 1 / (n * (n - 1)), with any factor."""
    for shift in (0, -1, 1, -2, 2):
        for power in _POWERS:
            factor = values[0] / (sizes[0] + shift) ** power
            factor = float(round(factor)) if math.isclose(factor, round(factor), rel_tol=1e-12) else factor
            yield (POWER, factor, shift, 1, 0, power) if shift else (factor, power)
    for shift in (-1, 1):
        yield (POWER, values[0] * sizes[0] * (sizes[0] + shift), 0, shift, 1, -1.0)


def _logarithms(values: Sequence[Number], sizes: Sequence[int]) -> Iterator[Rule]:
    for shift in (0, 1, -1):
        one, other = (math.log(size + shift) for size in sizes[:2])
        factor = (values[1] - values[0]) / (other - one)
        factor = float(round(factor)) if math.isclose(factor, round(factor), rel_tol=1e-9) else factor
        constant = values[0] - factor * one
        yield (LOGARITHM, factor, shift, 0.0 if math.isclose(constant, 0.0, abs_tol=1e-12) else constant)


def _bounds(values: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int | None, int | None]]:
    """Where the smallest sizes, or the largest, have one value, that may be a bound."""
    ordered = [value for _, value in sorted(zip(sizes, values, strict=True))]
    lows = [None, ordered[0]] if ordered[0] == ordered[1] or 0 in sizes else [None]
    highs = [None, ordered[-1]] if ordered[-1] == ordered[-2] else [None]
    yield from ((low, high) for low in lows for high in highs)


def _floors(values: Sequence[int], sizes: Sequence[int], low: int | None, high: int | None) -> Iterator[Rule]:
    """n // 2, (n + 1) // 2, n * (n - 1) // 2, int(0.7 * n), min(n, 64), max(1, n // 10) and the like."""
    free = sorted((size, value) for size, value in zip(sizes, values, strict=True) if value not in (low, high))
    if len(free) < 3:
        yield (FLOOR, 0, 1, 0, 1, low, high)
        return
    (m, u), (n, v) = free[0], free[-1]
    slope = (v - u) / (n - m)
    for divisor in range(1, _ALIKE + 1):
        yield from _floor(free, 0, round(slope * divisor), divisor, low, high)
    for square, linear, divisor in ((1, -1, 2), (1, 1, 2)):
        yield (FLOOR, 0, linear, square, divisor, low, high)
    for factor in (round(slope, 2), round(slope, 1), 1 - round(1 - slope, 2), round(slope, 3)):
        yield (PART, factor, low, high)
        yield (ROUND, factor, low, high)
    for divisor in range(_ALIKE + 1, _LARGEST_DIVISOR + 1):
        linear = round(slope * divisor)
        for constant in (0, divisor - 1):  # what rounds down, and what rounds up
            yield (FLOOR, constant, linear, 0, divisor, low, high)


def _floor(
    free: Sequence[tuple[int, int]], square: int, linear: int, divisor: int, low: int | None, high: int | None
) -> Iterator[Rule]:
    """Every value bounds the constant from both sides."""
    rests = [divisor * value - linear * size - square * size * size for size, value in free]
    least, most = max(rests), min(rests) + divisor - 1
    if least <= most:
        yield (FLOOR, 0 if least <= 0 <= most else least, linear, square, divisor, low, high)

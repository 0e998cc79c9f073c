"""Values of options that click has no type for."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import click

from fedzmq.errors import AddressError

MOST = 1_000_000_000  # of whatever is counted: more is a slip of the keyboard


class Number(click.FloatRange):
    """A number within its range; unlike click's own, neither infinite nor none at all."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!s} is not a finite number", param, ctx)
        return number


class Count(click.IntRange):
    """A whole number from 1."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(min=1, max=most)


def part_number(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`2/3`, the second of three, as numbers: a callback."""
    if value is None:
        return None
    number, slash, of = value.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST):
        raise click.BadParameter(f"{value!r} is not K/N with K from 1 to N, such as 2/3")
    return int(number), int(of)


def named_values(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Each `name=value`, as a map: a callback."""
    found: dict[str, str] = {}
    for each in values:
        name, equals, value = each.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE, such as mu=0.1")
        found[name] = value
    return found


def named_numbers(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, float | int | bool]:
    """Each `name=value`, as a map to numbers, true or false: a callback."""
    return {name: _number(name, value) for name, value in named_values(ctx, param, values).items()}


def _number(name: str, value: str) -> float | int | bool:
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            number: float | int = kind(value)
            if abs(number) <= MOST:
                return number
    raise click.BadParameter(f"{name} is {value!r}, and a number, true or false is expected")


def broker_address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The address of a broker, for another process to connect to: a callback. Raises AddressError."""
    if value is not None and value.startswith("memory://"):
        raise AddressError(value, "it ends with its process; name a broker's tcp://host:port or ipc://path")
    return value

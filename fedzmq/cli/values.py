"""Values of options that click has no type for."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import click

from fedzmq.errors import AddressError
from fedzmq.federated.numbers import MOST
from fedzmq.suggestion import nearest

SECONDS = "SECONDS"  # the metavar of an option that is a time


class Number(click.FloatRange):
    """A finite number within its range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        with contextlib.suppress(ValueError, click.BadParameter):
            number: float = super().convert(float(value), param, ctx)
            if math.isfinite(number):
                return number
        self.fail(f"{_shown(value)} is not a number{of_what(param)} {self._describe_range()}", param, ctx)

    def _describe_range(self) -> str:  # what click writes into --help too
        least = f"{'above' if self.min_open else 'from'} {self.min:g}"
        if self.max is None:
            return least
        most = "and below" if self.max_open else "and up to" if self.min_open else "to"
        return f"{least} {most} {self.max:g}"


class Count(click.IntRange):
    """A whole number from `least`."""

    name = "n"

    def __init__(self, most: int = MOST, least: int = 1) -> None:
        super().__init__(min=least, max=most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        with contextlib.suppress(ValueError, click.BadParameter):
            number: int = super().convert(int(value), param, ctx)
            return number
        self.fail(f"{_shown(value)} is not a whole number from {self.min} to {self.max}", param, ctx)

    def _describe_range(self) -> str:  # what click writes into --help too
        return f"from {self.min}" if self.max == MOST else f"from {self.min} to {self.max}"


class Word(click.Choice):  # type: ignore[type-arg]  # click before 8.4 has none
    """One of a few."""

    others = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        with contextlib.suppress(click.BadParameter):
            return super().convert(value, param, ctx)
        self.fail(
            f"{_shown(value)} is not one of {', '.join(self.choices)}{self.others}{nearest(str(value), self.choices)}",
            param,
            ctx,
        )


class WordOrOwn(Word):
    """One of a few, or `module:name` of the user's own."""

    others = ", or module:name of your own"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if isinstance(value, str) and ":" in value else super().convert(value, param, ctx)


class Seed(click.types.IntParamType):
    """A whole number, below 0 too."""

    name = "n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        with contextlib.suppress(ValueError):
            return int(value)
        self.fail(f"{_shown(value)} is not a whole number", param, ctx)


def of_what(param: click.Parameter | None) -> str:
    """Of which unit an option's number is, where it says so."""
    unit = param.metavar if isinstance(param, click.Option) else None
    return " of seconds" if unit == SECONDS else ""


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
    if value is not None and "://" not in value:
        raise AddressError(value, "a broker's is expected, as it says it: tcp://host:port or ipc://path")
    if value is not None and value.startswith("memory://"):
        raise AddressError(value, "it ends with its process; name a broker's tcp://host:port or ipc://path")
    return value


def _shown(value: object) -> str:
    """What was typed in quotes, and a number as it is."""
    return repr(value) if isinstance(value, str) else f"{value}"

"""The options of optimizers and schedules: numbers by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

from fedzmq.errors import UsageError

Options = Mapping[str, float | int | bool]


def check_number(what: str, option: str, value: object) -> None:
    """Raises UsageError for what is no finite number from 0. true and false are 1 and 0."""
    if not isinstance(value, Real) or not math.isfinite(value):
        raise UsageError(f"the option {option!r} of {what} is {value!r}, and a number is expected, as in {option}=0.1")
    if value < 0:
        raise UsageError(f"the option {option!r} of {what} is {value:g}, and it cannot be negative")

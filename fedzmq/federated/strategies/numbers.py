"""What the numbers of a strategy may be."""

from __future__ import annotations

import math

from fedzmq.errors import UsageError


def at_least(name: str, value: float, low: float) -> None:
    """Raises UsageError, for NaN and infinity too."""
    if not low <= value < math.inf:
        raise UsageError(f"{name} is {value:g}, and a number from {low:g} is needed")


def above(name: str, value: float, low: float) -> None:
    """Raises UsageError, for NaN and infinity too."""
    if not low < value < math.inf:
        raise UsageError(f"{name} is {value:g}, and a number above {low:g} is needed")


def a_share(name: str, value: float) -> None:
    """From 0 to below 1. Raises UsageError."""
    if not 0 <= value < 1:
        raise UsageError(f"{name} is {value:g}, and a number from 0 to below 1 is needed")

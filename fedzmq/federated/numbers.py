"""What the numbers of a job may be. Importing this imports no torch: a command line is checked before that is here."""

from __future__ import annotations

import math
from numbers import Integral, Real

from fedzmq.errors import UsageError

MOST = 1_000_000_000  # of whatever is counted: more is a slip of the keyboard


def check_count(name: str, number: object) -> None:
    """Raises UsageError for what is no whole number from 1 to MOST."""
    if not isinstance(number, Integral) or isinstance(number, bool):
        raise UsageError(f"{name} is {number!r}, and a whole number from 1 is expected")
    if not 1 <= int(number) <= MOST:
        bound = "least 1" if int(number) < 1 else f"most {MOST}"
        raise UsageError(f"{name} is {number}, and at {bound} is needed")


def check_number(name: str, number: object) -> None:
    """Raises UsageError for what is no number, or NaN."""
    if not isinstance(number, Real) or isinstance(number, bool) or math.isnan(number):
        raise UsageError(f"{name} is {number!r}, and a number is expected")

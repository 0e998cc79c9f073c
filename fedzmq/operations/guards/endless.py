"""Arguments with which a kernel of torch computes for longer than anybody waits, or for ever."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, Operation, pick, whole
from fedzmq.wire.limits import MAX_INT

_MOST_DEGREE = 1 << 12
_MOST_ROUNDS = 1 << 10


def bounded_degree(name: str, function: Operation) -> Guard:
    """A polynomial is computed degree by degree, for each element anew."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        degree = torch.as_tensor(pick(arguments, keywords, 1, "n", 0))
        # As floats, because torch takes no maximum of the wide unsigned dtypes.
        most = float(degree.double().max()) if degree.numel() else 0.0
        if isfinite(most) and most > _MOST_DEGREE:
            raise OperationRefused(name, f"its degree is at most {_MOST_DEGREE}")

    return guard


def counts(name: str, function: Operation) -> Guard:
    """The kernel draws until it has drawn enough, which for a count of NaN is never."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        count = pick(arguments, keywords, 0, "count")
        if isinstance(count, Tensor) and bool(count.isnan().any()):
            raise OperationRefused(name, "its count is NaN")

    return guard


def exponent(name: str, function: Operation) -> Guard:
    """The least int has no absolute value, and is divided by two for ever."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        power = whole(pick(arguments, keywords, 1, "n"))
        if power is not None and abs(power) > MAX_INT:
            raise OperationRefused(name, f"its power is from {-MAX_INT} to {MAX_INT}")

    return guard


def bounded_rounds(name: str, function: Operation) -> Guard:
    """For the decompositions of low rank: they repeat as often as they are told to."""
    place = 3 if name.endswith("pca_lowrank") else 2

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        rounds = whole(pick(arguments, keywords, place, "niter"))
        if rounds is not None and rounds > _MOST_ROUNDS:
            raise OperationRefused(name, f"it repeats at most {_MOST_ROUNDS} times")

    return guard

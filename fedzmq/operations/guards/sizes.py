"""Sizes that come beside the tensors they tell of: a kernel that trusts them reads memory of others."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, check_bytes, pick

Operation = Callable[..., Any]

_PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


def channels(name: str, function: Operation) -> Guard:
    """For native_batch_norm, which reads as many numbers of each row as its input has channels."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if not isinstance(value, Tensor) or value.dim() < 2:
            raise OperationRefused(name, "its input has at least two dimensions, the second that of the channels")
        given = [pick(arguments, keywords, position, word) for position, word in enumerate(_PER_CHANNEL, 1)]
        if any(each is not None and tuple(each.shape) != (value.shape[1],) for each in given):
            raise OperationRefused(name, f"its weight, bias and statistics have a number for each of {value.shape[1]}")
        if not pick(arguments, keywords, 5, "training") and (given[2] is None or given[3] is None):
            raise OperationRefused(name, "in evaluation it takes the running mean and the running variance")

    return guard


def groups(name: str, function: Operation) -> Guard:
    """For native_group_norm, which is told rows, channels and elements of a channel as numbers."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, weight, bias = (pick(arguments, keywords, n, word) for n, word in enumerate(("input", "weight", "bias")))
        sizes = [pick(arguments, keywords, n, word) for n, word in enumerate(("N", "C", "HxW", "group"), 3)]
        if not isinstance(value, Tensor) or any(type(size) is not int or size < 0 for size in sizes):
            raise OperationRefused(name, "its input is a tensor, and its sizes are ints from 0")
        rows, count, _, parts = sizes
        if prod(sizes[:3]) != value.numel():
            raise OperationRefused(
                name, f"N * C * HxW is {prod(sizes[:3])}, and its input has {value.numel()} elements"
            )
        if any(each is not None and tuple(each.shape) != (count,) for each in (weight, bias)):
            raise OperationRefused(name, f"its weight and bias have a number for each of {count} channels")
        check_bytes(name, rows * parts * value.element_size(), limit)

    return guard

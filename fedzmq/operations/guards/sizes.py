"""Sizes that come beside the tensors they tell of: a kernel that trusts them reads memory of others."""

from __future__ import annotations

from math import prod

from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, Operation, check_bytes, leaves, pick, whole

_PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")
_WIDEST_WINDOW = 1 << 24  # what a window reads beyond its operand takes as long; the kernels count in 32 bits


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


def keys_and_values(name: str, function: Operation) -> Guard:
    """For attention, which reads as many values as there are keys."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        key, value = pick(arguments, keywords, 1, "key"), pick(arguments, keywords, 2, "value")
        if not isinstance(key, Tensor) or not isinstance(value, Tensor) or min(key.dim(), value.dim()) < 2:
            raise OperationRefused(name, "its key and value are tensors of at least two dimensions")
        if key.shape[-2] != value.shape[-2]:
            raise OperationRefused(name, f"there are {key.shape[-2]} keys, and {value.shape[-2]} values")

    return guard


def magnitudes(name: str, function: Operation) -> Guard:
    """For _weight_norm, which reads a magnitude for each slice of the directions along a dimension.

    Of no directions at all it divides by their number.
    """

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, magnitude = pick(arguments, keywords, 0, "v"), pick(arguments, keywords, 1, "g")
        dim = pick(arguments, keywords, 2, "dim", 0)
        if not isinstance(value, Tensor) or not isinstance(magnitude, Tensor) or type(dim) is not int:
            raise OperationRefused(name, "it takes two tensors and a dimension")
        if not value.numel():
            raise OperationRefused(name, "there are no directions")
        if 0 <= dim < value.dim() and magnitude.numel() != value.shape[dim]:
            raise OperationRefused(name, f"it takes {value.shape[dim]} magnitudes, and {magnitude.numel()} came")

    return guard


def pivots(name: str, function: Operation) -> Guard:
    """For lu_unpack, which exchanges as many rows as there are pivots."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        factors, given = pick(arguments, keywords, 0, "LU_data"), pick(arguments, keywords, 1, "LU_pivots")
        if not isinstance(factors, Tensor) or factors.dim() < 2 or not isinstance(given, Tensor):
            raise OperationRefused(name, "it takes the factors, of at least two dimensions, and their pivots")
        wanted = (*factors.shape[:-2], min(factors.shape[-2:]))
        if tuple(given.shape) != wanted:
            raise OperationRefused(name, f"its pivots have the shape {list(wanted)}, not {list(given.shape)}")
        rows = factors.shape[-2]
        check_bytes(name, factors.element_size() * prod(factors.shape[:-2]) * rows * rows, limit)

    return guard


def windows(name: str, function: Operation) -> Guard:
    """For pooling, whose windows may be wider, by their size or by the steps in them, than what can be counted."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        widest, step = (
            max((abs(number) for each in leaves(numbers) if (number := whole(each)) is not None), default=1)
            for numbers in ([arguments[1:], keywords], pick(arguments, keywords, 4, "dilation", 1))
        )
        if widest * max(1, step) > _WIDEST_WINDOW:
            raise OperationRefused(name, f"its windows are at most {_WIDEST_WINDOW} wide, and as far apart")

    return guard

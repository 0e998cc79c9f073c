"""Operations whose result can be large although their operands are small, refused before anything is allocated.

A cheap bound passes nearly every call. Above it the operation runs on the meta device, which computes shapes and
allocates nothing; where the values themselves set the size, they are looked at. A result that is large because its
operands are is no matter of this file: the store counts those bytes.
"""

from __future__ import annotations

import contextlib
from itertools import repeat
from math import isfinite, prod
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import LimitExceeded, OperationRefused
from fedzmq.operations.guards.guard import (
    Arguments,
    Guard,
    Keywords,
    MakeGuard,
    Operation,
    check_bytes,
    extent,
    leaves,
    pick,
    product,
    whole,
)
from fedzmq.operations.guards.on_meta import bytes_of, check_on_meta
from fedzmq.wire.limits import MAX_OUTPUTS

_WIDEST = 16  # bytes of an element
_MOST_DIMENSIONS = 3  # that one number may enlarge: the rows, columns and slices of an image
_LONGEST_CHOICE = 64
_USUAL_COUNT = 100  # of bins and steps
_EVERYDAY_PADDING = 8  # of a convolution: only what is wider is looked at closer


def made_from_numbers(name: str, function: Operation) -> Guard:
    """For zeros, rand, eye, arange and the like."""
    steps_vary = name.endswith("arange")
    times = 2 if name.endswith("eye") else 1

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if any(isinstance(value, Tensor) for value in leaves([arguments, keywords])):
            raise OperationRefused(name, "its sizes and bounds must be plain numbers, not tensors")
        if steps_vary or _WIDEST * _numbers(arguments, keywords) ** times > limit:
            check_bytes(name, bytes_of(function(*arguments, **{**keywords, "device": "meta"})), limit)

    return guard


def enlarged_by_numbers(name: str, function: Operation) -> Guard:
    """For repeat, pad, interpolate, transposed convolutions and the like."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        elements = sum(extent(value) for value in leaves([arguments, keywords]) if isinstance(value, Tensor))
        if _WIDEST * max(1, elements) * _numbers(arguments, keywords) ** _MOST_DIMENSIONS > limit:
            check_on_meta(name, function, arguments, keywords, limit)

    return guard


def expanded(name: str, function: Operation) -> Guard:
    """For expand and broadcast_to: their result is a view of little, and takes as long to read as if it were not."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if not isinstance(value, Tensor):
            return
        given = pick(arguments, keywords, 1, "size")
        given = given if isinstance(given, (list, tuple)) else arguments[1:]
        sizes = [size for each in given if (size := whole(each)) is not None]
        kept = [1] * (len(sizes) - value.dim()) + list(value.shape)
        lengths = [size if size >= 0 else length for size, length in zip(sizes, kept, strict=False)]
        check_bytes(name, product(max(1, length) for length in lengths) * value.element_size(), limit)

    return guard


def drawn(name: str, function: Operation) -> Guard:
    """For normal, which is told the size where neither the mean nor the deviation is a tensor."""
    by_size, by_tensors = made_from_numbers(name, function), enlarged_by_numbers(name, function)

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        given = [pick(arguments, keywords, position, word) for position, word in enumerate(("mean", "std"))]
        chosen = by_tensors if any(isinstance(each, Tensor) for each in given) else by_size
        chosen(limit, arguments, keywords)

    return guard


def multiplied_by_each_other(name: str, function: Operation) -> Guard:
    """For outer, kron, diag, whole factors of long matrices and the like: the sizes of the operands, or of one and
    itself, multiply.
    """

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        counts = [extent(value) for value in leaves([arguments, keywords]) if isinstance(value, Tensor)]
        counts = counts * 2 if len(counts) == 1 else counts
        # A number that names a diagonal enlarges rows and columns.
        if _WIDEST * product(counts) * _numbers(arguments, keywords) ** 2 > limit:
            check_on_meta(name, function, arguments, keywords, limit)

    return guard


def enlarged_by_padding(name: str, function: Operation) -> Guard:
    """For convolutions, which are too frequent for a closer look."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        padding = pick(arguments, keywords, 4, "padding", 0)
        if padding != 0 and any(
            not isinstance(n, str) and _numbers(n) > 1 + _EVERYDAY_PADDING for n in leaves(padding)
        ):
            check_on_meta(name, function, arguments, keywords, limit)

    return guard


def sized_by_values(name: str, function: Operation) -> Guard:
    """For one_hot and bincount: the greatest value is the size, or a number beside it."""
    rows_vary = name.endswith("one_hot")

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "tensor" if rows_vary else "input")
        numbers = [number for each in leaves([arguments[1:], keywords]) if (number := whole(each)) is not None]
        if isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex()):
            width = max([int(value.max()) + 1 if value.numel() else 0, *numbers])
            check_bytes(name, 8 * width * (max(1, value.numel()) if rows_vary else 1), limit)

    return guard


def repeated(name: str, function: Operation) -> Guard:
    """For repeat_interleave: how often each element is repeated is a number or a tensor."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input", keywords.get("repeats"))
        times = pick(arguments, keywords, 1, "repeats", value)
        most = int(times.max()) if isinstance(times, Tensor) and times.numel() else times
        if isinstance(value, Tensor) and isinstance(most, int):
            check_bytes(name, _WIDEST * value.numel() * most, limit)
        check_bytes(name, _WIDEST * (whole(keywords.get("output_size")) or 0), limit)

    return guard


def as_many_as(position: int, word: str) -> MakeGuard:
    """For histc, linspace and the like: a number, which bounds beside it do not change, is the size."""

    def make(name: str, function: Operation) -> Guard:
        def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
            check_bytes(name, _WIDEST * _numbers(pick(arguments, keywords, position, word, _USUAL_COUNT)), limit)

        return guard

    return make


def divided(name: str, function: Operation) -> Guard:
    """For split, unbind and the like: as many outputs as a dimension is long, or as a number says."""
    last = name.rpartition(".")[2]
    counted = last in ("tensor_split", "hsplit", "vsplit", "dsplit", "chunk")

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input", keywords.get("tensor"))
        numbers = [number for each in (*arguments[1:], *keywords.values()) if (number := whole(each)) is not None]
        longest = max(value.shape, default=0) if isinstance(value, Tensor) else 0
        if last.startswith("unbind"):
            outputs = longest
        elif any(isinstance(each, (list, tuple)) for each in (*arguments[1:], *keywords.values())):
            outputs = 0  # one for each size or index that came with the message, which bounds them
        elif counted:
            outputs = max(numbers, default=0)
        else:
            outputs = -(-longest // max(1, _part(arguments, keywords)))
        if outputs > MAX_OUTPUTS:
            raise LimitExceeded(f"the number of outputs of {name}", outputs, MAX_OUTPUTS)

    return guard


def broadcast(name: str, function: Operation) -> Guard:
    """For masked_select and dist, of which no shape can be told before: what the operands make together."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        operands = [value for value in leaves([arguments, keywords]) if isinstance(value, Tensor)]
        with contextlib.suppress(RuntimeError):  # they do not fit, as the kernel will say
            shape = torch.broadcast_shapes(*[each.shape for each in operands])  # type: ignore[no-untyped-call]
            together = prod(shape)
            check_bytes(name, together * max(each.element_size() for each in operands), limit)

    return guard


def chosen(name: str, function: Operation) -> Guard:
    """For combinations, which goes through all tuples of elements."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, size = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 1, "r", 2)
        if type(size) is not int or not 0 <= size < _LONGEST_CHOICE or not isinstance(value, Tensor):
            raise OperationRefused(name, f"it chooses fewer than {_LONGEST_CHOICE} elements at a time")
        check_bytes(name, _WIDEST * max(1, size) * value.numel() ** size, limit)

    return guard


def between_rows(name: str, function: Operation) -> Guard:
    """For cov, corrcoef and pdist: one number for each pair of rows. The gradient of none at all divides by zero."""
    is_distance = name.endswith("pdist")

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if isinstance(value, Tensor) and value.dim() == 2:
            if is_distance and not value.shape[0]:
                raise OperationRefused(name, "there are no rows to compare")
            check_bytes(name, _WIDEST * value.shape[0] ** 2, limit)

    return guard


def multivariate(name: str, function: Operation) -> Guard:
    """For mvlgamma: it sums as many numbers for each element as the order says."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if isinstance(value, Tensor):
            check_bytes(name, _WIDEST * max(1, value.numel()) * _numbers(pick(arguments, keywords, 1, "p", 1)), limit)

    return guard


def gridded(name: str, function: Operation) -> Guard:
    """For histogramdd: the numbers of bins of all columns multiply."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, bins = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 1, "bins")
        columns = value.shape[-1] if isinstance(value, Tensor) and value.dim() else 1
        sides = leaves(bins) if isinstance(bins, (list, tuple)) else repeat(bins, columns)
        counts = (abs(whole(side) or 0) + (side.numel() if isinstance(side, Tensor) else 0) for side in sides)
        # No bins are none that torch takes, and as many columns as there may be are not gone through for them.
        check_bytes(name, _WIDEST * product(1 + max(1, count) for count in counts), limit)

    return guard


def overlapped(name: str, function: Operation) -> Guard:
    """For istft: no longer than its frames laid end to end, or than the length that is asked for."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, frame = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 1, "n_fft", 0)
        length = pick(arguments, keywords, 8, "length", 0)
        if isinstance(value, Tensor) and value.dim() >= 2:
            signals = value.shape[0] if value.dim() > 2 else 1
            longest = max(_numbers(length), _numbers(frame) * (1 + max(value.shape[-2:])))
            check_bytes(name, _WIDEST * signals * longest, limit)

    return guard


def _part(arguments: Arguments, keywords: Keywords) -> int:
    """The length of a part of split, by any of its names."""
    names = ("split_size_or_sections", "split_size")
    given = [arguments[1]] if len(arguments) > 1 else [keywords[name] for name in names if name in keywords]
    return given[0] if given and type(given[0]) is int else 1


def _numbers(*values: Any) -> int:
    """A number that no product or sum of the numbers among the values exceeds."""
    return product(map(_number, leaves(list(values))))


def _number(value: Any) -> int:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()  # torch takes such a tensor for a number
    return 1 + abs(int(value)) if isinstance(value, (int, float)) and isfinite(value) else 1

"""Arguments with which a kernel of torch ends the process, or reads or writes memory that is not the operand's."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import (
    Arguments,
    Guard,
    Keywords,
    MakeGuard,
    Operation,
    check_bytes,
    leaves,
    pick,
    product,
    whole,
)

_STEP_COUNTS = {"torch._fused_adagrad_": 3, "torch._fused_adam_": 5, "torch._fused_adamw_": 5}
_FARTHEST = 64  # beyond it rounding moves the regions past the end
_CTC = ("log_probs", "targets", "input_lengths", "target_lengths", "blank")


def truncated_division(name: str, function: Operation) -> Guard:
    """The least int divided by -1 raises a signal of the processor."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if keywords.get("rounding_mode") != "trunc":
            return
        value, other = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 1, "other")
        if not isinstance(value, Tensor) and not isinstance(other, Tensor):
            return  # the function itself wants a tensor
        kind = torch.result_type(value, other)
        value, other = torch.as_tensor(value), torch.as_tensor(other)
        if kind.is_floating_point or kind.is_complex or not kind.is_signed or not (value.numel() and other.numel()):
            return
        if not value.dtype.is_signed or not other.dtype.is_signed:
            return  # it holds no such number
        if bool((other == -1).any()) and int(value.min()) == torch.iinfo(kind).min:
            raise OperationRefused(name, "the least int divided by -1 has no value")

    return guard


def least_common_multiple(name: str, function: Operation) -> Guard:
    """The least int has no absolute value, and by way of a divisor of -1 it raises the same signal."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value, other = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 1, "other")
        if not isinstance(value, Tensor) or not isinstance(other, Tensor):
            return  # the function itself wants two
        kind = torch.result_type(value, other)
        if kind not in (torch.int32, torch.int64):
            return  # narrower ones are computed in wider ones
        least = torch.iinfo(kind).min
        if any(each.dtype is kind and each.numel() and int(each.min()) == least for each in (value, other)):
            raise OperationRefused(name, "the least int has no multiples")

    return guard


def fused_step(name: str, function: Operation) -> Guard:
    """The fused optimizers index one list by the length of another, and one tensor by the size of another."""
    counts_at = _STEP_COUNTS.get(name)

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        lists = [value for value in arguments if isinstance(value, (list, tuple))]
        if not lists or any(isinstance(value, (list, tuple)) for value in keywords.values()):
            raise OperationRefused(name, "its lists are given by position")
        for position, each in enumerate(lists):
            if len(each) not in (0, len(lists[0])) or not all(isinstance(tensor, Tensor) for tensor in each):
                raise OperationRefused(name, f"its lists hold {len(lists[0])} tensors each, or none")
            if position == counts_at:
                _check_numbers(name, each)
            else:
                for model, tensor in zip(lists[0], each):  # noqa: B905 - or the list is empty
                    _check_alike(name, model, tensor)
        _check_numbers(name, [value for value in [*arguments, *keywords.values()] if isinstance(value, Tensor)])

    return guard


def ctc(name: str, function: Operation) -> Guard:
    """The kernel trusts lengths, targets and blank."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        log_probs, targets, inputs, lengths, blank = (
            pick(arguments, keywords, position, keyword, 0) for position, keyword in enumerate(_CTC)
        )
        if not isinstance(log_probs, Tensor) or not isinstance(targets, Tensor):
            raise OperationRefused(name, "log_probs and targets are tensors")
        inputs, lengths = torch.as_tensor(inputs), torch.as_tensor(lengths)
        good = (
            log_probs.dim() in (2, 3)
            and log_probs.numel() > 0
            and targets.dim() in (1, 2)
            and not targets.is_floating_point()
            and inputs.numel() == lengths.numel() == (log_probs.shape[1] if log_probs.dim() == 3 else 1)
            and type(blank) is int
            and 0 <= blank < log_probs.shape[-1]
            and _within(inputs, 0, log_probs.shape[0])
            and _within(lengths, 0, targets.shape[-1])
            and _within(targets, 0, log_probs.shape[-1] - 1)
            and (targets.dim() == 2 or int(lengths.sum()) <= targets.numel())
        )
        if not good:
            raise OperationRefused(name, "its lengths, targets or blank do not fit its log_probs")

    return guard


def pivots(position: int, pairs: bool = False) -> MakeGuard:
    """LAPACK exchanges the rows that pivots name, wherever they point. In `pairs`, negative ones stand two by two."""

    def make(name: str, function: Operation) -> Guard:
        def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
            given = [each for word in ("LU_pivots", "pivots") if (each := keywords.get(word)) is not None]
            chosen = arguments[position] if len(arguments) > position else next(iter(given), None)
            if not isinstance(chosen, Tensor) or chosen.is_floating_point() or chosen.dim() == 0:
                raise OperationRefused(name, "its pivots are a tensor of ints")
            rows = chosen.shape[-1]
            if not _within(chosen.abs() if pairs else chosen, 1, rows) or (pairs and not _paired(chosen)):
                raise OperationRefused(name, f"a pivot is from 1 to {rows}, as the factorisation gave it")

        return guard

    return make


def bags(name: str, function: Operation) -> Guard:
    """The kernel reads from each offset to the next, whatever they are."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        indices, offsets = pick(arguments, keywords, 0, "input"), pick(arguments, keywords, 2, "offsets")
        if not isinstance(indices, Tensor) or indices.is_floating_point():
            raise OperationRefused(name, "its input is a tensor of ints, and the weight comes second")
        if not isinstance(offsets, Tensor):
            return
        count = indices.numel()
        if offsets.numel():
            rising = offsets.dim() == 1 and bool((offsets.diff() >= 0).all())
            if not rising or not _within(offsets, 0, count):
                raise OperationRefused(name, f"its offsets rise from 0 to {count}")
        ends = bool(pick(arguments, keywords, 9, "include_last_offset", False))
        if count and (offsets.numel() <= ends or (ends and int(offsets[-1]) != count)):
            raise OperationRefused(name, f"its {count} indices are not all in a bag")

    return guard


def fractions(name: str, function: Operation) -> Guard:
    """The random numbers that place the regions of a fractional pooling: three for each row and channel at most."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if isinstance(value, Tensor):
            check_bytes(name, 3 * value.element_size() * product(value.shape[:2]), limit)
        samples = pick(arguments, keywords, 5, "_random_samples")
        if isinstance(samples, Tensor) and not bool((samples.abs() <= _FARTHEST).all()):  # false of NaN too
            raise OperationRefused(name, f"its random samples are from 0 to 1, and in no case beyond {_FARTHEST}")

    return guard


def grids(name: str, function: Operation) -> Guard:
    """A mode that there is not leaves the result unwritten: what was in its memory before.

    Nor has a place that is not finite, or not once it is counted in pixels, an edge that is nearest, which its gradient
    would be written to.
    """
    is_public = name.endswith("grid_sample")

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        grid = pick(arguments, keywords, 1, "grid")
        modes = (
            pick(arguments, keywords, 2, "mode" if is_public else "interpolation_mode"),
            pick(arguments, keywords, 3, "padding_mode"),
        )
        if not is_public and any(type(mode) is not int or not 0 <= mode <= 2 for mode in modes):
            raise OperationRefused(name, "its modes are 0, 1 or 2")
        is_padded = modes[1] not in (None, 0, "zeros")
        if not is_padded or not isinstance(grid, Tensor):
            return
        value = pick(arguments, keywords, 0, "input")
        longest = max(value.shape, default=1) if isinstance(value, Tensor) else 1
        if not bool(((grid.abs() + 1) * longest).isfinite().all()):
            raise OperationRefused(
                name, "a grid with NaN or inf has no nearest border: pad with zeros, or mend the grid"
            )

    return guard


def circles(name: str, function: Operation) -> Guard:
    """Padding with what is at the other end leaves the result unwritten where less of that is left than is wanted."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if pick(arguments, keywords, 2, "mode") != "circular":
            return
        value = pick(arguments, keywords, 0, "input")
        ends = [whole(each) or 0 for each in leaves(pick(arguments, keywords, 1, "pad"))]
        if not isinstance(value, Tensor):
            return  # the function itself wants one
        for extent, left, right in zip(reversed(value.shape), ends[::2], ends[1::2], strict=False):
            if max(left, right) > extent + min(left, 0) + min(right, 0):
                raise OperationRefused(name, "a circular padding repeats what is left: cut off less, or pad less")

    return guard


def rows(name: str, function: Operation) -> Guard:
    """For multi_margin_loss, which leaves the loss of no rows at all unwritten."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if isinstance(value, Tensor) and not value.numel():
            raise OperationRefused(name, "there are no rows that lose")

    return guard


def finite(name: str, function: Operation) -> Guard:
    """LAPACK's way to eigenvalues alone ends the process where a number of the matrix is none."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "A", keywords.get("input"))
        if isinstance(value, Tensor) and not bool(value.isfinite().all()):
            raise OperationRefused(name, "its matrix has NaN or inf in it")

    return guard


def written_out(name: str, function: Operation) -> Guard:
    """For the medians, which read as many elements as a tensor has, also where it is one element many times."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        value = pick(arguments, keywords, 0, "input")
        if isinstance(value, Tensor) and 0 in value.stride() and value.numel() > 1:
            raise OperationRefused(name, "its operand is expanded: make it contiguous() first")

    return guard


def _check_alike(name: str, model: Tensor, tensor: Tensor) -> None:
    dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
    if tensor.shape != model.shape or tensor.stride() != model.stride() or not dense:
        raise OperationRefused(name, f"its lists pair tensors of shapes {list(model.shape)} and {list(tensor.shape)}")


def _paired(pivots: Tensor) -> bool:
    rows: list[list[int]] = pivots.flatten(0, -2).tolist() if pivots.dim() > 1 else [pivots.tolist()]
    return all(len(list(run)) % 2 == 0 for row in rows for negative, run in groupby(row, lambda p: p < 0) if negative)


def _check_numbers(name: str, tensors: Arguments) -> None:
    if any(tensor.numel() != 1 for tensor in tensors):
        raise OperationRefused(name, "a tensor that stands for a number has one element")


def _within(values: Tensor, low: int, high: int) -> bool:
    return values.numel() == 0 or (int(values.min()) >= low and int(values.max()) <= high)

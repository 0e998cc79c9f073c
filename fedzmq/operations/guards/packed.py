"""Packed sequences: rows of all sequences, step by step, and how many sequences there are at each step.

The kernels trust these numbers, so that wrong ones would read past the rows: here they are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, check_bytes


def check_packed(name: str, data: Any, sizes: Any) -> None:
    """Raises OperationRefused where the sizes are not those of packed sequences, or not those of the data."""
    if not isinstance(data, Tensor) or data.dim() == 0 or not _are_counts(sizes):
        raise OperationRefused(name, "packed sequences are a tensor of rows and one of int64 that counts them")
    counts = sizes.tolist()
    if counts != sorted(counts, reverse=True) or counts[-1] < 1:
        raise OperationRefused(name, "the sizes of packed sequences are 1 at least and do not grow")
    if sum(counts) != len(data):
        raise OperationRefused(
            name, f"the sizes of packed sequences add up to {sum(counts)}, and {len(data)} rows came"
        )


def pack(name: str, function: Callable[..., Any]) -> Guard:
    """For `(input, lengths, batch_first)`."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if keywords or len(arguments) != 3 or type(arguments[2]) is not bool:
            raise OperationRefused(name, "it takes a tensor, lengths and a bool")
        value, lengths, batch_first = arguments
        if not isinstance(value, Tensor) or value.dim() < 2 or value.numel() == 0 or not _are_counts(lengths):
            raise OperationRefused(name, "it takes a tensor of sequences, and their lengths as int64")
        rows, steps = value.shape[:2] if batch_first else (value.shape[1], value.shape[0])
        counts = lengths.tolist()
        if len(counts) != rows or counts != sorted(counts, reverse=True) or counts[-1] < 1 or counts[0] > steps:
            raise OperationRefused(name, f"the lengths of {rows} sequences are from {steps} down to 1")

    return guard


def pad(name: str, function: Callable[..., Any]) -> Guard:
    """For `(data, batch_sizes, batch_first, padding_value, total_length)`."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if keywords or len(arguments) != 5 or type(arguments[2]) is not bool or type(arguments[4]) is not int:
            raise OperationRefused(name, "it takes rows, their sizes, a bool, a number and the length")
        data, sizes, _, _, length = arguments
        check_packed(name, data, sizes)
        if length < len(sizes):
            raise OperationRefused(name, f"a length of {length} is too short for {len(sizes)} steps")
        row = data[0].numel() * data.element_size()
        check_bytes(name, int(sizes[0]) * length * row, limit)

    return guard


def _are_counts(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 1 and value.dtype is torch.int64 and value.numel() > 0

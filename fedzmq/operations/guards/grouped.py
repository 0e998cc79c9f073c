"""Matrices multiplied group by group, as experts do: rows that are in no group would keep what their memory held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, check_bytes, pick


def product(name: str, function: Callable[..., Any]) -> Guard:
    """For `(rows, matrices, offs, bias, out_dtype)`, of which `offs` says where the group of each matrix ends."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        rows, matrices = (pick(arguments, keywords, place, key) for place, key in enumerate(("self", "mat2")))
        ends = pick(arguments, keywords, 2, "offs")
        if not _has(rows, 2) or not _has(matrices, 3) or not _has(ends, 1) or ends.dtype is not torch.int32:
            raise OperationRefused(name, "it takes a matrix of rows, a matrix for each group, and their ends as int32")
        places = ends.tolist()
        if len(places) != len(matrices) or [0, *places, len(rows)] != sorted([0, *places, len(rows)]):
            raise OperationRefused(name, f"the ends of {len(matrices)} groups of {len(rows)} rows do not shrink")
        if (places[-1] if places else 0) != len(rows):
            raise OperationRefused(name, f"the groups end at {places[-1:]}, and there are {len(rows)} rows")
        check_bytes(name, len(rows) * matrices.shape[-1] * 8, limit)

    return guard


def _has(value: Any, dimensions: int) -> bool:
    return isinstance(value, Tensor) and value.dim() == dimensions

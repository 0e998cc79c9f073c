"""The precision in which updates are combined, and the way back to that of the model."""

from __future__ import annotations

import torch


def wide(dtype: torch.dtype) -> torch.dtype:
    """Wide enough that a sum of updates neither overflows nor loses what the model's own precision could tell."""
    return torch.complex128 if dtype.is_complex else torch.float64


def narrowed(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Integers are rounded, so that a counter stays one, and a boolean goes with the majority."""
    if dtype is torch.bool:
        return tensor > 0.5
    if not dtype.is_floating_point and not dtype.is_complex:
        return tensor.round().to(dtype)
    return tensor.to(dtype)

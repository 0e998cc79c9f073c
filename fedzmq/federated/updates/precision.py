"""The precision in which updates are combined, and the way back to that of the model."""

from __future__ import annotations

import torch

from fedzmq.tensors.buffers import room


def wide(dtype: torch.dtype) -> torch.dtype:
    """Wide enough that a sum of updates neither overflows nor loses what the model's own precision could tell."""
    return torch.complex128 if dtype.is_complex else torch.float64


def wide_room(like: torch.Tensor) -> torch.Tensor:
    """As many wide elements of any content, in a row, where kernels like it best: a sum is new in every round."""
    dtype = wide(like.dtype)
    if not like.numel():
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(room(like.numel() * dtype.itemsize), dtype=dtype)


def narrow_into(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Write wide values, which may be changed on the way, to a tensor of a model, and take no memory for it.

    Integers are rounded, so that a counter stays one, and a boolean goes with the majority.
    """
    if tensor.dtype is torch.bool:
        torch.gt(values, 0.5, out=tensor)
    elif tensor.is_floating_point() or tensor.is_complex():
        tensor.copy_(values)
    else:
        tensor.copy_(values.round_())

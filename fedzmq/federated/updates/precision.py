"""The precision in which updates are combined, and the way back to that of the model."""

from __future__ import annotations

import torch

from fedzmq.tensors.buffers import allocate


def wide(dtype: torch.dtype) -> torch.dtype:
    """Wide enough that a sum of updates neither overflows nor loses what the model's own precision could tell."""
    return torch.complex128 if dtype.is_complex else torch.float64


def of_means(dtype: torch.dtype) -> torch.dtype:
    """In which a mean is taken: that of the model, as its updates are no more exact, and float32 for what is smaller.

    Integers have means in float64, which are rounded at the end.
    """
    if dtype.is_complex:
        return torch.complex64 if dtype is torch.complex32 else dtype
    if dtype.is_floating_point:
        return dtype if dtype.itemsize > 2 else torch.float32
    return torch.float64


def mean_room(like: torch.Tensor) -> torch.Tensor:
    """Room for a mean of such tensors, of any content, flattened, where kernels like it best: it is new each round."""
    dtype = of_means(like.dtype)
    if not like.numel():
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(allocate(like.numel() * dtype.itemsize), dtype=dtype)


def narrow_into(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Write what updates make, which may be changed on the way, to a tensor of a model, and take no memory for it.

    Integers are rounded, so that a counter stays one, and a boolean goes with the majority.
    """
    if tensor.dtype is torch.bool:
        torch.gt(values, 0.5, out=tensor)
    elif tensor.is_floating_point() or tensor.is_complex():
        tensor.copy_(values)
    else:
        tensor.copy_(values.round_())

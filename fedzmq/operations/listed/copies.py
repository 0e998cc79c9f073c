"""Views as tensors with memory of their own, and other plain copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COPIES: dict[str, Callable[..., Any]] = {
    # As the function without _copy: what it gives is written out, so those that enlarge have a guard.
    "torch.alias_copy": torch.alias_copy,
    "torch.detach_copy": torch.detach_copy,
    "torch.diagonal_copy": torch.diagonal_copy,
    "torch.expand_copy": torch.expand_copy,
    "torch.narrow_copy": torch.narrow_copy,
    "torch.permute_copy": torch.permute_copy,
    "torch.select_copy": torch.select_copy,
    "torch.slice_copy": torch.slice_copy,
    "torch.split_copy": torch.split_copy,
    "torch.split_with_sizes_copy": torch.split_with_sizes_copy,
    "torch.squeeze_copy": torch.squeeze_copy,
    "torch.t_copy": torch.t_copy,
    "torch.transpose_copy": torch.transpose_copy,
    "torch.unbind_copy": torch.unbind_copy,
    "torch.unfold_copy": torch.unfold_copy,
    "torch.unsqueeze_copy": torch.unsqueeze_copy,
    "torch.view_as_complex_copy": torch.view_as_complex_copy,
    "torch.view_as_real_copy": torch.view_as_real_copy,
    "torch.view_copy": torch.view_copy,
    # Complex tensors and their halves.
    "torch.imag": torch.imag,
    "torch.real": torch.real,
    "torch.resolve_neg": torch.resolve_neg,
    # Elements written into a copy.
    "torch.put": torch.put,
    # The same as methods, and the dtypes that have a method.
    "Tensor.cdouble": Tensor.cdouble,  # type: ignore[attr-defined]  # torch does not declare it
    "Tensor.cfloat": Tensor.cfloat,  # type: ignore[attr-defined]  # torch does not declare it
    "Tensor.chalf": Tensor.chalf,
    "Tensor.narrow_copy": Tensor.narrow_copy,
    "Tensor.put": Tensor.put,
    "Tensor.resolve_neg": Tensor.resolve_neg,
}

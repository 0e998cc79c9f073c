"""Operations that count or choose elements: the caller's numbers set their size, which guards bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

COUNTING: dict[str, Callable[..., Any]] = {
    # Bins.
    "torch.histogram": torch.histogram,
    "torch.histogramdd": torch.histogramdd,
    # Choices and draws.
    "torch.binomial": torch.binomial,
    "torch._dirichlet_grad": torch._dirichlet_grad,
    "torch._sample_dirichlet": torch._sample_dirichlet,
    "torch._standard_gamma": torch._standard_gamma,
    "torch.combinations": torch.combinations,
    "torch.nonzero_static": torch.nonzero_static,
    # A number that stands for all elements.
    "torch.hash_tensor": torch.hash_tensor,
    # The same as methods.
    "Tensor.hash_tensor": Tensor.hash_tensor,
    "Tensor.histogram": Tensor.histogram,
    "Tensor.nonzero_static": Tensor.nonzero_static,
}

"""Gradients inside a computation: of what was computed so far, and from where on they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def leaf(tensor: Tensor) -> Tensor:
    """The same memory, apart from what made it, as a tensor that gradients are taken for."""
    return tensor.detach().requires_grad_()


DIFFERENTIATION: dict[str, Callable[..., Any]] = {
    "fedzmq.leaf": leaf,
    "torch.autograd.grad": torch.autograd.grad,
}

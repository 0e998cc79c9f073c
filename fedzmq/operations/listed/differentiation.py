"""Gradients inside a computation: of what was computed so far, and from where on they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from fedzmq.errors import OperationRefused


def leaf(tensor: Tensor) -> Tensor:
    """The same memory, apart from what made it, as a tensor that gradients are taken for."""
    return tensor.detach().requires_grad_()


def linked(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> NoReturn:
    """The outputs, whose gradients go on to the inputs by a backward of the plan's own: see `fedzmq.plans.backward`."""
    raise OperationRefused("fedzmq.linked", "it is a step of plans alone")


DIFFERENTIATION: dict[str, Callable[..., Any]] = {
    "fedzmq.leaf": leaf,
    "fedzmq.linked": linked,
    "torch.autograd.grad": torch.autograd.grad,
}

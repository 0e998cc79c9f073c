"""Gradients of a loss, by the shortest way into torch's engine: `torch.autograd.grad` costs a small model's step a
fifth of its time before the engine begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd import graph

Gradients = Sequence[Tensor | None]


class Differentiation:
    """Of one loss after the other with respect to `moving`; None for those that a loss does not depend on."""

    def __init__(self, moving: Sequence[Tensor]) -> None:
        self._moving = tuple(moving)
        self._one: Tensor | None = None  # never written to: nobody but the engine gets it

    def __call__(self, loss: Tensor) -> Gradients:
        """Raises RuntimeError, in torch's words, for what has no gradient."""
        one = self._one
        if one is None or one.dtype is not loss.dtype or one.device != loss.device:
            one = self._one = torch.ones((), dtype=loss.dtype, device=loss.device)
        if _run is None or loss.dim() or not loss.requires_grad or not loss.is_floating_point():
            return torch.autograd.grad(loss, self._moving, allow_unused=True)
        gradients: Gradients = _run((loss,), (one,), False, False, self._moving, True, accumulate_grad=False)
        return gradients


_run = getattr(graph, "_engine_run_backward", None)  # torch's own, which its grad and backward call

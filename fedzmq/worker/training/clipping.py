"""Gradients kept within bounds before a step, as `torch.nn.utils.clip_grad_value_` and `clip_grad_norm_` do it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fedzmq.worker.training.gradients import Gradients

_NEAR_ZERO = 1e-6  # torch adds as much to a norm that it divides by


@dataclass(frozen=True, slots=True)
class Clipping:
    """value: no number is beyond it. norm: all gradients as one vector are no longer. None is no bound."""

    value: float | None = None
    norm: float | None = None

    def __bool__(self) -> bool:
        return self.value is not None or self.norm is not None

    @torch.no_grad()
    def __call__(self, gradients: Gradients) -> Gradients:
        """First by value. What is given is not changed: gradients may share memory, or be expanded."""
        there = [each for each in gradients if each is not None]
        if not there:
            return gradients
        clipped = tuple(there)
        if self.value is not None:
            clipped = torch._foreach_clamp_max(torch._foreach_clamp_min(clipped, -self.value), self.value)
        if self.norm is not None:
            length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(clipped)))
            clipped = torch._foreach_mul(clipped, (self.norm / (length + _NEAR_ZERO)).clamp(max=1.0))
        rest = iter(clipped)
        return [None if each is None else next(rest) for each in gradients]

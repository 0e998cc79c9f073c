"""What torch takes from its surroundings rather than from arguments: grad mode, autocast, the default dtype.

A worker is told of them only when they change, and an effect is learned once for each combination.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """Interned by `ambient`: equal modes are one object. `autocast` is the dtype that autocast lowers to, or None."""

    grad: bool
    autocast: torch.dtype | None
    default_dtype: torch.dtype


@lru_cache(maxsize=256)
def _interned(grad: bool, autocast: torch.dtype | None, default_dtype: torch.dtype) -> Modes:
    return Modes(grad, autocast, default_dtype)


def ambient(device: str) -> Modes:
    """The modes of this thread now, for a worker that computes on `device` ('cpu', 'cuda')."""
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    return _interned(torch.is_grad_enabled(), autocast, torch.get_default_dtype())


INITIAL = _interned(True, None, torch.float32)

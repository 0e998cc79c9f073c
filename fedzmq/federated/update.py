"""What a worker gives back after a round, and whether it can be averaged at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from fedzmq.errors import UpdateRefused
from fedzmq.tensors.dtypes import name_of


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """The state of a worker's model after training on so many examples, in so many steps.

    state: parameters and then buffers, without those that stay on the worker. loss: the mean over its last epoch.
    """

    state: Sequence[torch.Tensor]
    examples: int
    steps: int = 0
    loss: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)


def check_update(update: Update, names: Sequence[str], state: Sequence[torch.Tensor]) -> None:
    """Raises UpdateRefused where an update differs in form from the model's state, or holds a number that is none."""
    if update.examples < 1:
        raise UpdateRefused(f"it counts {update.examples} examples, and at least 1 was expected")
    if len(update.state) != len(state):
        raise UpdateRefused(f"it has {len(update.state)} tensors, and the model has {len(state)}")
    for name, new, old in zip(names, update.state, state, strict=True):
        if new.shape != old.shape or new.dtype != old.dtype:
            raise UpdateRefused(
                f"{name!r} is {name_of(new.dtype)}{list(new.shape)}, "
                f"and the model has {name_of(old.dtype)}{list(old.shape)}"
            )
        if (new.is_floating_point() or new.is_complex()) and not bool(new.isfinite().all()):
            raise UpdateRefused(f"{name!r} holds NaN or infinity (is the learning rate too high?)")


def needs_steps(update: Update) -> None:
    """Raises UpdateRefused for a training that took no step."""
    if update.steps < 1:
        raise UpdateRefused(f"it took {update.steps} steps, and this strategy needs at least 1")

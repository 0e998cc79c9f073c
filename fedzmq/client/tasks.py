"""What a client has a worker do with a plan, but for the plan itself and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from fedzmq.wire.messages import Course, HeldOut, Local


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What a worker is to do with a plan: see `fedzmq.wire.messages.Train`."""

    dataset: str
    epochs: int
    batch_size: int
    optimizer: str
    options: Mapping[str, float | int | bool]
    seed: int
    report_every: float = 0.5
    local: Local = field(default_factory=Local)
    control: Sequence[torch.Tensor] = ()
    course: Course = field(default_factory=Course)
    model: str = ""
    ahead: int = 0
    held_out: HeldOut = field(default_factory=HeldOut)


@dataclass(frozen=True, slots=True)
class EvaluationTask:
    """On what a worker is to run a plan, and for how long: see `fedzmq.wire.messages.Evaluate`."""

    dataset: str
    batch_size: int
    seed: int = 0
    report_every: float = 0.5
    trained: str = ""
    local: Local = field(default_factory=Local)
    model: str = ""
    held_out: HeldOut = field(default_factory=HeldOut)
    max_steps: int | None = None
    max_seconds: float | None = None

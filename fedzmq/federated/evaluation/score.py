"""How good a model is on data that no worker trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from fedzmq.data.examples import Examples
from fedzmq.federated.evaluation.metrics import Figure
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.module_modes import evaluating

BATCH = 1024


@dataclass(frozen=True, slots=True)
class Score:
    """The mean loss, the share of examples whose class was guessed (None for a regression), and other metrics."""

    loss: float
    accuracy: float | None
    metrics: Mapping[str, Figure] = field(default_factory=dict)


def evaluate(model: torch.nn.Module, loss: Loss, data: Examples) -> Score:
    """Score a model in evaluation mode; afterwards each of its modules is in the mode that it was in."""
    total, right = 0.0, 0
    with evaluating(model), torch.no_grad():
        for *inputs, targets in data.in_order(BATCH):
            output = model(*inputs)
            total += float(loss(output, targets)) * len(targets)
            if data.classes is not None:
                right += int((output.argmax(1) == targets).sum())
    return Score(total / len(data), None if data.classes is None else right / len(data))

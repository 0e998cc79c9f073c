"""How good a model is on data that no worker trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fedzmq.data.data import Data
from fedzmq.federated.models import Loss

BATCH = 1024


@dataclass(frozen=True, slots=True)
class Score:
    """The mean loss, and the share of examples whose class was guessed (None for a regression)."""

    loss: float
    accuracy: float | None


def evaluate(model: torch.nn.Module, loss: Loss, data: Data) -> Score:
    """Score a model in evaluation mode; afterwards each of its modules is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        total, right = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(data), BATCH):
                features, targets = data.features[start : start + BATCH], data.targets[start : start + BATCH]
                output = model(features)
                total += float(loss(output, targets)) * len(features)
                if data.classes is not None:
                    right += int((output.argmax(1) == targets).sum())
    finally:
        for module, was_training in modes:
            module.training = was_training
    return Score(total / len(data), None if data.classes is None else right / len(data))

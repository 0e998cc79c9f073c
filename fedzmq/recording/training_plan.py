"""A module and its loss as a plan: the training step that travels in place of the module's code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import PlanError
from fedzmq.plans.check import LOSS
from fedzmq.recording.batch_plan import Inputs, Loss, batch_plan

CORRECT = "accuracy"  # the second output: how many classes were guessed, of which a worker takes the mean


def training_plan(module: torch.nn.Module, loss: Loss, features: Inputs, targets: Tensor) -> bytes:
    """Record `loss(module(features), targets)` in the module's present mode, for batches of any size.

    Of `features` and `targets`, shaped (rows, ...), only the form counts; a module of several inputs is given a tuple
    of them. What the module returns, and the loss takes, may be a tuple or a map of tensors. The module is not changed.
    Targets that are one integer each are classes; where the module scores each of several, the plan also counts the
    examples whose class was guessed.
    Raises PlanError, which names the user's line, for a module that does something else than operations on tensors.
    """
    guesses = targets.dim() == 1 and not targets.is_floating_point()

    def outputs(output: Any, y: Tensor) -> dict[str, Tensor]:
        found = {LOSS: one_number(loss(output, y))}
        if guesses and _scores_classes(output, len(y)):
            found[CORRECT] = (output.argmax(1) == y).sum()
        return found

    return batch_plan(module, features, targets, outputs).plan.to_bytes()


def _scores_classes(output: Any, rows: int) -> bool:
    return isinstance(output, Tensor) and output.dim() == 2 and output.shape[1] > 1 and len(output) == rows


def one_number(loss: object) -> Tensor:
    """A loss. Raises PlanError where it is anything else."""
    if not isinstance(loss, Tensor):
        raise PlanError(f"the loss is of type {type(loss).__name__}, and a tensor was expected")
    if loss.dim() != 0:
        raise PlanError(f"the loss has the shape {tuple(loss.shape)}, and one number is needed: take its mean")
    return loss

"""The loop of local training: a plan run over a data set's batches, with no traffic but the progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fedzmq.data.examples import Examples
from fedzmq.plans.compiled import Step, constants
from fedzmq.plans.plan import Plan
from fedzmq.wire.messages import Train
from fedzmq.worker.corrections import Gradients
from fedzmq.worker.optimizers import make_optimizer

Report = Callable[[int, int, int, float], None]
"""Gets the epoch from 0, the step in it from 1, the steps of an epoch, and the loss of that step."""

Correct = Callable[[Gradients], Gradients]


class Cancelled(Exception):
    """The client took the task back, or is gone."""

    def __init__(self) -> None:
        super().__init__("the client took the task back, or is gone")


@dataclass(frozen=True, slots=True)
class Means:
    """Over the last epoch, of what the plan gives back; NaN without an epoch. Steps are of all epochs."""

    loss: float
    metrics: dict[str, float]
    steps: int


@dataclass(frozen=True, slots=True)
class Epochs:
    """What a task does with a state, as often as it is asked to."""

    task: Train
    plan: Plan
    step: Step
    data: Examples
    report: Report
    is_cancelled: Callable[[], bool]

    def fit(self, state: Sequence[torch.Tensor], moving: Sequence[torch.Tensor], correct: Correct | None) -> Means:
        """Train `moving`, which are tensors of `state`, in place, along gradients that `correct` may change.

        Raises Cancelled, and UsageError for an optimizer that does not exist.
        """
        task, data = self.task, self.data
        for each in moving:
            each.requires_grad_()
        fixed = constants(self.plan)
        optimizer = make_optimizer(task.optimizer, moving, task.options)
        steps = data.steps(task.batch_size)
        totals = [math.nan] * len(self.plan.outputs)
        next_report = time.monotonic() + task.report_every
        for epoch in range(task.epochs):
            totals = [0.0] * len(self.plan.outputs)
            for number, columns in enumerate(data.shuffled(task.batch_size, epoch, task.seed), 1):
                if self.is_cancelled():
                    raise Cancelled
                rows = len(columns[-1])
                outputs = self.step(rows, *state, *columns, *fixed)
                if moving:
                    gradients: Gradients = torch.autograd.grad(outputs[0], moving, allow_unused=True)
                    optimizer.step(gradients if correct is None else correct(gradients))
                loss, *counts = [float(output.detach()) for output in outputs]
                totals = [total + value for total, value in zip(totals, [loss * rows, *counts], strict=True)]
                if time.monotonic() >= next_report:
                    self.report(epoch, number, steps, loss)
                    next_report = time.monotonic() + task.report_every
        loss, *metrics = [total / len(data) for total in totals]
        names = [output.name for output in self.plan.outputs[1:]]
        return Means(loss, dict(zip(names, metrics, strict=True)), steps * task.epochs)

    @torch.no_grad()
    def loss(self, state: Sequence[torch.Tensor]) -> float:
        """The mean loss of a state on all examples, in the mode in which the plan was recorded. Raises Cancelled."""
        held, fixed, total = [each.clone() for each in state], constants(self.plan), 0.0
        task = self.task
        for columns in self.data.shuffled(task.batch_size, 0, task.seed):
            if self.is_cancelled():
                raise Cancelled
            rows = len(columns[-1])
            outputs = self.step(rows, *held, *columns, *fixed)
            total += float(outputs[0]) * rows
        return total / len(self.data)

"""The loop of local training: a plan run over a data set's batches, with no traffic but the progress."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fedzmq.data.examples import Batch, Examples
from fedzmq.plans.compiled import Look, constants
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import Plan
from fedzmq.wire.limits import MAX_INT
from fedzmq.wire.messages import Train
from fedzmq.worker.training.clipping import Clipping
from fedzmq.worker.training.gradients import Differentiation, Gradients
from fedzmq.worker.training.optimizers.table import make_optimizer
from fedzmq.worker.training.schedules import make_schedule
from fedzmq.worker.training.way import Way

Report = Callable[[int, int, int, float], None]
"""Gets the epoch from 0, the step in it from 1, the steps of an epoch, and the loss of that step."""

Correct = Callable[[Gradients], Gradients]


@dataclass(frozen=True, slots=True)
class Means:
    """Over the last epoch, as far as it came, of what the plan gives back; NaN without an epoch.

    steps: of all epochs. examples: how many the model was trained on, each counted once. way: how far the optimizer
    went, see `fedzmq.worker.training.way`.
    """

    loss: float
    metrics: dict[str, float]
    steps: int
    examples: int
    way: float


@dataclass(frozen=True, slots=True)
class Epochs:
    """What a task does with a state, as often as it is asked to. `look` raises Cancelled; within steps, too."""

    task: Train
    compiled: CompiledPlan
    data: Examples
    report: Report
    look: Look

    @property
    def plan(self) -> Plan:
        """What it was compiled from."""
        return self.compiled.plan

    def fit(
        self, state: Sequence[torch.Tensor], moving: Sequence[torch.Tensor], correct: Correct | None, pull: float = 0.0
    ) -> Means:
        """Train `moving`, which are tensors of `state`, in place, along gradients that `correct` may change.

        pull: how strongly it pulls them back to where they were.

        Raises Cancelled, and UsageError for an optimizer or a schedule that does not exist.
        """
        task, course, data = self.task, self.task.course, self.data
        for each in moving:
            each.requires_grad_()
        fixed = constants(self.plan)
        optimizer = make_optimizer(task.optimizer, moving, task.options)
        way = Way(task.optimizer, task.options, pull)
        differentiate = Differentiation(moving)
        clip = Clipping(course.clip_value, course.clip_norm)
        per_epoch = data.steps(task.batch_size)
        most = min(per_epoch * task.epochs, course.max_steps or MAX_INT)
        schedule = make_schedule(course.schedule, course.schedule_options, most)
        totals = [math.nan] * len(self.plan.outputs)
        steps = examples = seen = 0
        next_report = time.monotonic() + task.report_every
        latest = time.monotonic() + course.max_seconds if course.max_seconds is not None else math.inf
        # Of the last epoch alone the metrics are wanted; which it is shows only in the end where seconds are counted.
        last = 0 if course.max_seconds is not None else (most - 1) // per_epoch if per_epoch else 0
        step = self.compiled.first_output if last else self.compiled.step
        for epoch, number, columns in self._batches(most):
            self.look()
            if number == 1:
                totals, seen = [0.0] * len(self.plan.outputs), 0
                if epoch == last:
                    step = self.compiled.step
            rows = len(columns[-1])
            outputs = step(rows, *state, *columns, *fixed, look=self.look)
            optimizer.rate = course.rate if schedule is None else course.rate * schedule(steps)
            if moving:
                gradients = differentiate(outputs[0])
                if correct is not None:
                    gradients = correct(gradients)
                optimizer.step(clip(gradients) if clip else gradients)
            way.step(optimizer.rate)
            loss = outputs[0].item()
            totals[0] += loss * rows
            for place, output in enumerate(outputs[1:], 1):
                totals[place] += output.item()
            steps, seen = steps + 1, seen + rows
            examples = max(examples, seen)
            now = time.monotonic()
            if now >= next_report:
                self.report(epoch, number, per_epoch, loss)
                next_report = now + task.report_every
            if now >= latest:
                break
        loss, *metrics = [total / max(1, seen) for total in totals]
        names = [output.name for output in self.plan.outputs[1:]]
        figures = dict(zip(names, metrics, strict=True))
        return Means(loss, figures, steps, examples if steps else len(data), way.length)

    @torch.no_grad()
    def loss(self, state: Sequence[torch.Tensor]) -> float:
        """The mean loss of a state on all examples, in the mode in which the plan was recorded. Raises Cancelled."""
        held, fixed, total = [each.clone() for each in state], constants(self.plan), 0.0
        task = self.task
        for columns in self.data.shuffled(task.batch_size, 0, task.seed):
            self.look()
            rows = len(columns[-1])
            outputs = self.compiled.step(rows, *held, *columns, *fixed, look=self.look)
            total += float(outputs[0]) * rows
        return total / len(self.data)

    def gradient(self, state: Sequence[torch.Tensor], moving: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The gradient of that loss, with respect to `moving`, which are tensors of `state`. Raises Cancelled."""
        for each in moving:
            each.requires_grad_()
        differentiate, fixed, task = Differentiation(moving), constants(self.plan), self.task
        sums = [torch.zeros_like(each) for each in moving]
        for columns in self.data.shuffled(task.batch_size, 0, task.seed):
            self.look()
            rows = len(columns[-1])
            outputs = self.compiled.step(rows, *state, *columns, *fixed, look=self.look)
            for total, part in zip(sums, differentiate(outputs[0]), strict=True):
                if part is not None:
                    total.add_(part, alpha=rows / len(self.data))
        return sums

    def _batches(self, most: int) -> Iterator[tuple[int, int, Batch]]:
        """So many batches at most: each with its epoch from 0, and its number in that from 1."""
        task = self.task
        steps = (
            (epoch, number, columns)
            for epoch in range(task.epochs)
            for number, columns in enumerate(self.data.shuffled(task.batch_size, epoch, task.seed), 1)
        )
        return itertools.islice(steps, most)

"""Local training: a plan run over the worker's own batches, with no traffic but the progress.

The order of the examples follows from the seed alone, so that anybody can compute what a worker computed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from fedzmq.errors import DataError, PlanError
from fedzmq.plans.compiled import Step, constants
from fedzmq.plans.plan import Plan
from fedzmq.tensors.dtypes import name_of
from fedzmq.wire.messages import Train
from fedzmq.worker.data import Data
from fedzmq.worker.modes import Modes
from fedzmq.worker.optimizers import make_optimizer
from fedzmq.worker.randomness import Randomness

Report = Callable[[int, int, int, float], None]
"""Gets the epoch from 0, the step in it from 1, the steps of an epoch, and the loss of that step."""

_GOLDEN = 0x9E3779B97F4A7C15  # spreads the seeds of epochs, which would otherwise meet those of other tasks


class Cancelled(Exception):
    """The client took the task back, or is gone."""

    def __init__(self) -> None:
        super().__init__("the client took the task back, or is gone")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The state after training, in the plan's order, and the means over the last epoch of what the plan gives back.

    Without an epoch, the means are NaN.
    """

    state: list[torch.Tensor]
    loss: float
    metrics: dict[str, float]


def batch_sizes(rows: int, batch_size: int) -> list[int]:
    """How many examples each batch of an epoch has.

    The last batch may be smaller. A single row that is left over joins the batch before it, because batch normalization
    has no variance of one row.
    """
    sizes = [batch_size] * (rows // batch_size)
    rest = rows % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def batches(rows: int, batch_size: int, epoch: int, seed: int) -> Iterator[torch.Tensor]:
    """The rows of each batch of an epoch, as int64 indices in an order that follows from the seed."""
    generator = torch.Generator().manual_seed((seed + epoch * _GOLDEN) % (1 << 63))
    order = torch.randperm(rows, generator=generator)
    yield from torch.split(order, batch_sizes(rows, batch_size))


def train(
    task: Train,
    plan: Plan,
    step: Step,
    state: Sequence[torch.Tensor],
    data: Data,
    *,
    report: Report,
    is_cancelled: Callable[[], bool],
) -> Outcome:
    """Train a copy of `state` on `data` as `task` says, whatever modes of torch are in force around it.

    Dropout and the like draw from the task's seed, and the process's own random state is left as it was. Raises
    DataError, PlanError or UsageError where plan, state, data and task do not fit together, and Cancelled.
    """
    _fit(plan, state, data)
    with _alone(task.seed):
        state = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in state]
        moving = [tensor.requires_grad_() for tensor, slot in zip(state, plan.parameters, strict=False) if slot.trained]
        fixed = constants(plan)
        optimizer = make_optimizer(task.optimizer, moving, task.options)
        steps = len(batch_sizes(len(data), task.batch_size))
        totals = [math.nan] * len(plan.outputs)
        next_report = time.monotonic() + task.report_every
        for epoch in range(task.epochs):
            totals = [0.0] * len(plan.outputs)
            for number, index in enumerate(batches(len(data), task.batch_size, epoch, task.seed), 1):
                if is_cancelled():
                    raise Cancelled
                outputs = step(len(index), *state, data.features[index], data.targets[index], *fixed)
                if moving:
                    optimizer.step(torch.autograd.grad(outputs[0], moving, allow_unused=True))
                loss, *counts = [float(output.detach()) for output in outputs]
                totals = [total + value for total, value in zip(totals, [loss * len(index), *counts], strict=True)]
                if time.monotonic() >= next_report:
                    report(epoch, number, steps, loss)
                    next_report = time.monotonic() + task.report_every
        names = [output.name for output in plan.outputs]
        loss, *metrics = [total / len(data) for total in totals]
        return Outcome([tensor.detach() for tensor in state], loss, dict(zip(names[1:], metrics, strict=True)))


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Torch's modes and random numbers for one task, apart from all others of the process."""
    modes, randomness = Modes("cpu"), Randomness()
    modes.enter()
    try:
        randomness.seed(seed)
        yield
    finally:
        randomness.leave()
        modes.leave()


def _fit(plan: Plan, state: Sequence[torch.Tensor], data: Data) -> None:
    slots = (*plan.parameters, *plan.buffers)
    if len(state) != len(slots):
        raise PlanError(f"the plan takes {len(slots)} tensors of state, and {len(state)} came")
    for slot, tensor in zip(slots, state, strict=True):
        if tuple(tensor.shape) != slot.shape or name_of(tensor.dtype) != slot.dtype:
            raise PlanError(
                f"{slot.name!r} is {slot.dtype}{list(slot.shape)} in the plan, "
                f"and {name_of(tensor.dtype)}{list(tensor.shape)} came"
            )
    if len(data) == 0:
        raise DataError(data.name, "it has no examples here")
    columns = (data.features, data.targets)
    if len(plan.columns) != len(columns):
        raise PlanError(f"the plan takes {len(plan.columns)} columns of data, and an example has features and targets")
    for slot, column in zip(plan.columns, columns, strict=True):
        if tuple(column.shape[1:]) != slot.shape or name_of(column.dtype) != slot.dtype:
            raise DataError(
                data.name,
                f"the {slot.name} of an example are {name_of(column.dtype)}{list(column.shape[1:])}, "
                f"and the model takes {slot.dtype}{list(slot.shape)}",
            )

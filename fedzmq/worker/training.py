"""Local training: a plan run over the worker's own batches, with no traffic but the progress.

The order of the examples follows from the seed alone, so that anybody can compute what a worker computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from fedzmq.errors import DataError, PlanError
from fedzmq.plans.compiled import Step
from fedzmq.plans.plan import Plan
from fedzmq.tensors.dtypes import name_of
from fedzmq.wire.messages import Train
from fedzmq.worker.data import Data
from fedzmq.worker.optimizers import make_optimizer

Report = Callable[[int, int, int, float], None]


class Cancelled(Exception):
    """The client took the task back, or is gone."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The state after training, in the plan's order, and the means over the last epoch of what the plan gives back."""

    state: list[torch.Tensor]
    loss: float
    metrics: dict[str, float]


def batches(rows: int, batch_size: int, epoch: int, seed: int) -> Iterator[torch.Tensor]:
    """The rows of each batch of an epoch, as int64 indices.

    The last batch may be smaller. A single row that is left over joins the batch before it, because batch normalization
    has no variance of one row.
    """
    generator = torch.Generator().manual_seed((seed + epoch * 0x9E3779B97F4A7C15) % (1 << 63))
    order = torch.randperm(rows, generator=generator)
    sizes = [batch_size] * (rows // batch_size)
    rest = rows % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    yield from order.split(sizes)


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
    """Train `state` on `data` as `task` says. Raises DataError, PlanError or UsageError where they do not fit together,
    and Cancelled."""
    _fit(plan, state, data)
    count = len(plan.parameters)
    trained = [slot.trained for slot in plan.parameters]
    parameters = [
        tensor.detach().clone().requires_grad_(flag) for tensor, flag in zip(state[:count], trained, strict=True)
    ]
    buffers = [tensor.detach().clone() for tensor in state[count:]]
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = make_optimizer(task.optimizer, moving, task.options)
    steps = sum(1 for _ in batches(len(data), task.batch_size, 0, task.seed))
    totals = [0.0] * len(plan.outputs)
    next_report = time.monotonic() + task.report_every
    # Dropout draws from torch's own generator: seed it for this task, and leave it as it was.
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(task.seed)
        for epoch in range(task.epochs):
            totals = [0.0] * len(plan.outputs)
            for number, index in enumerate(batches(len(data), task.batch_size, epoch, task.seed), 1):
                if is_cancelled():
                    raise Cancelled
                outputs = step(len(index), *parameters, *buffers, data.features[index], data.targets[index])
                if moving:
                    optimizer.step(torch.autograd.grad(outputs[0], moving))
                for place, output in enumerate(outputs):
                    totals[place] += float(output.detach()) * (len(index) if place == 0 else 1)
                if time.monotonic() >= next_report:
                    report(epoch, number, steps, float(outputs[0].detach()))
                    next_report = time.monotonic() + task.report_every
    means = [total / len(data) for total in totals]
    names = [output.name for output in plan.outputs]
    return Outcome(
        [tensor.detach() for tensor in (*parameters, *buffers)], means[0], dict(zip(names[1:], means[1:], strict=True))
    )


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
    for slot, column in zip(plan.columns, (data.features, data.targets), strict=True):
        if tuple(column.shape[1:]) != slot.shape or name_of(column.dtype) != slot.dtype:
            raise DataError(
                data.name,
                f"the {slot.name} of an example are {name_of(column.dtype)}{list(column.shape[1:])}, "
                f"and the model takes {slot.dtype}{list(slot.shape)}",
            )

"""Evaluation of one task: what a plan gives, added up over the examples, of the model that came and of the own one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from fedzmq.data.examples import Batch, Examples
from fedzmq.errors import PlanError
from fedzmq.plans.compiled import Look, constants
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.wire.messages import Evaluate
from fedzmq.worker.training.epochs import Report
from fedzmq.worker.training.fit import fitted
from fedzmq.worker.training.isolation import isolated
from fedzmq.worker.training.layout import layout
from fedzmq.worker.training.memory import Kept

MOST_NUMBERS = 1 << 20  # that all sums of a plan hold together


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of what a plan gives for every batch, in the order of its outputs and in float64."""

    examples: int
    sums: list[torch.Tensor]


def add_up(
    compiled: CompiledPlan, state: Sequence[torch.Tensor], batches: Iterator[Batch], look: Look | None = None
) -> Iterator[Sums]:
    """The sums so far, after every batch. The state is written to where the plan does. `look` may raise to end it."""
    step, fixed = compiled.step, constants(compiled.plan)
    sums: list[torch.Tensor] = []
    examples = 0
    for columns in batches:
        rows = len(columns[-1])
        outputs = [each.detach().to(torch.float64) for each in step(rows, *state, *columns, *fixed, look=look)]
        if not sums:
            _check_size(outputs)
        sums = [sum + each for sum, each in zip(sums, outputs, strict=True)] if sums else outputs
        examples += rows
        yield Sums(examples, sums)


def evaluate(
    task: Evaluate,
    compiled: CompiledPlan,
    state: Sequence[torch.Tensor],
    data: Examples,
    *,
    report: Report,
    look: Look,
    kept: Kept | None = None,
) -> tuple[Sums, Sums | None]:
    """Evaluate `state`, which is the task's own, with what is personal in its place, and then the worker's own model if
    it has one. A plan may write to either.

    Both are evaluated on the same examples, in the set's order. Raises DataError or PlanError where plan, state, data
    and task do not fit together, and Cancelled.
    """
    data = fitted(compiled.plan, state, data)
    kept = kept or Kept()
    places = layout(compiled.plan, task.local.personal)
    models = [places.fill(state, kept.personal)]
    if task.local.ditto is not None and kept.model:
        models.append(places.copy(state, kept.model))
    with isolated(task.seed), torch.no_grad():
        common = _last(task, compiled, models[0], data, task.max_steps, task.max_seconds, report, look)
        if len(models) == 1:
            return common, None
        batches = -(-common.examples // task.batch_size)
        return common, _last(task, compiled, models[1], data, batches, None, report, look)


def _last(
    task: Evaluate,
    compiled: CompiledPlan,
    state: Sequence[torch.Tensor],
    data: Examples,
    most: int | None,
    seconds: float | None,
    report: Report,
    look: Look,
) -> Sums:
    """The sums in the end, or when a limit is reached."""
    steps = -(-len(data) // task.batch_size)
    began = time.monotonic()
    next_report = began + task.report_every
    found = Sums(0, [])

    for number, sums in enumerate(add_up(compiled, state, islice(data.in_order(task.batch_size), most), look), 1):
        look()
        now = time.monotonic()
        if now >= next_report:
            before = float(found.sums[0]) if found.sums else 0.0
            report(0, number, steps, (float(sums.sums[0]) - before) / (sums.examples - found.examples))
            next_report = now + task.report_every
        found = sums
        if seconds is not None and now >= began + seconds:
            break
    return found


def _check_size(outputs: Sequence[torch.Tensor]) -> None:
    numbers = sum(each.numel() for each in outputs)
    if numbers > MOST_NUMBERS:
        raise PlanError(f"the plan's sums hold {numbers} numbers, and an evaluation gives at most {MOST_NUMBERS}")

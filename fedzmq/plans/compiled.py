"""A plan made ready to run: every name resolved and every argument in its place, so that a step only computes.

No source text is written and nothing is evaluated: a step is a function from a list of registers, made beforehand. That
costs a fifth of a microsecond for each operation above generated code, and leaves nothing for a plan to inject into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.guards.differentiated import Budget
from fedzmq.operations.listed.differentiation import leaf
from fedzmq.plans.backward import OwnBackward
from fedzmq.plans.plan import BackwardBody, Plan
from fedzmq.plans.resolved import Registers, Run, resolved
from fedzmq.plans.scopes import ends
from fedzmq.tensors.buffers import restore
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.apply import results_of
from fedzmq.wire.messages import TensorSpec

_GRAD = CATALOG.number(torch.autograd.grad)
MOST_BYTES = 1 << 33  # of one result
_FEW = 16  # operations between two looks
Step = Callable[..., tuple[torch.Tensor, ...]]
Look = Callable[[], None]
_Step = tuple[Run | None, list[int], Sequence[Any]]


def compile_plan(plan: Plan, most_bytes: int | None = MOST_BYTES) -> Step:
    """`step(rows, *parameters, *buffers, *columns, *constants)` gives the outputs in the plan's order.

    `rows` is the number of examples in the batch. Buffers are changed in place, as the recorded program did. The plan
    has been checked; what its arguments hold has not, and raises ProtocolError or OperationRefused. A result of more
    than `most_bytes` is refused where the arguments tell its size; with None nothing is refused, which is for a plan
    that is run here on what belongs to whoever runs it. An exception of a step has the number of the
    operation that raised it as `failed_operation`. A step is long where the plan is: every few operations it calls
    `look`, if it is given that, which may raise to end it.
    """
    last_use: dict[int, int] = {}
    budget = Budget(CATALOG.name(_GRAD))
    runs = _Steps(plan, most_bytes, budget).between(0, len(plan.records), last_use)
    outputs = [output.register for output in plan.outputs]
    spent: list[list[int]] = [[] for _ in runs]
    for register, place in last_use.items():
        if register > plan.given and register not in outputs:
            spent[place].append(register)
    parts = _parts(plan, list(zip(runs, spent, plan.records, strict=True)))
    registers = 1 + max([plan.given, *last_use])
    trained = [place for place, slot in enumerate(plan.state, 1) if slot.trained]
    differentiates = any(record[0] == _GRAD for record in plan.records)

    def step(rows: int, *given: torch.Tensor, look: Look | None = None) -> tuple[torch.Tensor, ...]:
        held: Registers = [rows, *given]
        held += [None] * (registers - len(held))
        record: Sequence[Any] = (None,)
        try:
            for lower, steps in parts:
                with nullcontext() if lower is None else torch.autocast("cpu", lower):
                    for few in steps:
                        if look is not None:
                            look()
                        for run, done, record in few:  # noqa: B007 - the exception needs it
                            run(held)
                            for register in done:
                                held[register] = None
        except Exception as error:
            error.failed_operation = record[0]  # type: ignore[attr-defined]  # ours alone
            raise
        return tuple([held[register] for register in outputs])

    def differentiating(rows: int, *given: torch.Tensor, look: Look | None = None) -> tuple[torch.Tensor, ...]:
        """Where no gradient is wanted of the outputs, those in the midst of the plan need a graph all the same."""
        budget.begin()
        held = list(given)
        for place in trained:
            if not held[place - 1].requires_grad:
                held[place - 1] = leaf(held[place - 1])
        if torch.is_grad_enabled():
            return step(rows, *held, look=look)
        with torch.enable_grad():
            return tuple([output.detach() for output in step(rows, *held, look=look)])

    return differentiating if differentiates else step


def constants(plan: Plan) -> list[torch.Tensor]:
    """The constants anew for every task: a plan may write to them, and no task is to see what another wrote."""
    return [restore(TensorSpec(each.dtype, each.shape, 0), each.data) for each in plan.constants]


def _parts(plan: Plan, steps: list[_Step]) -> list[tuple[torch.dtype | None, list[list[Any]]]]:
    """The steps in a row that are lowered alike, a few at a time: None is as they are."""
    parts: list[tuple[torch.dtype | None, list[_Step]]] = []
    done = 0
    for each in plan.lowered:
        end = each.first + each.count
        parts += [(None, steps[done : each.first]), (dtype_of(each.dtype), steps[each.first : end])]
        done = end
    parts.append((None, steps[done:]))
    return [(lower, _few([step for step in part if step[0] is not None])) for lower, part in parts]


def _few(steps: list[_Step]) -> list[list[Any]]:
    return [steps[place : place + _FEW] for place in range(0, len(steps), _FEW)]


class _Steps:
    """Makes records into functions of the registers; those of a backward into one that runs when gradients come."""

    def __init__(self, plan: Plan, most_bytes: int | None, budget: Budget) -> None:
        self._plan = plan
        self._most_bytes = most_bytes
        self._budget = budget
        self._backwards = {each.place: each for each in plan.backwards}

    def between(self, start: int, end: int, last_use: dict[int, int]) -> list[Run | None]:
        """One for each record, None for those of a backward. Notes where each register is used last."""
        runs: list[Run | None] = []
        while len(runs) < end - start:
            place = start + len(runs)
            backward = self._backwards.get(place)
            if backward is None:
                record = self._plan.records[place]
                guard = self._budget.guard if record[0] == _GRAD else CATALOG.guard(record[0])
                runs.append(resolved(record, place, last_use, guard, self._most_bytes))
            else:
                runs += [self._own(backward, last_use).run, *[None] * backward.count]
        return runs

    def _own(self, backward: BackwardBody, last_use: dict[int, int]) -> OwnBackward:
        place, records = backward.place, self._plan.records
        outputs, inputs = ends(records[place])
        linked, gradients = records[place][1][: len(outputs)], records[place][1][len(outputs) :]
        first, end = place + 1, place + 1 + backward.count
        used = dict.fromkeys((*gradients, *filter(None, backward.results)), place)
        steps = list(zip(self.between(first, end, used), records[first:end], strict=True))
        own = {*gradients, *(register for record in records[first:end] for register in results_of(record))}
        captured = [register for register in used if register not in own]
        last_use.update(dict.fromkeys((*outputs, *inputs, *captured, *linked), place))
        return OwnBackward(
            tuple(outputs),
            tuple(inputs),
            tuple(linked),
            tuple(gradients),
            backward.results,
            tuple(captured),
            _in_turn([(run, record) for run, record in steps if run is not None]),
            any(record[0] == _GRAD for record in records[first:end]),
            1 + backward.count,
        )


def _in_turn(steps: list[tuple[Run, Sequence[Any]]]) -> Run:
    def run(held: Registers) -> None:
        try:
            for step, record in steps:  # noqa: B007 - the exception needs it
                step(held)
        except Exception as error:
            error.failed_operation = record[0]  # type: ignore[attr-defined]  # ours alone
            raise

    return run

"""A function on tensors as a plan: recorded once for each form of its arguments, and called by one command.

Where the function takes batches of any size, it is recorded for two sizes and made into one plan that holds for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import check
from fedzmq.plans.plan import Output, Plan, Slot
from fedzmq.plans.structure import flatten
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import CONSTANT, LEAF, Meta, contiguous_stride, meta
from fedzmq.pointers.nesting import mapped
from fedzmq.recording.any_rows import ROWS
from fedzmq.recording.counters import Parts
from fedzmq.recording.steady import check_unhooked, record_steady
from fedzmq.recording.tracing import at_line
from fedzmq.tensors.dtypes import name_of

_GRAD = CATALOG.number(torch.autograd.grad)


@dataclass(frozen=True, slots=True, eq=False)
class Argument:
    """What a plan is given at one place. Of a `batch` the first extent is free, and `meta` has it as 1."""

    place: str
    meta: Meta
    batch: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a plan gives: its path in what the function returned, and its form. `grows` says how often the rows of the
    batch are in each extent; where that is 0, the extent is that of `meta`."""

    path: str
    meta: Meta
    grows: tuple[int, ...]

    def at(self, rows: int) -> Meta:
        if not any(self.grows):
            return self.meta
        extents = [times * rows if times else size for times, size in zip(self.grows, self.meta.shape, strict=True)]
        shape = torch.Size(extents)
        return meta(shape, self.meta.dtype, contiguous_stride(shape), CONSTANT)


@dataclass(frozen=True, slots=True, eq=False)
class FunctionPlan:
    """A plan for certain `arguments`, as bytes and as the client needs to know it.

    `skeleton` is what the function returned, with None in place of every tensor. `order` has the arguments' numbers in
    the order in which the plan takes them: batches come last. `writes` are the registers that it writes to, of those
    that it is given.
    """

    body: bytes
    arguments: tuple[Argument, ...]
    order: tuple[int, ...]
    writes: tuple[int, ...]
    results: tuple[Result, ...]
    skeleton: Any = None

    def rows(self, metas: Sequence[Meta]) -> int:
        """Of the batches among these arguments, 0 without one; -1 where the plan is not for such arguments.

        A single row is a case of its own: functions squeeze it away, or spread it.
        """
        rows = {of.shape[:1] for argument, of in zip(self.arguments, metas, strict=True) if argument.batch}
        if any(map(_differ, self.arguments, metas)) or len(rows) > 1:
            return -1
        if not rows:
            return 0
        ((count,),) = rows
        return count if count > 1 else -1


def function_plan(
    function: Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor]], Any],
    arguments: Sequence[Argument],
    state: Sequence[tuple[str, Meta]],
    effects: Effects,
    parts: Parts,
) -> FunctionPlan:
    """Record `function(arguments, state)`, for which the `parts` keep what lasts. Raises what it raises, and PlanError,
    which names the user's line.

    State that requires grad does so in the plan, or where the function writes to it as to any other, does not.
    """
    try:
        return _recorded(function, arguments, state, effects, parts)
    except Exception:
        plain = [(name, of.of_kind(CONSTANT)) for name, of in state]
        if plain != list(state):
            with suppress(Exception):
                return _recorded(function, arguments, plain, effects, parts)
        raise


def _recorded(
    function: Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor]], Any],
    arguments: Sequence[Argument],
    state: Sequence[tuple[str, Meta]],
    effects: Effects,
    parts: Parts,
) -> FunctionPlan:
    fixed = [number for number, argument in enumerate(arguments) if not argument.batch]
    batches = [number for number, argument in enumerate(arguments) if argument.batch]
    order = (*fixed, *batches)
    paths: list[str] = []
    skeletons: list[Any] = []

    def called(*given: torch.Tensor) -> list[torch.Tensor]:
        kept, after = len(fixed), len(fixed) + len(state)
        placed = dict(zip(order, [*given[:kept], *given[after:]], strict=True))
        with torch.enable_grad():  # whatever the caller is in: no_grad takes records
            try:
                value = function([placed[number] for number in range(len(order))], given[kept:after])
            except RuntimeError as error:
                if "does not require grad" not in str(error):
                    raise
                raise PlanError(
                    f"a gradient{at_line(error)} cannot be part of a plan: nothing in it requires grad; take it for "
                    "parameters of the plan's module or state that requires grad, or for x.detach().requires_grad_()"
                ) from error
        paths[:], tensors = flatten(value)
        skeletons.append(mapped(value, lambda leaf: None))
        if not tensors:
            raise PlanError("the function gives nothing back, and a plan is run for what it gives")
        return tensors

    def inputs(rows: int) -> list[Meta]:
        metas = [arguments[number].meta for number in fixed]
        metas += [of for _, of in state]
        return [*metas, *(_rows(arguments[number].meta, rows) for number in batches)]

    # For two sizes even where nothing is free: what differs then is up to chance, and cannot be in a plan.
    recorded = record_steady(called, inputs, effects, parts)
    if any(record[0] == _GRAD for record in recorded.records):
        check_unhooked(parts)
    first, second, registers = recorded.first, recorded.second, recorded.registers
    outputs = tuple(Output(path, registers.register(id)) for path, id in zip(paths, first.outputs, strict=True))
    plan = Plan(
        CATALOG.digest(),
        tuple(_slot(number, arguments[number]) for number in fixed),
        tuple(Slot(name, name_of(of.dtype), tuple(of.shape), of.kind == LEAF) for name, of in state),
        tuple(_slot(number, arguments[number]) for number in batches),
        tuple(registers.constants),
        recorded.records,
        outputs,
        tuple(registers.lowered),
        tuple(registers.backwards),
    )
    check(plan)
    results = [
        Result(path, one.of_kind(CONSTANT), _growth(one, other))
        for path, one, other in zip(paths, first.output_metas, second.output_metas, strict=True)
    ]
    return FunctionPlan(plan.to_bytes(), tuple(arguments), order, first.mutated, tuple(results), skeletons[0])


def _growth(one: Meta, other: Meta) -> tuple[int, ...]:
    """How often the rows are in each extent, 0 where they are not."""
    grows: list[int] = []
    for extent, larger in zip(one.shape, other.shape, strict=False):
        times = extent // ROWS[0] if extent != larger else 0
        if extent != larger and (extent, larger) != (times * ROWS[0], times * ROWS[1]):
            break
        grows.append(times)
    if len(grows) != max(len(one.shape), len(other.shape)):
        shapes = f"{tuple(one.shape)} for {ROWS[0]} rows and {tuple(other.shape)} for {ROWS[1]}"
        raise PlanError(f"the function gives {shapes}: a plan for any number of rows gives multiples of them")
    return tuple(grows)


def _differ(argument: Argument, of: Meta) -> bool:
    own, start = argument.meta, 1 if argument.batch else 0
    if own.dtype is not of.dtype or len(own.shape) != len(of.shape) or own.shape[start:] != of.shape[start:]:
        return True
    return of.stride != (contiguous_stride(of.shape) if argument.batch else own.stride)


def _rows(of: Meta, rows: int) -> Meta:
    shape = torch.Size((rows, *of.shape[1:]))
    return meta(shape, of.dtype, contiguous_stride(shape), CONSTANT)


def _slot(number: int, argument: Argument) -> Slot:
    """Its name tells the place of the argument among all, because a plan takes batches last."""
    shape = argument.meta.shape[1:] if argument.batch else argument.meta.shape
    return Slot(f"{number} {argument.place}", name_of(argument.meta.dtype), tuple(shape), False)

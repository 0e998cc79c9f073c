"""A module, run on batches of any size, as a plan: what a training step and an evaluation have in common.

The module's parameters and buffers are the plan's state, and the columns of a batch are the module's inputs and, last,
the targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call

from fedzmq.data.forms import Form
from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import check
from fedzmq.plans.plan import Output, Plan, Slot
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import CONSTANT, LEAF, Meta
from fedzmq.recording.any_rows import ROWS
from fedzmq.recording.steady import check_recordable, check_unhooked, record_steady, standing_in, write_back
from fedzmq.tensors.dtypes import name_of

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""Gets what the module returns, and the targets."""

Inputs: TypeAlias = Tensor | Sequence[Tensor]
"""What the module is called with, one argument or several, each shaped (rows, ...)."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchPlan:
    """A plan, and the shapes of its outputs, which are the same whatever the rows."""

    plan: Plan
    shapes: tuple[torch.Size, ...]


def batch_plan(
    module: torch.nn.Module, inputs: Inputs, targets: Tensor, outputs: Callable[[Any, Tensor], Mapping[str, Tensor]]
) -> BatchPlan:
    """Record `outputs(module(*inputs), targets)` in the module's present mode. Of inputs and targets only the form
    counts. Raises PlanError, which names the user's line.
    """
    given = all_inputs(inputs)
    _check(module)
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    state = {**parameters, **buffers}
    names: list[str] = []

    whole = _Whole(module, outputs)

    def step(*tensors: Tensor) -> list[Tensor]:
        held = {f"module.{name}": each for name, each in zip(state, tensors, strict=False)}
        own = dict(held)
        standing_in(tensors, state.values())
        with torch.enable_grad():  # whatever the caller is in: a plan is there to be trained
            found = functional_call(whole, own, tensors[len(state) :])
            for name, each in held.items():
                write_back(name.removeprefix("module."), each, own[name])
            names[:] = found
            return list(found.values())

    effects = Effects("meta")  # where no import of torch's compiler makes the first round wait
    columns = [*given, targets]

    def forms(rows: int) -> list[Meta]:
        return [*map(_meta, state.values()), *(_rows(column, rows) for column in columns)]

    recorded = record_steady(step, forms, effects, dict(module.named_modules()))
    plan = Plan(
        CATALOG.digest(),
        tuple(_slot(name, each, each.requires_grad) for name, each in parameters.items()),
        tuple(_slot(name, each, False) for name, each in buffers.items()),
        tuple(_column(name, each) for name, each in zip(Form.unnamed(len(given)).names, columns, strict=True)),
        tuple(recorded.registers.constants),
        recorded.records,
        tuple(
            Output(name, recorded.registers.register(id))
            for name, id in zip(names, recorded.first.outputs, strict=True)
        ),
        tuple(recorded.registers.lowered),
        tuple(recorded.registers.backwards),
    )
    check(plan)
    shapes, others = (tuple(each.shape for each in made.output_metas) for made in (recorded.first, recorded.second))
    for name, shape, other in zip(names, shapes, others, strict=True):
        if shape != other:
            sizes = f"{tuple(shape)} for {ROWS[0]} examples and {tuple(other)} for {ROWS[1]}"
            raise PlanError(f"{name!r} has the shape {sizes}; sum it up over them")
    return BatchPlan(plan, shapes)


class _Whole(torch.nn.Module):
    """A module and what is made of its output, in one: a loss, too, is to find the recording's parameters there."""

    def __init__(self, module: torch.nn.Module, outputs: Callable[[Any, Tensor], Mapping[str, Tensor]]) -> None:
        super().__init__()
        self.module = module
        self._outputs = outputs

    def forward(self, *columns: Tensor) -> Mapping[str, Tensor]:
        *inputs, targets = columns
        return self._outputs(self.module(*inputs), targets)


def _check(module: torch.nn.Module) -> None:
    """Raises PlanError for a module that no plan trains, whatever it does."""
    check_recordable(module)
    check_unhooked(dict(module.named_modules()))
    for name, each in module.named_parameters():
        # A worker runs no function of the user's, and to leave one out would train another model.
        if getattr(each, "_post_accumulate_grad_hooks", None):
            raise PlanError(
                f"the parameter {name!r} has a hook that is called once it has its gradient, and a plan has no place "
                "for one: register_hook says what a gradient becomes"
            )


def all_inputs(inputs: Inputs) -> tuple[Tensor, ...]:
    """One input alone, or each of several."""
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _meta(tensor: Tensor) -> Meta:
    return Meta(tensor.shape, tensor.dtype, tensor.contiguous().stride(), LEAF if tensor.requires_grad else CONSTANT)


def _rows(tensor: Tensor, rows: int) -> Meta:
    shape = torch.Size((rows, *tensor.shape[1:]))
    return Meta(shape, tensor.dtype, torch.empty(shape, device="meta").stride(), CONSTANT)


def _slot(name: str, tensor: Tensor, trained: bool) -> Slot:
    return Slot(name, name_of(tensor.dtype), tuple(tensor.shape), trained)


def _column(name: str, tensor: Tensor) -> Slot:
    return Slot(name, name_of(tensor.dtype), tuple(tensor.shape[1:]), False)

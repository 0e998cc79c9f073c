"""A step whose backward is a part of the plan: torch's engine has its records run when the gradients come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from fedzmq.plans.within import Within


@dataclass(frozen=True, slots=True, eq=False)
class OwnBackward:
    """`run` fills the registers of `linked`; `body` fills those of `results` once the gradients have come.

    outputs, inputs, linked, gradients, results: registers, as in `fedzmq.plans.plan.BackwardBody`. captured: what the
    body reads that was filled before the step. differentiates: whether the body takes gradients itself. records: how
    many the body runs.
    """

    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    linked: tuple[int, ...]
    gradients: tuple[int, ...]
    results: tuple[int, ...]
    captured: tuple[int, ...]
    body: Callable[[Any], None]
    differentiates: bool
    records: int

    def run(self, held: list[Any]) -> None:
        made = _Linked.apply(self, held, *[held[register] for register in self.inputs])  # type: ignore[no-untyped-call]
        for register, tensor in zip(self.linked, made, strict=True):
            held[register] = tensor


class _Linked(Function):
    within = Within()

    @staticmethod
    def forward(ctx: Any, step: OwnBackward, held: list[Any], *inputs: Tensor) -> tuple[Tensor, ...]:
        known = dict(zip(step.inputs, inputs, strict=True))
        # Detached: what is linked is in the graph, and other uses of the same tensor are not a part of this step.
        made = [known[each] if each in known else held[each].detach() for each in step.outputs]
        known.update(zip(step.linked, made, strict=True))
        ctx.step, ctx.rows = step, held[0]
        ctx.save_for_backward(*[known.get(register, held[register]) for register in step.captured])
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        step: OwnBackward = ctx.step
        held: dict[int, Any] = {0: ctx.rows}
        for register, tensor in zip(step.captured, ctx.saved_tensors, strict=True):
            held[register] = tensor
        for register, gradient in zip(step.gradients, gradients, strict=True):
            held[register] = gradient
        is_continued = torch.is_grad_enabled()
        with _Linked.within.run(step.records), torch.set_grad_enabled(is_continued or step.differentiates):
            step.body(held)
        found = [held[register] if register else None for register in step.results]
        return (None, None, *[each if each is None or is_continued else each.detach() for each in found])

"""Whether tensors have the form that a plan was recorded for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fedzmq.errors import PlanError
from fedzmq.plans.plan import Plan, Slot
from fedzmq.tensors.dtypes import name_of
from fedzmq.worker.failure import describe


def check_state(plan: Plan, state: Sequence[Tensor]) -> None:
    """Raises PlanError where these are not a plan's parameters and buffers, in its order."""
    for slot, tensor in zip(plan.state, state, strict=True):
        _check(slot, tensor, slot.shape)


def check_columns(plan: Plan, columns: Sequence[Tensor]) -> int:
    """How many rows these have, 0 where there are no columns. Raises PlanError where they are no batch for it."""
    rows = columns[0].shape[0] if columns and columns[0].dim() else 0
    for slot, tensor in zip(plan.columns, columns, strict=True):
        _check(slot, tensor, (rows, *slot.shape))
    return rows


def _check(slot: Slot, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape or name_of(tensor.dtype) != slot.dtype:
        raise PlanError(f"{slot.name!r} is {slot.dtype}{list(shape)} in the plan, and {describe(tensor)} came")

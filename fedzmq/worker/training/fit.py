"""Whether a plan, a state and a data set fit together, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fedzmq.data.cast import cast
from fedzmq.data.examples import Examples
from fedzmq.errors import DataError, PlanError
from fedzmq.plans.check import check_training
from fedzmq.plans.plan import Plan
from fedzmq.tensors.dtypes import dtype_of, name_of
from fedzmq.worker.slots import check_state


def fitted(plan: Plan, state: Sequence[Tensor], data: Examples) -> Examples:
    """The data in the precision that the plan takes it in. Raises PlanError, or DataError, where they do not fit."""
    check_training(plan)
    if len(state) != len(plan.state):
        raise PlanError(f"the plan takes {len(plan.state)} tensors of state, and {len(state)} came")
    check_state(plan, state)
    if len(data) == 0:
        raise DataError(data.name, "it has no examples here")
    if len(plan.columns) != len(data.columns):
        has = " and ".join(column.name for column in data.columns)
        raise PlanError(f"the plan takes {len(plan.columns)} columns of data, and an example has {has}")
    data = cast(data, [dtype_of(slot.dtype) for slot in plan.columns])
    for slot, column in zip(plan.columns, data.columns, strict=True):
        if column.shape != slot.shape or name_of(column.dtype) != slot.dtype:
            raise DataError(
                data.name,
                f"the {slot.name} of an example are {name_of(column.dtype)}{list(column.shape)}, "
                f"and the model takes {slot.dtype}{list(slot.shape)}",
            )
    return data

"""Whether a plan, a state and a data set fit together, before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fedzmq.data.examples import Examples
from fedzmq.errors import DataError, PlanError
from fedzmq.plans.check import check_training
from fedzmq.plans.plan import Plan
from fedzmq.tensors.dtypes import name_of
from fedzmq.worker.slots import check_state


def check_fit(plan: Plan, state: Sequence[Tensor], data: Examples) -> None:
    """Raises PlanError, or DataError, where they do not."""
    check_training(plan)
    if len(state) != len(plan.state):
        raise PlanError(f"the plan takes {len(plan.state)} tensors of state, and {len(state)} came")
    check_state(plan, state)
    if len(data) == 0:
        raise DataError(data.name, "it has no examples here")
    columns = data.columns
    if len(plan.columns) != len(columns):
        has = " and ".join(column.name for column in columns)
        raise PlanError(f"the plan takes {len(plan.columns)} columns of data, and an example has {has}")
    for slot, column in zip(plan.columns, columns, strict=True):
        if column.shape != slot.shape or name_of(column.dtype) != slot.dtype:
            raise DataError(
                data.name,
                f"the {slot.name} of an example are {name_of(column.dtype)}{list(column.shape)}, "
                f"and the model takes {slot.dtype}{list(slot.shape)}",
            )

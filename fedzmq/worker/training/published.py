"""The state of a task that did not come along with it, because its client published it for many.

Such a task waits, and with it what its client sent after it, until the state is here or will not come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.plans.plan import Plan
from fedzmq.session.reception import Fate, Reception
from fedzmq.tensors.buffers import restore, restore_all
from fedzmq.transports.connection import Buffer
from fedzmq.wire.limits import check_shape
from fedzmq.wire.messages import Evaluate, TensorSpec, Train

TASKS: frozenset[type] = frozenset({Train, Evaluate})


class Published:
    """What one client published."""

    def __init__(
        self,
        reception: Reception,
        is_cancelled: Callable[[int], bool] = lambda request: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reception = reception
        self._is_cancelled = is_cancelled
        self._clock = clock

    def ready(self, records: Sequence[Any]) -> int:
        """How many of the records can run now: all before the first task whose state may still come."""
        for index, record in enumerate(records):
            if type(record) in TASKS and self._is_awaited(record):
                return index
        return len(records)

    def state(self, task: Train | Evaluate, plan: Plan, buffers: Sequence[Buffer]) -> list[torch.Tensor] | None:
        """What to train or evaluate; None where it was published, and did not come whole.

        Raises PlanError where what was published is not the plan's state.
        """
        if task.state or not task.model:
            return restore_all(task.state, buffers)
        memory = self._reception.take(_name(task))
        if memory is None:
            return None
        sizes = [check_shape(slot.dtype, slot.shape) for slot in plan.state]
        if sum(sizes) != len(memory):
            raise PlanError(f"the plan's state has {sum(sizes)} bytes, and {len(memory)} were published")
        state, begin = [], 0
        for slot, size in zip(plan.state, sizes, strict=True):
            state.append(restore(TensorSpec(slot.dtype, slot.shape, 0), memory[begin : begin + size]))
            begin += size
        return state

    def _is_awaited(self, task: Train | Evaluate) -> bool:
        if task.state or not task.model or self._is_cancelled(task.request):
            return False
        return self._reception.fate(_name(task), self._clock()) is Fate.COMING


def _name(task: Train | Evaluate) -> bytes:
    try:
        return bytes.fromhex(task.model)
    except ValueError:
        return b""  # under which nothing ever comes

"""What one client has on a worker: tensors of its own, which no other client can name, and the tasks it asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fedzmq.errors import DataError
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.tensors.dtypes import name_of
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    DataDescribed,
    DatasetInfo,
    DefinePlan,
    DescribeData,
    Failed,
    PlanMissing,
    Progress,
    Reply,
    Train,
    Trained,
)
from fedzmq.worker.data import Data
from fedzmq.worker.executor import Answer, Executor
from fedzmq.worker.failure import failure_of
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.store import Store
from fedzmq.worker.training import train

Post = Callable[[Reply, Sequence[Buffer]], None]


class Guest:
    """Runs the records of one client, in their order. `post` sends it a reply while a task still runs."""

    def __init__(self, data: Mapping[str, Data], plans: PlanShelf, post: Post) -> None:
        self._data = data
        self._plans = plans
        self._post = post
        self._cancelled: set[int] = set()
        self._finished = 0  # the last task that is over; a client numbers its requests upwards
        self._is_gone = False
        self._store = Store()
        self._executor = Executor(
            self._store, {DescribeData: self._describe, DefinePlan: self._define, Train: self._train}
        )

    def run(self, records: list[Any], buffers: Sequence[Buffer]) -> list[Answer]:
        """The replies to a message's records."""
        return self._executor.run(records, buffers)

    def cancel(self, request: int) -> None:
        """Stop a task; may come from another thread, and before the task began."""
        if request > self._finished:
            self._cancelled.add(request)

    def leave(self) -> None:
        """The client is gone: whatever runs for it stops."""
        self._is_gone = True

    def _describe(self, message: DescribeData, buffers: Sequence[Buffer]) -> list[Answer]:
        return [Answer(DataDescribed(message.request, tuple(_info(each) for each in self._data.values())), [])]

    def _define(self, message: DefinePlan, buffers: Sequence[Buffer]) -> list[Answer]:
        self._plans.add(message.plan)
        return []

    def _train(self, message: Train, buffers: Sequence[Buffer]) -> list[Answer]:
        try:
            return self._trained(message, buffers)
        except Exception as error:
            return [Answer(Failed(message.request, failure_of(error, self._store.position, "training")), [])]
        finally:
            self._finished = max(self._finished, message.request)
            self._cancelled.discard(message.request)

    def _trained(self, message: Train, buffers: Sequence[Buffer]) -> list[Answer]:
        found = self._plans.get(message.plan)
        if found is None:
            return [Answer(PlanMissing(message.request, message.plan), [])]
        began = time.monotonic()
        data = self._choose(message.dataset)
        outcome = train(
            message,
            *found,
            restore_all(message.state, buffers),
            data,
            report=lambda *progress: self._post(Progress(message.request, *progress), ()),
            is_cancelled=lambda: self._is_gone or message.request in self._cancelled,
        )
        state, exported = export_all(outcome.state)
        seconds = time.monotonic() - began
        trained = Trained(message.request, state, len(data), outcome.loss, seconds, outcome.metrics)
        return [Answer(trained, exported)]

    def _choose(self, name: str) -> Data:
        if name in self._data:
            return self._data[name]
        raise DataError(name, f"this worker has {', '.join(self._data) or 'none'}; start it with --data")


def _info(data: Data) -> DatasetInfo:
    columns = (data.features, data.targets)
    return DatasetInfo(
        data.name,
        len(data),
        tuple(tuple(column.shape[1:]) for column in columns),
        tuple(name_of(column.dtype) for column in columns),
        data.classes,
    )

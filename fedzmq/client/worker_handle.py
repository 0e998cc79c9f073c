"""A worker as its client sees it: where tensors and modules are sent, and who is asked to train."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.client.pending import Pending
from fedzmq.client.session_line import SessionLine
from fedzmq.errors import ProtocolError
from fedzmq.plans.plan import name_of
from fedzmq.pointers.stream import Stream
from fedzmq.wire.messages import DataDescribed, DatasetInfo, DefinePlan, DescribeData, Progress, TensorSpec, Train

if TYPE_CHECKING:
    from fedzmq.client.client import Client


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What a worker is to do with a plan: see `fedzmq.wire.messages.Train`."""

    dataset: str
    epochs: int
    batch_size: int
    optimizer: str
    options: Mapping[str, float | int | bool]
    seed: int
    report_every: float = 0.5


class WorkerHandle:
    """One incarnation of a worker. `stream` carries the commands of the pointers that live there."""

    def __init__(self, client: Client, line: SessionLine) -> None:
        self.client = client
        self.line = line
        self.stream = Stream(line, location=self)
        self._plans: set[str] = set()

    @property
    def name(self) -> str:
        return self.line.worker

    @property
    def id(self) -> str:
        """The name, as users of PySyft call it."""
        return self.line.worker

    @property
    def is_lost(self) -> bool:
        """Its process ended, or another one has its name now; what was stored there is gone."""
        return self.line.is_lost

    def data(self) -> tuple[DatasetInfo, ...]:
        """The data sets that it offers for training, without a value of them. One round trip."""
        reply, _ = self.stream.answer(self.stream.ask(DescribeData, None))
        if not isinstance(reply, DataDescribed):
            raise ProtocolError(f"worker {self.name!r} answered DescribeData with {type(reply).__name__}")
        return reply.datasets

    def ask_data(self) -> Pending:
        """As `data`, without waiting."""
        pending = self.line.claim(self.stream.ask(DescribeData, None))
        self.stream.flush()
        return pending

    def train(
        self,
        plan: bytes,
        state: Sequence[torch.Tensor],
        task: TrainingTask,
        progress: Callable[[Progress], None] | None = None,
    ) -> Pending:
        """Start training; the answer is Trained, Failed, or PlanMissing where the worker forgot the plan.

        A plan travels the first time only.
        """
        name = name_of(plan)
        if name not in self._plans:
            self.stream.command(DefinePlan(plan), None)
            self._plans.add(name)

        def make(request: int, specs: tuple[TensorSpec, ...]) -> Train:
            return Train(
                request,
                name,
                task.dataset,
                specs,
                task.epochs,
                task.batch_size,
                task.optimizer,
                dict(task.options),
                task.seed,
                task.report_every,
            )

        pending = self.line.claim(self.stream.carry(make, state))
        pending.progress = progress
        self.stream.flush()
        return pending

    def forget_plan(self, plan: bytes) -> None:
        """Send the plan again with the next training: the worker says that it does not have it."""
        self._plans.discard(name_of(plan))

    def cancel(self, pending: Pending) -> None:
        """Have the worker stop what it does for this request."""
        if not pending.done and not self.is_lost:
            self.line.cancel(pending.request)

    def __repr__(self) -> str:
        state = ", lost" if self.is_lost else ""
        return f"<worker {self.name!r} at {self.client.address}{state}>"

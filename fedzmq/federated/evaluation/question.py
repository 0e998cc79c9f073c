"""One worker's evaluation of one version of the model, from the request to what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fedzmq.client.pending import Pending
from fedzmq.client.worker_handle import EvaluationTask, WorkerHandle
from fedzmq.errors import ProtocolError, RemoteError
from fedzmq.federated.edition import Edition
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.tensors.buffers import restore_all
from fedzmq.wire.messages import Evaluated, Failed, ModelMissing, PlanMissing


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Of one worker: the sums of the common model, and of its own where it has one."""

    examples: int
    common: Sequence[Tensor]
    own: Sequence[Tensor]
    seconds: float

    @property
    def is_finite(self) -> bool:
        """All sums are: else what all workers have together would be none."""
        return all(bool(total.isfinite().all()) for total in self.common)


class Question:
    """Begins when it is made. `take` raises a FedzmqError where the worker fails or answers nonsense."""

    def __init__(self, handle: WorkerHandle, scoring: Scoring, edition: Edition, task: EvaluationTask) -> None:
        self._handle = handle
        self._scoring = scoring
        self._edition = edition
        self._task = task
        self._missed: set[type] = set()
        self._pending = self._send()

    @property
    def done(self) -> bool:
        return self._pending.done

    def cancel(self) -> None:
        self._handle.cancel(self._pending)

    def take(self) -> Found | None:
        """None where it lacks plan or model, and began once more."""
        reply, buffers = self._pending.result()
        if isinstance(reply, PlanMissing | ModelMissing) and type(reply) not in self._missed:
            self._missed.add(type(reply))
            if isinstance(reply, PlanMissing):
                self._handle.forget_plan(self._scoring.plan)
            self._pending = self._send()
            return None
        if isinstance(reply, Failed):
            failure = reply.failure
            raise RemoteError(self._handle.name, failure.operation, failure.error, failure.message)
        if not isinstance(reply, Evaluated):
            raise ProtocolError(f"it answered an evaluation with {type(reply).__name__}")
        sums = restore_all(reply.sums, buffers)
        common, own = sums[: self._scoring.width], sums[self._scoring.width :]
        self._scoring.check(common, reply.examples)
        if own:
            self._scoring.check(own, reply.examples)
        return Found(reply.examples, common, own, reply.seconds)

    def _send(self) -> Pending:
        edition = self._edition
        is_there = not edition.lacks(self._handle) and ModelMissing not in self._missed
        return self._handle.evaluate(
            self._scoring.plan,
            () if is_there else edition.sent,
            self._task,
            is_frozen=edition.is_frozen and not is_there,
        )

"""One worker's evaluation of one version of the model, from the request to what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from fedzmq.client.pending import Pending
from fedzmq.client.tasks import EvaluationTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import ProtocolError
from fedzmq.federated.edition import Edition
from fedzmq.federated.errand import Errand
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.tensors.buffers import Exported, restore_all
from fedzmq.wire.messages import Evaluated


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


class Question(Errand):
    """Begins when it is made. `take` raises a FedzmqError where the worker fails or answers nonsense."""

    def __init__(self, handle: WorkerHandle, scoring: Scoring, edition: Edition, task: EvaluationTask) -> None:
        super().__init__(handle, scoring.plan, edition)
        self._scoring = scoring
        self._task = task
        self._send()

    def take(self) -> Found | None:
        """None where it lacks plan or model, and began once more."""
        answered = self._answer()
        if answered is None:
            return None
        reply, buffers = answered
        if not isinstance(reply, Evaluated):
            raise ProtocolError(f"it answered an evaluation with {type(reply).__name__}")
        sums = restore_all(reply.sums, buffers)
        common, own = sums[: self._scoring.width], sums[self._scoring.width :]
        self._scoring.check(common, reply.examples)
        if own:
            self._scoring.check(own, reply.examples)
        return Found(reply.examples, common, own, reply.seconds)

    def _ask(self, state: Exported, is_frozen: bool) -> Pending:
        return self.handle.evaluate(self._plan, state, self._task, is_frozen=is_frozen)

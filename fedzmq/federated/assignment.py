"""One worker's training for one version of the model: from the request to its result, which stays over there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedzmq.client.pending import Pending
from fedzmq.client.tasks import TrainingTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import ProtocolError
from fedzmq.federated.edition import Edition
from fedzmq.federated.errand import Errand
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.acceptance import check_answer
from fedzmq.tensors.buffers import Exported
from fedzmq.wire.messages import Progress, Pulled, Trained


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What all workers are sent, and the form of what they answer.

    places: those tensors of the state, by their order in the plan, that travel back.
    """

    plan: bytes
    names: Sequence[str]
    places: Sequence[int]


class Assignment(Errand):
    """Begins when it is made. `edition` is what the worker trains on, and is to stay as it is until `done`.

    Its methods raise a FedzmqError where the worker cannot be reached, fails, or answers nonsense: it is over then.
    """

    def __init__(
        self,
        handle: WorkerHandle,
        form: Form,
        edition: Edition,
        task: TrainingTask,
        hear: Callable[[str, Progress], None],
    ) -> None:
        super().__init__(handle, form.plan, edition)
        self._task = task
        self._hear = hear
        self._along: Pending | None = None
        self._send()

    def take(self) -> Answer | None:
        """What it says of its training, once it is done; None where it lacks plan or model, and began once more."""
        answered = self._answer()
        if answered is None:
            return None
        reply, buffers = answered
        if not isinstance(reply, Trained):
            raise ProtocolError(f"it answered a training with {type(reply).__name__}")
        answer = Answer(
            self.handle.name, reply.examples, reply.loss, reply.seconds, reply.steps, reply.metrics, reply.way
        )
        check_answer(answer)
        if reply.parts:
            pulled = Pulled(reply.request, reply.parts)
            self._along = Pending(self.handle.name, reply.request, reply=pulled, buffers=buffers)
        return answer

    def pull(self, start: int, stop: int) -> Pending:
        """Ask for bytes of the tensors that it trained and that travel back, in a row, unless they came along."""
        if self._along is not None:
            return self._along
        return self.handle.pull(self._pending.request, start, stop)

    def _ask(self, state: Exported, is_frozen: bool) -> Pending:
        name = self.handle.name
        return self.handle.train(
            self._plan, state, self._task, lambda progress: self._hear(name, progress), is_frozen=is_frozen
        )

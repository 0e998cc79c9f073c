"""One worker's training for one version of the model: from the request to its result, which stays over there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedzmq.client.pending import Pending
from fedzmq.client.worker_handle import TrainingTask, WorkerHandle
from fedzmq.errors import ProtocolError, RemoteError
from fedzmq.federated.edition import Edition
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.acceptance import check_answer
from fedzmq.wire.messages import Failed, ModelMissing, PlanMissing, Progress, Pulled, Trained


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What all workers are sent, and the form of what they answer.

    places: those tensors of the state, by their order in the plan, that travel back.
    """

    plan: bytes
    names: Sequence[str]
    places: Sequence[int]


class Assignment:
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
        self.handle = handle
        self._form = form
        self._edition = edition
        self._task = task
        self._hear = hear
        self._missed: set[type] = set()
        self._along: Pending | None = None
        self._pending = self._send()

    @property
    def done(self) -> bool:
        """Something came, or nothing will."""
        return self._pending.done

    def take(self) -> Answer | None:
        """What it says of its training, once it is done; None where it lacks plan or model, and began once more."""
        reply, buffers = self._pending.result()
        if isinstance(reply, PlanMissing | ModelMissing):
            if type(reply) in self._missed:
                what = "plan" if isinstance(reply, PlanMissing) else "model"
                raise ProtocolError(f"it says that it has no {what}, and was given it twice")
            self._missed.add(type(reply))
            if isinstance(reply, PlanMissing):
                self.handle.forget_plan(self._form.plan)
            else:
                self.handle.missed_model()
            self._pending = self._send()
            return None
        if isinstance(reply, Failed):
            failure = reply.failure
            raise RemoteError(self.handle.name, failure.operation, failure.error, failure.message)
        if not isinstance(reply, Trained):
            raise ProtocolError(f"it answered a training with {type(reply).__name__}")
        answer = Answer(self.handle.name, reply.examples, reply.loss, reply.seconds, reply.steps, reply.metrics)
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

    def cancel(self) -> None:
        """Nobody will take the answer: it is dropped when it comes."""
        self.handle.cancel(self._pending)

    def _send(self) -> Pending:
        name, edition = self.handle.name, self._edition
        is_there = not edition.lacks(self.handle) and ModelMissing not in self._missed
        return self.handle.train(
            self._form.plan,
            () if is_there else edition.sent,
            self._task,
            lambda progress: self._hear(name, progress),
            is_frozen=edition.is_frozen and not is_there,
        )

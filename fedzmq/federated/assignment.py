"""One worker's training for one version of the model: from the request to its result, which stays over there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.pending import Pending
from fedzmq.client.worker_handle import TrainingTask, WorkerHandle
from fedzmq.errors import ProtocolError, RemoteError
from fedzmq.federated.acceptance import check_answer
from fedzmq.federated.report import Answer
from fedzmq.wire.messages import Failed, PlanMissing, Progress, Trained


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What all workers are sent, and the form of what they answer.

    places: those tensors of the state, by their order in the plan, that travel back.
    """

    plan: bytes
    names: Sequence[str]
    places: Sequence[int]


class Assignment:
    """Begins when it is made. `state` is what the worker trains on, and its values may change afterwards.

    Its methods raise a FedzmqError where the worker cannot be reached, fails, or answers nonsense: it is over then.
    """

    def __init__(
        self,
        handle: WorkerHandle,
        form: Form,
        state: Sequence[torch.Tensor],
        task: TrainingTask,
        hear: Callable[[str, Progress], None],
    ) -> None:
        self.handle = handle
        self._form = form
        self._state = state
        self._task = task
        self._hear = hear
        self._is_sent_again = False
        self._pending = self._send()

    @property
    def done(self) -> bool:
        """Something came, or nothing will."""
        return self._pending.done

    def take(self) -> Answer | None:
        """What it says of its training, once it is done; None where it asked for the plan, and began once more."""
        reply, _ = self._pending.result()
        if isinstance(reply, PlanMissing):
            if self._is_sent_again:
                raise ProtocolError("it says that it has no plan, and was given it twice")
            self._is_sent_again = True
            self.handle.forget_plan(self._form.plan)
            self._pending = self._send()
            return None
        if isinstance(reply, Failed):
            failure = reply.failure
            raise RemoteError(self.handle.name, failure.operation, failure.error, failure.message)
        if not isinstance(reply, Trained):
            raise ProtocolError(f"it answered a training with {type(reply).__name__}")
        answer = Answer(self.handle.name, reply.examples, reply.loss, reply.seconds, reply.steps, reply.metrics)
        check_answer(answer)
        return answer

    def pull(self, start: int, stop: int) -> Pending:
        """Ask for bytes of the tensors that it trained and that travel back, in a row."""
        return self.handle.pull(self._pending.request, start, stop)

    def cancel(self) -> None:
        """Nobody will take the answer: it is dropped when it comes."""
        self.handle.cancel(self._pending)

    def _send(self) -> Pending:
        name = self.handle.name
        return self.handle.train(self._form.plan, self._state, self._task, lambda progress: self._hear(name, progress))

"""One worker's training for one version of the model: from the request to its result, which stays over there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.pending import Pending
from fedzmq.client.tasks import TrainingTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import ProtocolError
from fedzmq.federated.edition import Edition
from fedzmq.federated.errand import Errand
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.acceptance import check_answer
from fedzmq.federated.updates.due import Due, Piece
from fedzmq.tensors.buffers import Exported
from fedzmq.wire.messages import Progress, Trained


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
        due: Due,
        hear: Callable[[str, Progress], None],
    ) -> None:
        super().__init__(handle, form.plan, edition)
        self._task = task
        self._due = due
        self._hear = hear
        self._along: Mapping[int, torch.Tensor] | None = None
        self._send()

    def take(self) -> Answer | None:
        """What it says of its training, once it is done; None where it lacks plan or model, and began once more.

        What was trained, where it came along, is looked at right away: others train still.
        """
        answered = self._answer()
        if answered is None:
            return None
        reply, buffers = answered
        if not isinstance(reply, Trained):
            raise ProtocolError(f"it answered a training with {type(reply).__name__}")
        answer = Answer(
            self.handle.name,
            reply.examples,
            reply.loss,
            reply.seconds,
            reply.steps,
            reply.metrics,
            reply.way,
            reply.fingerprint,
        )
        check_answer(answer)
        if self._task.ahead and reply.parts:
            self._along = self._due.whole(reply.parts, buffers)
        return answer

    def pull(self, piece: Piece) -> Pending | Sequence[torch.Tensor]:
        """Ask for a piece of what is due; of what came along it is given at once."""
        if self._along is None:
            return self.handle.pull(self._pending.request, piece.start, piece.stop)
        return [self._along[span.place][span.start : span.stop] for span in piece.spans]

    def _ask(self, state: Exported, is_frozen: bool) -> Pending:
        name = self.handle.name
        return self.handle.train(
            self._plan, state, self._task, lambda progress: self._hear(name, progress), is_frozen=is_frozen
        )

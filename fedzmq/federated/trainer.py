"""Federated training: rounds of asking workers to train, and averaging what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from fedzmq.client.client import Client
from fedzmq.client.pending import Pending
from fedzmq.client.worker_handle import TrainingTask, WorkerHandle
from fedzmq.errors import FedzmqError, ProtocolError, RemoteError
from fedzmq.federated.aggregator import Aggregator
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.evaluation import Score
from fedzmq.federated.report import Absence, Answer, RoundReport
from fedzmq.federated.seeds import derive
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.update import Update, check_update
from fedzmq.tensors.buffers import restore_all
from fedzmq.wire.messages import Failed, PlanMissing, Progress, Trained

LOOK = 0.25  # seconds between two looks at whether the broker still answers

Evaluate = Callable[[torch.nn.Module], Score]
Hear = Callable[[str, Progress], None]


@dataclass(slots=True)
class _Round:
    """A round that runs."""

    number: int
    waiting: dict[str, Pending]
    handles: dict[str, WorkerHandle]
    tasks: dict[str, TrainingTask]
    aggregator: Aggregator
    answered: list[Answer] = field(default_factory=list)
    failed: dict[str, FedzmqError] = field(default_factory=dict)
    sent_again: set[str] = field(default_factory=set)

    def cancel(self) -> None:
        """Nobody will take the answers that are still to come."""
        for name, pending in self.waiting.items():
            self.handles[name].cancel(pending)


class Trainer:
    """Trains `model` in place by federated averaging (McMahan et al. 2017).

    `plan` is its training step, see `fedzmq.recording.training_plan`. `say` is given a line whenever something is
    waited for, and `hear` the progress of each worker. A worker that dies, fails or answers nonsense is left out of its
    round, and the round's report says why.
    """

    def __init__(
        self,
        client: Client,
        model: torch.nn.Module,
        plan: bytes,
        job: TrainingJob,
        *,
        evaluate: Evaluate | None = None,
        say: Callable[[str], None] = lambda line: None,
        hear: Hear = lambda worker, progress: None,
    ) -> None:
        self._client = client
        self._model = model
        self._plan = plan
        self._job = job
        self._evaluate = evaluate
        self._say = say
        self._hear = hear
        self._cohort = Cohort(client, job.dataset, say)
        named = [*model.named_parameters(), *model.named_buffers()]
        self._names = [name for name, _ in named]
        self._state = [tensor for _, tensor in named]

    def rounds(self) -> Iterator[RoundReport]:
        """Run the job, and give a report after every round; the model is then what the report says.

        Raises NotEnoughWorkers where too few are left, and where all fail for a reason that will not go away, that:
        RemoteError, or UpdateRefused.
        """
        self._cohort.gather(self._job.workers, self._job.patience)
        for number in range(1, self._job.rounds + 1):
            yield self._round(number)

    def _round(self, number: int) -> RoundReport:
        endpoint = self._client.endpoint
        failed: dict[str, FedzmqError] = {}
        while True:
            handles = self._cohort.gather(self._job.least, self._job.patience)
            began, sent, received = time.monotonic(), endpoint.bytes_sent, endpoint.bytes_received
            running = self._ask(number, handles)
            try:
                self._finish(running)
            except BaseException:
                running.cancel()
                raise
            failed |= running.failed
            if running.answered:
                break
            self._give_up_on(running)
        mean = running.aggregator.mean()
        with torch.no_grad():
            for tensor, new in zip(self._state, mean, strict=True):
                tensor.copy_(new)
        score = self._evaluate(self._model) if self._evaluate is not None else Score(float("nan"), None)
        answered = sorted(running.answered, key=lambda answer: answer.worker)
        examples = sum(answer.examples for answer in answered)
        present = {answer.worker for answer in answered}
        return RoundReport(
            number,
            score.loss,
            score.accuracy,
            sum(answer.loss * answer.examples for answer in answered) / examples,
            time.monotonic() - began,
            endpoint.bytes_sent - sent,
            endpoint.bytes_received - received,
            tuple(answered),
            tuple(Absence(name, str(error)) for name, error in sorted(failed.items()) if name not in present),
        )

    def _ask(self, number: int, handles: dict[str, WorkerHandle]) -> _Round:
        running = _Round(number, {}, handles, {}, Aggregator(handles))
        for name, handle in handles.items():
            running.tasks[name] = TrainingTask(
                self._job.dataset,
                self._job.epochs,
                self._job.batch_size,
                self._job.optimizer,
                self._job.options,
                derive(self._job.seed, "train", number, name),
            )
            self._send(running, name, handle)
        return running

    def _send(self, running: _Round, name: str, handle: WorkerHandle) -> None:
        try:
            running.waiting[name] = handle.train(
                self._plan, self._state, running.tasks[name], lambda progress: self._hear(name, progress)
            )
        except FedzmqError as error:
            self._absent(running, name, error)

    def _finish(self, running: _Round) -> None:
        """Take every answer in, in the order in which they come, until none is waited for."""
        is_away = False
        while running.waiting:
            done = [name for name, pending in running.waiting.items() if pending.done]
            for name in done:
                self._take(running, name, running.waiting.pop(name))
            if done or not running.waiting:
                continue
            pendings = list(running.waiting.values())
            self._client.wait_until(lambda: any(pending.done for pending in pendings), LOOK)  # noqa: B023
            if is_away is not self._client.endpoint.presence.away:
                is_away = not is_away
                self._say(
                    f"{self._client.address} does not answer; waiting for it to come back"
                    if is_away
                    else f"{self._client.address} answers again"
                )

    def _take(self, running: _Round, name: str, pending: Pending) -> None:
        try:
            reply, buffers = pending.result()
            if isinstance(reply, PlanMissing):
                if name in running.sent_again:
                    raise ProtocolError("it says that it has no plan, and was given it twice")
                running.sent_again.add(name)
                running.handles[name].forget_plan(self._plan)
                self._send(running, name, running.handles[name])
                return
            if isinstance(reply, Failed):
                raise RemoteError(name, reply.failure.operation, reply.failure.error, reply.failure.message)
            if not isinstance(reply, Trained):
                raise ProtocolError(f"it answered a training with {type(reply).__name__}")
            update = Update(restore_all(reply.state, buffers), reply.examples)
            check_update(update, self._names, self._state)
        except FedzmqError as error:
            self._absent(running, name, error)
            return
        running.aggregator.add(name, update)
        running.answered.append(Answer(name, reply.examples, reply.loss, reply.seconds))

    def _absent(self, running: _Round, name: str, error: FedzmqError) -> None:
        running.aggregator.skip(name)
        running.failed[name] = error
        self._say(f"round {running.number} goes on without {name}: {error}")

    def _give_up_on(self, running: _Round) -> None:
        """No worker answered: wait for others where all are lost, and stop where all failed, for they would again."""
        for name, error in sorted(running.failed.items()):
            if not running.handles[name].is_lost:
                raise error
        self._say(f"round {running.number} lost all its workers; waiting for others")

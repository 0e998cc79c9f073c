"""Federated training without rounds: every worker trains all the time, and nobody waits for the slowest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from fedzmq.client.client import Client
from fedzmq.errors import FedzmqError, UsageError
from fedzmq.federated.assigner import Assigner
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.buffer import Buffer
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.edition import Edition
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.ledger.ledger import Ledger
from fedzmq.federated.meter import Meter
from fedzmq.federated.report import Absence, Answer, RoundReport
from fedzmq.federated.round import LOOK
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.trainer import Evaluate, Hear
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.training_state import TrainingState
from fedzmq.tensors.row import digest_of


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A worker that trains, and what it was sent: the model after so many steps."""

    assignment: Assignment
    number: int
    steps: int
    state: Sequence[torch.Tensor]


class AsyncTrainer:
    """As `Trainer`, with an asynchronous strategy. The job's rounds are the steps of the model.

    Raises UsageError for a job that says how a round ends. An answer's metrics tell its staleness. A worker that failed
    is asked again after the next step.

    A training that is taken up from the `ledger` goes on from the last step that was committed. What was under way is
    lost, and its workers are asked anew, so that the outcome is another one than undisturbed; it depends on who answers
    first in any case.
    """

    def __init__(
        self,
        client: Client,
        model: torch.nn.Module,
        plan: bytes,
        job: TrainingJob,
        *,
        strategy: Asynchronous,
        evaluate: Evaluate | None = None,
        say: Callable[[str], None] = lambda line: None,
        hear: Hear = lambda worker, progress: None,
        ledger: Ledger | None = None,
    ) -> None:
        for name in ("cohort", "fraction", "quorum", "deadline"):
            if getattr(job, name) is not None:
                raise UsageError(f"asynchronous training has no rounds: leave {name!r} out of the job")
        strategy.check(job)
        self._client = client
        self._model = model
        self._job = job
        self._strategy = strategy
        self._evaluate = evaluate
        self._say = say
        self._cohort = Cohort(client, job.dataset, say)
        self._shared = SharedModel(model, plan, strategy)
        self._assigner = Assigner(job, self._shared, strategy, hear)
        self._kept = TrainingState(ledger or Ledger(), job, plan, self._shared, strategy, self._assigner)
        self._running: dict[str, _Running] = {}
        self._failed: dict[str, FedzmqError] = {}

    def rounds(self) -> Iterator[RoundReport]:
        """Run the job, and give a report after every step of the model. Raises as `Trainer.rounds` does."""
        done = self._kept.take_up()
        if done >= self._job.rounds:
            return
        self._cohort.gather(self._job.workers, self._job.patience)
        try:
            for number in range(done + 1, self._job.rounds + 1):
                report = self._step(number)
                self._kept.commit(number, report)
                yield report
            self._assigner.release()
        finally:
            for running in self._running.values():
                running.assignment.cancel()
            self._running.clear()

    def _step(self, number: int) -> RoundReport:
        meter = Meter(self._client.endpoint)
        state = [tensor.detach().clone() for tensor in self._shared.state]
        edition = Edition(state, digest_of(state) if self._kept.is_durable else "")
        answered: list[Answer] = []
        absent: dict[str, Absence] = {}
        self._failed.clear()
        with Buffer(self._client, self._shared.shared, self._strategy) as buffer:
            while len(answered) < self._strategy.buffer:
                self._engage(number - 1, state, edition)
                done = [name for name, running in sorted(self._running.items()) if running.assignment.done]
                for name in done[: self._strategy.buffer - len(answered)]:
                    running = self._running[name]
                    staleness = number - 1 - running.steps
                    try:
                        answer = running.assignment.take()
                        if answer is None:
                            continue
                        sent = [running.state[place] for place in self._shared.form.places]
                        buffer.add(running.assignment, sent, staleness)
                    except FedzmqError as error:
                        self._without(running, error)
                        absent[name] = Absence(name, str(error))
                        continue
                    answered.append(replace(answer, metrics={**answer.metrics, "staleness": float(staleness)}))
                    self._assigner.counted[name] = running.number
                    del self._running[name]
                if not done:
                    waiting = [running.assignment for running in self._running.values()]
                    self._client.wait_until(lambda: any(each.done for each in waiting), LOOK)  # noqa: B023
            self._shared.step(buffer)
        score = self._evaluate(self._model) if self._evaluate is not None else Score(float("nan"), None)
        return meter.report(number, score, answered, absent)

    def _engage(self, steps: int, state: Sequence[torch.Tensor], edition: Edition) -> None:
        """Have everybody train who is here and does nothing. Raises what a worker failed with where nobody is left."""
        present = self._cohort.gather(self._job.least, self._job.patience)
        for name, handle in present.items():
            if name in self._running or name in self._failed:
                continue
            number = self._kept.asked[name] = self._kept.asked.get(name, 0) + 1
            try:
                assignment = self._assigner.assign(handle, number, edition)
            except FedzmqError:
                continue  # it went this very moment: it is here no more, or comes back as another one
            self._running[name] = _Running(assignment, number, steps, state)
        if not self._running and self._failed:
            raise next(iter(self._failed.values()))

    def _without(self, running: _Running, error: FedzmqError) -> None:
        name = running.assignment.handle.name
        del self._running[name]
        if not running.assignment.handle.is_lost:
            self._failed[name] = error
        self._say(f"the training goes on without {name}: {error}")

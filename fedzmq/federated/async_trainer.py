"""Federated training without rounds: every worker trains all the time, and nobody waits for the slowest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from fedzmq.client.client import Client
from fedzmq.client.waiting import Waiting
from fedzmq.errors import FedzmqError, UsageError
from fedzmq.federated.arguments import check_arguments, checked_score
from fedzmq.federated.assigner import Assigner
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.buffer import Arrival, Buffer
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.edition import Edition
from fedzmq.federated.evaluation.at_workers import AtWorkers
from fedzmq.federated.evaluation.on_the_way import STALENESS, OnTheWay
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.ledger.ledger import Ledger
from fedzmq.federated.meter import Meter
from fedzmq.federated.report import Absence, Answer, Evaluation, RoundReport
from fedzmq.federated.round import LOOK
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.trainer import Evaluate, Hear
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.training_state import TrainingState
from fedzmq.federated.updates.due import Due
from fedzmq.tensors.row import digest_of

TOGETHER = 0.002  # seconds that one who has answered waits for others, to be pulled with them


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

    With `at_workers`, a worker evaluates the model that it is sent before it trains it, and a report tells what each
    has found last, and of how stale a model. After the last step all are at rest, and evaluate the model that is left.

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
        at_workers: Scoring | None = None,
    ) -> None:
        check_arguments(client, model, plan, job, strategy, evaluate, ledger)
        if not isinstance(strategy, Asynchronous):
            raise UsageError(f"{type(strategy).__name__} works in rounds: it needs a Trainer")
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
        self._on_the_way = (
            None
            if at_workers is None
            else OnTheWay(
                AtWorkers(client, job, at_workers, self._shared, strategy, self._assigner, say), job.evaluate_every
            )
        )
        self._waiting = Waiting()
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
            self._stop()

    def _step(self, number: int) -> RoundReport:
        meter = Meter(self._client.endpoint)
        state = [tensor.detach().clone() for tensor in self._shared.state]
        edition = Edition(state, digest_of(state) if self._kept.is_durable else "")
        answered: list[Answer] = []
        absent: dict[str, Absence] = {}
        self._failed.clear()
        self._waiting.begin()
        with Buffer(self._client, self._shared, self._strategy) as buffer:
            while len(answered) < self._strategy.buffer:
                news = self._client.news
                self._engage(number - 1, state, edition)
                done = self._done(self._strategy.buffer - len(answered))
                given, failed = self._take(done)
                failed |= buffer.add({name: self._arrival(name, number) for name in given})
                for name, error in failed.items():
                    self._without(self._running[name], error)
                    absent[name] = Absence(name, str(error))
                for name in sorted(given.keys() - failed.keys()):
                    answer, running = given[name], self._running.pop(name)
                    staleness = float(number - 1 - running.steps)
                    answered.append(replace(answer, metrics={**answer.metrics, STALENESS: staleness}))
                    self._assigner.counted[name] = running.number
                if not done:
                    self._client.wait_for_news(news, LOOK)
                    remark = self._waiting.remark(self._client, self._running)
                    if remark is not None:
                        self._say(f"step {number} {remark}")
            self._shared.step(buffer)
        for line in self._kept.note(number, answered):
            self._say(line)
        score = Score(float("nan"), None) if self._evaluate is None else checked_score(self._evaluate(self._model))
        evaluated, together = self._found(number)
        if self._evaluate is None and together is not None:
            score = Score(together.loss, together.accuracy, together.metrics)
        return meter.report(number, score, answered, absent, evaluated, together)

    def _done(self, most: int) -> list[str]:
        """Who has answered, in the order in which they were asked: by name, the last would never come to their turn.

        Those who answer at the same time are pulled side by side.
        """
        running = self._running
        if any(each.assignment.done for each in running.values()):
            wanted = min(most, len(running))
            self._client.wait_until(lambda: sum(each.assignment.done for each in running.values()) >= wanted, TOGETHER)
        return [name for name, each in running.items() if each.assignment.done][:most]

    def _take(self, names: Sequence[str]) -> tuple[dict[str, Answer], dict[str, FedzmqError]]:
        """What these say of their trainings, and what is wrong with those that are of no use."""
        given: dict[str, Answer] = {}
        failed: dict[str, FedzmqError] = {}
        for name in names:
            try:
                answer = self._running[name].assignment.take()
                if answer is not None:
                    self._strategy.accept(answer)
                    given[name] = answer
            except FedzmqError as error:
                failed[name] = error
        return given, failed

    def _arrival(self, name: str, number: int) -> Arrival:
        running = self._running[name]
        sent = [running.state[place] for place in self._shared.form.places]
        return Arrival(running.assignment, sent, number - 1 - running.steps)

    def _found(self, number: int) -> tuple[Sequence[Evaluation], Evaluation | None]:
        """What workers say of the model, as far as this step is one to evaluate."""
        if self._on_the_way is None or not self._job.is_evaluated(number):
            return (), None
        if number < self._job.rounds:
            return self._on_the_way.so_far(number)
        self._stop()  # what is under way comes too late for any step
        return self._on_the_way.all_now(number, self._cohort.gather(self._job.least, self._job.patience))

    def _stop(self) -> None:
        for running in self._running.values():
            running.assignment.cancel()
        self._running.clear()
        if self._on_the_way is not None:
            self._on_the_way.cancel()

    def _engage(self, steps: int, state: Sequence[torch.Tensor], edition: Edition) -> None:
        """Have everybody train who is here and does nothing. Raises what a worker failed with where nobody is left."""
        present = self._cohort.gather(self._job.least, self._job.patience)
        due = Due(self._shared.shared, len(present))
        for name, handle in present.items():
            if name in self._running or name in self._failed:
                continue
            number = self._kept.asked[name] = self._kept.asked.get(name, 0) + 1
            if self._on_the_way is not None:
                self._on_the_way.ask(handle, steps, edition)
            try:
                assignment = self._assigner.assign(handle, number, edition, due)
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

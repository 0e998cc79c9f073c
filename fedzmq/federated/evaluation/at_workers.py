"""Evaluation at the workers: each runs the model on its own examples, and what they find is added up here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from fedzmq.client.client import Client
from fedzmq.client.tasks import EvaluationTask
from fedzmq.client.waiting import Waiting
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import FedzmqError
from fedzmq.federated.assigner import Assigner
from fedzmq.federated.edition import Edition, publish
from fedzmq.federated.evaluation.metrics import Figure
from fedzmq.federated.evaluation.question import Found, Question
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.report import Evaluation
from fedzmq.federated.round import LOOK
from fedzmq.federated.seeds import derive
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.plans.plan import name_of
from fedzmq.worker.training.train import PERSONAL

LEAST_BATCH = 256  # examples at once, where training takes fewer: without gradients there is room
NAMELESS = "evaluated"  # what a model is called that is sent with the request, which nobody looks up
ALL = "all"  # what the workers together are called in a report


class AtWorkers:
    """`say` is given a line for every worker that does not evaluate a model."""

    def __init__(
        self,
        client: Client,
        job: TrainingJob,
        scoring: Scoring,
        shared: SharedModel,
        strategy: Strategy,
        assigner: Assigner,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._job = job
        self._scoring = scoring
        self._shared = shared
        self._strategy = strategy
        self._assigner = assigner
        self._say = say
        self._trained = name_of(shared.form.plan)

    def ask(self, handle: WorkerHandle, number: int, edition: Edition) -> Question:
        """Have a worker evaluate the model after this round, without waiting for it. Raises a FedzmqError."""
        job = self._job
        task = EvaluationTask(
            job.dataset,
            max(LEAST_BATCH, job.batch_size),
            derive(job.seed, "evaluate", number, handle.name),
            trained=self._trained,
            local=self._assigner.local(handle.name, number, self._strategy.ask(handle.name)),
            model=edition.name,
            held_out=job.held_out(handle.name),
            max_seconds=job.max_seconds,
        )
        return Question(handle, self._scoring, edition, task)

    def conclude(self, found: Mapping[str, Found]) -> tuple[list[Evaluation], Evaluation | None]:
        """What each of these says of the model, by name, and what all of them say together."""
        if not found:
            return [], None
        sound = [one for one in found.values() if one.is_finite]
        each = [self._evaluation(name, [one]) for name, one in sorted(found.items())]
        return each, self._evaluation(ALL, sound or list(found.values()))

    def evaluate(self, number: int, handles: Mapping[str, WorkerHandle]) -> tuple[list[Evaluation], Evaluation | None]:
        """What each of these finds of the model after this round, by name, and what all together find.

        A worker that fails, or is late where the job has a deadline, is left out and said to be. Whatever interrupts
        it, the workers are told to stop.
        """
        there = {name: handle for name, handle in sorted(handles.items()) if not handle.is_lost}
        edition = publish(self._client, self._shared.state, list(there.values()), NAMELESS, self._say)
        asked: dict[str, Question] = {}
        try:
            for name, handle in there.items():
                try:
                    asked[name] = self.ask(handle, number, edition)
                except FedzmqError as error:
                    self.without(number, name, error)
            found = self._wait(number, asked)
        except BaseException:
            for question in asked.values():
                question.cancel()
            raise
        return self.conclude(found)

    def without(self, number: int, name: str, reason: FedzmqError | str) -> None:
        """Say that it does not evaluate the model after this round."""
        self._say(f"round {number} is not evaluated by {name}: {reason}")

    def _wait(self, number: int, asked: dict[str, Question]) -> dict[str, Found]:
        """Take every answer in. `asked` holds those that are still waited for."""
        found: dict[str, Found] = {}
        began = time.monotonic()
        waiting = Waiting()
        while asked:
            news = self._client.news
            for name in [name for name, question in asked.items() if question.done]:
                try:
                    answer = asked[name].take()
                    if answer is None:
                        continue
                    found[name] = answer
                except FedzmqError as error:
                    self.without(number, name, error)
                del asked[name]
            left = float("inf") if self._job.deadline is None else began + self._job.deadline - time.monotonic()
            if left <= 0:
                break
            if asked:
                self._client.wait_for_news(news, min(LOOK, left))
                remark = waiting.remark(self._client, asked)
                if remark is not None:
                    self._say(f"the evaluation of round {number} {remark}")
        for name, question in asked.items():
            question.cancel()
            self.without(number, name, f"it was late: {len(found)} others had answered")
        return found

    def _evaluation(self, name: str, found: Sequence[Found]) -> Evaluation:
        """Of the sums of all of these."""
        examples = sum(one.examples for one in found)
        score = self._scoring.score(_added([one.common for one in found]), examples)
        own = [one for one in found if one.own]
        metrics = dict(score.metrics)
        if own:
            count = sum(one.examples for one in own)
            metrics |= _personal(self._scoring.score(_added([one.own for one in own]), count))
        return Evaluation(name, examples, score.loss, score.accuracy, metrics, max(one.seconds for one in found))


def _added(sums: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    first, *others = sums
    total = list(first)
    for each in others:
        total = [a + b for a, b in zip(total, each, strict=True)]
    return total


def _personal(score: Score) -> dict[str, Figure]:
    figures: dict[str, Figure] = {"loss": score.loss, **score.metrics}
    if score.accuracy is not None:
        figures["accuracy"] = score.accuracy
    return {PERSONAL + name: value for name, value in figures.items()}

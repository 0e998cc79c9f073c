"""Federated training: rounds of asking workers to train, and making one model of what they answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from fedzmq.client.client import Client
from fedzmq.client.waiting import Waiting
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import NotEnoughWorkers, UpdateNotFinite, UpdateRefused, UsageError
from fedzmq.federated.arguments import check_arguments, checked_score
from fedzmq.federated.assigner import Assigner
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.edition import publish
from fedzmq.federated.evaluation.at_workers import AtWorkers
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.ledger.ledger import Ledger
from fedzmq.federated.meter import Meter
from fedzmq.federated.report import Absence, Evaluation, RoundReport
from fedzmq.federated.round import Ending, Round
from fedzmq.federated.seeds import derive
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.asynchronous import Asynchronous
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.training_state import TrainingState
from fedzmq.federated.updates.due import Due
from fedzmq.wire.messages import Progress

RETURN = 1.0  # seconds that those whom a round lost have to come back, before it is done without them
GRACE = 0.5  # seconds that those who were late in the last round have to stop, before the next one begins without them

Evaluate = Callable[[torch.nn.Module], Score]
Hear = Callable[[str, Progress], None]


class Trainer:
    """Trains `model` in place by a strategy, which is federated averaging where none is given.

    `plan` is its training step, see `fedzmq.recording.training_plan`. `say` is given a line whenever something is
    waited for, and `hear` the progress of each worker. A worker that dies, fails, is late or answers nonsense is left
    out of its round, and the round's report says why. A round is committed to the `ledger` before its report is given,
    and what the ledger has already is taken up: see `fedzmq.federated.ledger.run_ledger`.

    Raises a UsageError for what is not of these kinds, and for a plan that is another model's.

    `evaluate` says how good the model is, and by `at_workers` each worker says it of its own examples, too; without
    `evaluate`, what all of them say together is the report's.
    """

    def __init__(
        self,
        client: Client,
        model: torch.nn.Module,
        plan: bytes,
        job: TrainingJob,
        *,
        strategy: Strategy | None = None,
        evaluate: Evaluate | None = None,
        say: Callable[[str], None] = lambda line: None,
        hear: Hear = lambda worker, progress: None,
        ledger: Ledger | None = None,
        at_workers: Scoring | None = None,
    ) -> None:
        self._strategy = FedAvg() if strategy is None else strategy
        if isinstance(self._strategy, Asynchronous):
            raise UsageError(f"{type(strategy).__name__} knows no rounds: it needs an AsyncTrainer")
        check_arguments(client, model, plan, job, self._strategy, evaluate, ledger)
        self._client = client
        self._model = model
        self._job = job
        self._strategy.check(job)
        self._evaluate = evaluate
        self._say = say
        self._cohort = Cohort(client, job.dataset, say)
        self._shared = SharedModel(model, plan, self._strategy)
        self._assigner = Assigner(job, self._shared, self._strategy, hear)
        self._kept = TrainingState(ledger or Ledger(), job, plan, self._shared, self._strategy, self._assigner)
        self._at_workers = (
            None
            if at_workers is None
            else AtWorkers(client, job, at_workers, self._shared, self._strategy, self._assigner, say)
        )
        self._waiting = Waiting()
        self._took_part: set[str] = set()  # in the last round, and are not known to be gone
        self._late: dict[str, Assignment] = {}
        self._are_stopping = False

    def rounds(self) -> Iterator[RoundReport]:
        """Run the job, and give a report after every round; the model is then what the report says.

        Raises NotEnoughWorkers where too few are left, and where all fail for a reason that will not go away, that:
        RemoteError, or UpdateRefused. What the ledger raises ends it too.
        """
        done = self._kept.take_up()
        if done >= self._job.rounds:
            return
        self._cohort.gather(max(self._job.workers, self._needed), self._job.patience)
        # Without one of them the model becomes another one; but a round with a deadline goes on without late ones.
        patience = self._job.patience if self._job.deadline is None else min(self._job.patience, self._job.deadline)
        self._cohort.await_all(self._kept.seen, patience)
        for number in range(done + 1, self._job.rounds + 1):
            report = self._round(number)
            self._kept.commit(number, report)
            yield report
        self._assigner.release()

    @property
    def _needed(self) -> int:
        """Fewer answers than this make no round."""
        return max(self._strategy.least, self._job.quorum or 1)

    def _round(self, number: int) -> RoundReport:
        absent: dict[str, Absence] = {}
        # Only another process has to look at the state to know it again, and that takes time.
        model = "" if self._kept.is_durable else os.urandom(8).hex()
        while True:
            present = self._free()
            for name in sorted(self._took_part - present.keys()):
                self._say(f"round {number} begins without {name}, who took part before and is here no longer")
            meter = Meter(self._client.endpoint)
            running = self._open(number, present, model)
            running.run(self._client)
            collector = running.collect(self._client, self._strategy.collect)
            self._late |= running.late
            self._are_stopping = bool(running.late)
            absent |= running.absent
            self._took_part = set(running.answered)
            if collector is not None:
                break
            self._give_up_on(running)
        try:
            self._shared.step(collector)
        finally:
            collector.close()
        if self._strategy.forgets:
            self._assigner.counted.clear()
        else:
            self._assigner.counted |= dict.fromkeys(running.answered, number)
        for line in self._kept.note(number, running.answered.values()):
            self._say(line)
        score = Score(float("nan"), None) if self._evaluate is None else checked_score(self._evaluate(self._model))
        evaluated: Sequence[Evaluation] = ()
        together: Evaluation | None = None
        if self._at_workers is not None and self._job.is_evaluated(number):
            evaluated, together = self._at_workers.evaluate(number, self._without_late(present))
            if self._evaluate is None and together is not None:
                score = Score(together.loss, together.accuracy, together.metrics)
        for name in running.answered:
            absent.pop(name, None)
        answers = (answer for _, answer in sorted(running.answered.items()))
        return meter.report(number, score, answers, absent, evaluated, together)

    def _open(self, number: int, present: Mapping[str, WorkerHandle], model: str) -> Round:
        opened = self._kept.open(number, present, self._choose)
        names, population = opened.workers, len(opened.present)
        wanted = self._job.wanted(population, self._needed)
        asked = self._job.asked(population, self._needed)
        self._strategy.begin(self._shared.opening(number, names, population))
        edition = publish(self._client, self._shared.state, [present[name] for name in names], model, self._say)
        due = Due({**self._shared.shared, **self._strategy.beside()}, len(names))
        # Those who have it already come first: to send it to one of the others may take long.
        handles = {name: present[name] for name in sorted(names, key=lambda name: edition.lacks(present[name]))}
        return Round(
            number,
            handles,
            due,
            Ending(
                wanted if asked > wanted else len(names),
                self._needed,
                self._job.deadline,
                min(self._strategy.attackers, self._needed - (self._job.quorum or 1)),
            ),
            lambda handle: self._assigner.assign(handle, number, edition, due),
            self._strategy.accept,
            self._say,
            self._waiting,
        )

    def _choose(self, number: int, present: Sequence[str]) -> Sequence[str]:
        asked = self._job.asked(len(present), self._needed)
        chosen = self._strategy.choose(present, asked, derive(self._job.seed, "cohort", number))
        for name in chosen:
            if name not in present:
                who = f"the strategy {type(self._strategy).__name__} chooses {name!r} for round {number}"
                raise UsageError(f"{who}, and one of those that are here is expected: {', '.join(present)}")
        return list(dict.fromkeys(chosen))

    def _free(self) -> dict[str, WorkerHandle]:
        """The workers that are here and do not still stop what they were late with, once they are enough.

        Raises NotEnoughWorkers.
        """
        least = max(self._job.least, self._needed)
        present = self._cohort.gather(least, self._job.patience)
        if self._are_stopping:
            self._are_stopping = False  # once: one that hangs would hold up every round
            self._client.wait_until(lambda: all(each.done for each in self._late.values()), GRACE)
        free = self._without_late(present)
        if len(free) < least:
            self._client.wait_until(lambda: len(self._without_late(present)) >= least, self._job.patience)
            free = self._without_late(present)
        if len(free) < least:
            busy = ", ".join(sorted(set(present) - set(free)))
            reason = f"waited {self._job.patience:g} s; busy with an earlier round: {busy}"
            raise NotEnoughWorkers(least, tuple(sorted(free)), reason)
        return free

    def _without_late(self, present: Mapping[str, WorkerHandle]) -> dict[str, WorkerHandle]:
        self._late = {name: each for name, each in self._late.items() if not each.done}
        return {
            name: handle
            for name, handle in present.items()
            if name not in self._late or self._late[name].handle is not handle
        }

    def _give_up_on(self, running: Round) -> None:
        """Too few answered: wait for others where all who failed are lost, and stop where not, for they would again."""
        number, answered = running.number, tuple(sorted(running.answered))
        if running.unsaid is not None and not answered:
            raise running.unsaid
        for name, error in sorted(running.failed.items()):
            if running.is_lost(name):
                continue
            if not answered and isinstance(error, UpdateNotFinite):
                raise UpdateRefused(
                    f"every worker's update was left out of round {number} ({', '.join(sorted(running.failed))}): "
                    f"{error.tensor!r} of {name} holds NaN or infinity; try a smaller learning rate (lr)"
                ) from error
            if not answered:
                raise error
            raise NotEnoughWorkers(self._needed, answered, f"round {number} failed on {name}: {error}") from error
        if not running.failed:
            raise NotEnoughWorkers(self._needed, answered, f"round {number} asked no more")
        what = f"has {len(answered)} of {self._needed} answers" if answered else "lost all its workers"
        self._say(f"round {number} {what}; waiting for others")
        # It may have been this process that was away, and all of them are back at once: not the first alone goes on.
        self._cohort.await_all(running.failed, RETURN, is_told=False)

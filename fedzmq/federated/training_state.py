"""The state of a training, gathered from where it lives for the ledger, and put back there when it is taken up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from fedzmq.federated.assigner import Assigner
from fedzmq.federated.ledger.checkpoint import Checkpoint, Opened
from fedzmq.federated.ledger.ledger import Ledger
from fedzmq.federated.ledger.randomness import restore
from fedzmq.federated.ledger.terms import terms_of
from fedzmq.federated.report import Answer, RoundReport
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.worker.fingerprints import are_others

Choose = Callable[[int, Sequence[str]], Sequence[str]]


class TrainingState:
    """`asked` is how often each worker was asked, where there are no rounds. `seen` are those who were here when the
    last round began that the ledger knows of.
    """

    def __init__(
        self,
        ledger: Ledger,
        job: TrainingJob,
        plan: bytes,
        shared: SharedModel,
        strategy: Strategy,
        assigner: Assigner,
    ) -> None:
        self._ledger = ledger
        self._rounds = job.rounds
        self._is_cut = job.max_seconds is not None  # then a worker comes to more or fewer of its examples
        self._terms = terms_of(job, plan, strategy)
        self._shared = shared
        self._strategy = strategy
        self._assigner = assigner
        self._interrupted: Opened | None = None
        self.asked: dict[str, int] = {}
        self._answers: dict[str, Answer] = {}  # the last of each worker
        self.seen: Collection[str] = ()

    @property
    def is_durable(self) -> bool:
        """The training can be taken up by another process."""
        return self._ledger.is_durable

    def take_up(self) -> int:
        """How many rounds are done: everything is as it was after them. Without any, this state is committed."""
        checkpoint = self._ledger.take_up(self._terms, self._rounds)
        if checkpoint is None:
            self._ledger.begin(self._checkpoint(0))
            return 0
        self._shared.restore(checkpoint.model)
        self._strategy.memory.clear()
        self._strategy.memory.update(checkpoint.memory)
        self._assigner.run = checkpoint.run
        self._assigner.counted = dict(checkpoint.counted)
        self.asked = dict(checkpoint.asked)
        if checkpoint.randomness:
            restore(checkpoint.randomness)
        self._answers = {each.worker: each for report in self._ledger.reports for each in report.answered}
        opened = self._ledger.opened()
        self.seen = () if opened is None else opened.present
        self._interrupted = opened if opened is not None and opened.round > checkpoint.round else None
        return checkpoint.round

    def open(self, number: int, present: Collection[str], choose: Choose) -> Opened:
        """Whom a round asks: those whom it asked before it was interrupted, if they are here, or else as chosen."""
        before, self._interrupted = self._interrupted, None
        if before is not None and before.round == number and set(before.workers) <= set(present):
            opened = before
        else:
            names = sorted(present)
            opened = Opened(number, tuple(choose(number, names)), tuple(names))
        self._ledger.open(opened)
        return opened

    def note(self, number: int, answers: Iterable[Answer]) -> list[str]:
        """Of answers that count, whose data is not what it was, as after a worker was started again with other data."""
        lines = []
        for now in sorted(answers, key=lambda answer: answer.worker):
            before = self._answers.get(now.worker, now)
            how = ""
            if before.examples != now.examples and not self._is_cut:
                how = f"{now.examples} examples in round {number}, and on {before.examples} before: it holds other data"
            elif are_others(before.fingerprint, now.fingerprint):
                how = f"other data in round {number} than before"
            if how:
                lines.append(f"{now.worker} trained on {how}, and the model becomes another one")
            self._answers[now.worker] = now
        return lines

    def commit(self, number: int, report: RoundReport) -> None:
        """A round counts when this returns."""
        self._ledger.commit(self._checkpoint(number), report)

    def _checkpoint(self, number: int) -> Checkpoint:
        return Checkpoint(
            number,
            self._assigner.run,
            self._shared.named,
            self._strategy.memory,
            self._assigner.counted,
            self.asked,
        )

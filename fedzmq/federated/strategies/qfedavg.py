"""Fairness: workers on whose data the model is bad count for more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.errors import UpdateRefused, UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.updates.aggregator import Aggregator, Weigh
from fedzmq.federated.updates.collector import Collector
from fedzmq.federated.updates.precision import wide
from fedzmq.worker.training.train import LOSS_BEFORE

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob

_NO_LOSS = 1e-10  # added to a loss, of which a power below 0 may be taken


@dataclass(eq=False)
class QFedAvg(Strategy):
    """model = model - sum(loss^q * way) / sum(q * loss^(q - 1) * |way|^2 + L * loss^q), way = L * (model - worker's).

    `loss` is that of the common model on the worker's data before training, in batches and in the mode in which it is
    trained, and |way|^2 is over what is trained. `lipschitz` is L; 0 is 1 / local lr. With q = 0 all workers count the
    same. Li et al. 2020, Fair Resource Allocation in Federated Learning, algorithm 2, by which every worker has a loss
    of its own: with one of the coordinator's for all of them, as in Flower, none would count for more.
    """

    q: float = 1.0
    lipschitz: float = 0.0

    def __post_init__(self) -> None:
        at_least("q", self.q, 0)
        at_least("lipschitz", self.lipschitz, 0)
        self._smooth = self.lipschitz
        self._sums: _Sums
        self._names: list[str] = []
        self._trained: frozenset[str] = frozenset()

    def check(self, job: TrainingJob) -> None:
        lr = float(job.options.get("lr", 0))
        if not self.lipschitz and not lr > 0:
            raise UsageError("q-FedAvg needs 'lipschitz', or a job with a positive 'lr'")
        self._smooth = self.lipschitz or 1 / lr

    def begin(self, opening: Opening) -> None:
        self._names = list(opening.state)
        self._trained = frozenset(opening.trained)

    def ask(self, worker: str) -> Instructions:
        return Instructions(loss_before=True)

    def accept(self, answer: Answer) -> None:
        loss = answer.metrics.get(LOSS_BEFORE, -1.0)
        if not 0 <= loss < float("inf"):
            raise UpdateRefused(f"its loss before training is {loss:g}, and a number from 0 is needed")

    def weigh(self, answer: Answer) -> float:
        return float(_loss(answer) ** self.q)

    def collect(self, answers: Sequence[Answer]) -> Collector:
        self._sums = _Sums(
            answers, self.weigh, [place for place, name in enumerate(self._names) if name in self._trained]
        )
        return self._sums

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        sums, smooth = self._sums, self._smooth
        squares = sum(self.q * float(_loss(each) ** (self.q - 1)) * sums.squares[each.worker] for each in sums.answers)
        divisor = smooth**2 * squares + smooth * sums.weight
        return old - (smooth * sums.weight / divisor) * (old - mean)


class _Sums(Aggregator):
    """The mean, and beside it the squared length of every worker's way through the parameters at those places."""

    def __init__(self, answers: Sequence[Answer], weigh: Weigh, places: Sequence[int]) -> None:
        super().__init__(answers, weigh)
        self.answers = answers
        self.squares = {answer.worker: 0.0 for answer in answers}
        self._places = frozenset(places)
        self._state: Sequence[torch.Tensor] = ()

    def open(self, state: Sequence[torch.Tensor]) -> None:
        super().open(state)
        self._state = [each.reshape(-1) for each in state]

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        super().fold(worker, place, start, values)
        if place in self._places:
            old = self._state[place][start : start + len(values)]
            self.squares[worker] += float((old.to(wide(old.dtype)) - values).abs().square().sum())


def _loss(answer: Answer) -> float:
    return answer.metrics[LOSS_BEFORE] + _NO_LOSS

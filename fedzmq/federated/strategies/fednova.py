"""Workers that took unlike numbers of steps, made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.local_steps import needs_a_rate, needs_sums_of_gradients
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.updates.acceptance import needs_a_way
from fedzmq.federated.updates.aggregator import Aggregator, Weigh
from fedzmq.federated.updates.collector import Collector

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


@dataclass(eq=False)
class FedNova(Strategy):
    """model = model - (the mean of a) * (the mean of (model - worker's model) / a), where a weighs a worker's steps.

    Both means are weighted by examples. a is the sum of what every gradient weighs in the end: of the learning rates,
    where momentum counts a gradient once more in each step that follows, and a pull to the model, by `mu` as in
    FedProx, for less. Running statistics are averaged as by FedAvg. Wang et al. 2020, Tackling the Objective
    Inconsistency Problem in Heterogeneous Federated Optimization, equations 6 to 8 and section 4; a is |a|_1 there,
    times the learning rate, which is then free to follow a schedule. Only SGD's steps are such sums of gradients, so no
    other optimizer is taken.
    """

    mu: float = 0.0

    def __post_init__(self) -> None:
        at_least("mu", self.mu, 0)
        self._examples = self._counted = self._ratio = 0.0

    def check(self, job: TrainingJob) -> None:
        needs_sums_of_gradients("FedNova", job)
        needs_a_rate("FedNova", job)

    def begin(self, opening: Opening) -> None:
        self._trained = frozenset(opening.trained)
        self._others = [place for place, name in enumerate(opening.state) if name not in self._trained]

    def ask(self, worker: str) -> Instructions:
        return Instructions(proximal=self.mu)

    def accept(self, answer: Answer) -> None:
        needs_a_way(answer)

    def weigh(self, answer: Answer) -> float:
        return answer.examples / answer.way

    def collect(self, answers: Sequence[Answer]) -> Collector:
        self._examples = sum(answer.examples for answer in answers)
        self._counted = sum(answer.examples * answer.way for answer in answers)
        self._ratio = sum(self.weigh(answer) for answer in answers)
        return _Means(answers, self.weigh, self._others)

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        return old + (self._counted / self._examples) * (self._ratio / self._examples) * (mean - old)


class _Means(Aggregator):
    """The means of these weights, and by examples at the places of what is not trained."""

    def __init__(self, answers: Sequence[Answer], weigh: Weigh, others: Sequence[int]) -> None:
        super().__init__(answers, weigh)
        self._by_examples = Aggregator(answers)
        self._others = {place: number for number, place in enumerate(others)}

    def open(self, state: Sequence[torch.Tensor]) -> None:
        super().open(state)
        self._by_examples.open([state[place] for place in self._others])

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        if place in self._others:
            self._by_examples.fold(worker, self._others[place], start, values)
        else:
            super().fold(worker, place, start, values)

    def combined(self, place: int) -> torch.Tensor:
        if place in self._others:
            return self._by_examples.combined(self._others[place])
        return super().combined(place)

    def close(self) -> None:
        super().close()
        self._by_examples.close()

"""Workers that took unlike numbers of steps, made comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.updates.acceptance import needs_a_way
from fedzmq.federated.updates.collector import Collector


@dataclass(eq=False)
class FedNova(Strategy):
    """model = model - (the mean of a) * (the mean of (model - worker's model) / a), where a weighs a worker's steps.

    Both means are weighted by examples. a is the sum of what every gradient weighs in the end: of the learning rates,
    where momentum counts a gradient once more in each step that follows, and a pull to the model, by `mu` as in
    FedProx, for less. Running statistics are averaged by examples / a. Wang et al. 2020, Tackling the Objective
    Inconsistency Problem in Heterogeneous Federated Optimization, equations 6 to 8 and section 4; a is |a|_1 there,
    times the learning rate, which is then free to follow a schedule. An optimizer other than sgd counts by its learning
    rates alone.
    """

    mu: float = 0.0

    def __post_init__(self) -> None:
        at_least("mu", self.mu, 0)
        self._examples = self._counted = self._ratio = 0.0

    def begin(self, opening: Opening) -> None:
        self._trained = frozenset(opening.trained)

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
        return super().collect(answers)

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        return old + (self._counted / self._examples) * (self._ratio / self._examples) * (mean - old)

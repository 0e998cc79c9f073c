"""Fairness: workers on whose data the model is bad count for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.errors import UpdateRefused, UsageError
from fedzmq.federated.precision import wide
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.update import Update
from fedzmq.worker.training import LOSS_BEFORE

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob

_NO_LOSS = 1e-10  # added to a loss, of which a power below 0 may be taken


@dataclass(eq=False)
class QFedAvg(Strategy):
    """model = model - sum(loss^q * way) / sum(q * loss^(q - 1) * |way|^2 + L * loss^q), way = L * (model - worker's).

    `loss` is that of the common model on the worker's data before training. `lipschitz` is L; 0 is 1 / local lr. With
    q = 0 all workers count the same. Li et al. 2020, Fair Resource Allocation in Federated Learning, algorithm 2.
    """

    q: float = 1.0
    lipschitz: float = 0.0

    def __post_init__(self) -> None:
        at_least("q", self.q, 0)
        at_least("lipschitz", self.lipschitz, 0)
        self._smooth = self.lipschitz
        self._divisor = self._weight = 0.0
        self._state: Mapping[str, torch.Tensor] = {}
        self._trained: frozenset[str] = frozenset()

    def check(self, job: TrainingJob) -> None:
        lr = float(job.options.get("lr", 0))
        if not self.lipschitz and not lr > 0:
            raise UsageError("q-FedAvg needs 'lipschitz', or a job with a positive 'lr'")
        self._smooth = self.lipschitz or 1 / lr

    def begin(self, opening: Opening) -> None:
        self._divisor = self._weight = 0.0
        self._state = opening.state
        self._trained = frozenset(opening.trained)

    def ask(self, worker: str) -> Instructions:
        return Instructions(loss_before=True)

    def accept(self, update: Update) -> None:
        loss = update.metrics.get(LOSS_BEFORE, -1.0)
        if not 0 <= loss < float("inf"):
            raise UpdateRefused(f"its loss before training is {loss:g}, and a number from 0 is needed")

    def weigh(self, update: Update) -> float:
        loss = update.metrics[LOSS_BEFORE] + _NO_LOSS
        weight = float(loss**self.q)
        square = self._smooth**2 * sum(
            float((old.to(wide(old.dtype)) - new).abs().square().sum())
            for (name, old), new in zip(self._state.items(), update.state, strict=True)
            if name in self._trained
        )
        self._weight += weight
        self._divisor += self.q * loss ** (self.q - 1) * square + self._smooth * weight
        return weight

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        if name not in self._trained:
            return mean
        return old - self._smooth * self._weight * (old - mean) / self._divisor

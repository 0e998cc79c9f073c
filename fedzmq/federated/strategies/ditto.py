"""A model of each worker's own beside the common one."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Instructions, Strategy


@dataclass(eq=False)
class Ditto(Strategy):
    """A worker also trains a model of its own on its loss + pull/2 * |own weights - common weights|^2, and keeps it.

    The common model is that of federated averaging. The answers tell the own model's figures as `personal_loss` and so
    on. Li et al. 2021, Ditto: Fair and Robust Federated Learning Through Personalization, algorithm 1, where the pull
    is lambda.
    """

    pull: float = 0.1

    def __post_init__(self) -> None:
        at_least("pull", self.pull, 0)

    def ask(self, worker: str) -> Instructions:
        return Instructions(ditto=self.pull)

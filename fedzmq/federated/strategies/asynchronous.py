"""Strategies without rounds: the model takes a step whenever enough answers have come, however old their beginnings."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch

from fedzmq.federated.strategies.numbers import above, at_least
from fedzmq.federated.strategies.strategy import Instructions, Strategy


class Asynchronous(Strategy):
    """An answer is stale by as many steps as the model has taken since the worker was sent it."""

    buffer: int = 1
    """The answers that make a step."""

    @abstractmethod
    def moved(self, now: torch.Tensor, sent: torch.Tensor, new: torch.Tensor, staleness: int) -> torch.Tensor:
        """Where an answer alone would move numbers of the model, in float64: the step is to the mean over the buffer.

        Each number by itself: they come flattened, and some at a time. now: as they are. sent: as the worker got them.
        new: as it answers them.
        """


@dataclass(eq=False)
class FedAsync(Asynchronous):
    """model = (1 - a) * model + a * answer, where a = mixing * (staleness + 1)^-decay, at every answer.

    Xie, Koyejo and Gupta 2019, Asynchronous Federated Optimization, algorithm 1 and section 5.2, with the polynomial
    discount; `proximal` is rho there.
    """

    mixing: float = 0.6
    decay: float = 0.5
    proximal: float = 0.0

    def __post_init__(self) -> None:
        above("mixing", self.mixing, 0)
        at_least("decay", self.decay, 0)
        at_least("proximal", self.proximal, 0)

    def ask(self, worker: str) -> Instructions:
        return Instructions(proximal=self.proximal)

    def moved(self, now: torch.Tensor, sent: torch.Tensor, new: torch.Tensor, staleness: int) -> torch.Tensor:
        return now + self.mixing * discount(staleness, self.decay) * (new - now)


@dataclass(eq=False)
class FedBuff(Asynchronous):
    """model = model + lr * the mean over `buffer` answers of (answer - model that was sent) * (staleness + 1)^-decay.

    Nguyen et al. 2022, Federated Learning with Buffered Asynchronous Aggregation, algorithm 1, and appendix for the
    discount of 1 / sqrt(1 + staleness).
    """

    buffer: int = 10
    lr: float = 1.0
    decay: float = 0.5

    def __post_init__(self) -> None:
        at_least("buffer", self.buffer, 1)
        above("lr", self.lr, 0)
        at_least("decay", self.decay, 0)

    def moved(self, now: torch.Tensor, sent: torch.Tensor, new: torch.Tensor, staleness: int) -> torch.Tensor:
        return now + self.lr * discount(staleness, self.decay) * (new - sent)


def discount(staleness: int, decay: float) -> float:
    """How much a stale answer counts: 1 where it is fresh."""
    return float((staleness + 1) ** -decay)

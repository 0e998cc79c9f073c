"""Strategies without rounds: the model takes a step whenever enough answers have come, however old their beginnings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.strategies.numbers import above, at_least
from fedzmq.federated.strategies.strategy import Instructions, Strategy
from fedzmq.suggestion import check_named

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


class Asynchronous(Strategy):
    """An answer is stale by as many steps as the model has taken since the worker was sent it."""

    buffer: int = 1
    """The answers that make a step."""

    def check(self, job: TrainingJob) -> None:
        for name in ("cohort", "fraction", "quorum", "deadline"):
            if getattr(job, name) is not None:
                raise UsageError(f"asynchronous training has no rounds: leave {name!r} out of the job")

    @abstractmethod
    def counts(self, staleness: int) -> float:
        """Which share of the way to it the model goes for an answer of that staleness."""

    def moved(self, now: torch.Tensor, sent: torch.Tensor, new: torch.Tensor, staleness: int) -> torch.Tensor:
        """Where an answer alone would move what is trained, in float64: the step is to the mean over the buffer.

        Each number by itself: they come flattened, and some at a time. now: as they are. sent: as the worker got them.
        new: as it answers them.
        """
        return now + self.counts(staleness) * (new - now)


@dataclass(eq=False)
class FedAsync(Asynchronous):
    """model = (1 - a) * model + a * answer at every answer, where a = mixing * s, and s is 1 for a fresh one.

    discount: s is (staleness + 1)^-decay for "polynomial", 1 for "constant", and for "hinge" it is 1 up to a staleness
    of `grace` and 1 / (decay * (staleness - grace) + 1) beyond. An answer is fresh, with a staleness of 0, where the
    model has taken no step since it was sent. Xie, Koyejo and Gupta 2019, Asynchronous Federated Optimization,
    algorithm 1 and section 5.2; `proximal` is rho there, `decay` a and `grace` b.
    """

    mixing: float = 0.6
    decay: float = 0.5
    proximal: float = 0.0
    discount: str = "polynomial"
    grace: int = 4

    def __post_init__(self) -> None:
        above("mixing", self.mixing, 0)
        at_least("decay", self.decay, 0)
        at_least("proximal", self.proximal, 0)
        at_least("grace", self.grace, 0)
        check_named("discount", self.discount, dict.fromkeys(_DISCOUNTS, ()), ())

    def ask(self, worker: str) -> Instructions:
        return Instructions(proximal=self.proximal)

    def counts(self, staleness: int) -> float:
        return self.mixing * _DISCOUNTS[self.discount](staleness, self.decay, self.grace)


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

    def counts(self, staleness: int) -> float:
        return _polynomial(staleness, self.decay)

    def moved(self, now: torch.Tensor, sent: torch.Tensor, new: torch.Tensor, staleness: int) -> torch.Tensor:
        return now + self.lr * self.counts(staleness) * (new - sent)


def _polynomial(staleness: int, decay: float, grace: int = 0) -> float:
    return float((staleness + 1) ** -decay)


def _hinge(staleness: int, decay: float, grace: int) -> float:
    return 1 / (decay * max(0, staleness - grace) + 1)


_DISCOUNTS: Mapping[str, Callable[[int, float, int], float]] = {
    "constant": lambda staleness, decay, grace: 1.0,
    "polynomial": _polynomial,
    "hinge": _hinge,
}
"""How much an answer of some staleness counts."""

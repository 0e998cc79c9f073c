"""Strategies that compare the updates of a round with each other, number by number or as a whole.

Every worker counts the same: how many examples it has is what a worker says of itself. An update is the whole state
that came back, running statistics with the parameters, and a complex number is two; distances leave out integers, as a
counter.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from fedzmq.federated.report import Answer
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.updates.collector import Collector
from fedzmq.federated.updates.gathering import Gathering, Merging


class Robust(Strategy):
    """Takes the plain mean; a subclass trusts some workers and not others, or merges otherwise, or both."""

    compares: ClassVar[bool] = False
    """Whether `trust` is asked; it costs all updates on disk, and another look at them."""

    def collect(self, answers: Sequence[Answer]) -> Collector:
        if self.compares:
            return Gathering(answers, self.merge, self.trust, self.compare)
        return Merging(answers, self.merge)

    def compare(self, rows: torch.Tensor) -> torch.Tensor:
        """What `trust` is to know, (n, n), of a piece of n updates, (n, elements) in float64; that of all adds up.

        As it stands, the squared distances between them.
        """
        return torch.stack([(rows - each).square().sum(1) for each in rows])

    def trust(self, compared: torch.Tensor) -> torch.Tensor:
        """The weights of n updates, (n,) in float64, from what comparing them gave, (n, n)."""
        return torch.ones(len(compared), dtype=torch.float64)

    def merge(self, rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """One row (elements,) of those with a weight above 0, (k, elements), and the weights (k,)."""
        return (rows * weights[:, None]).sum(0) / weights.sum()


@dataclass(eq=False)
class AgainstSome(Robust):
    """Holds while at most so many of the workers that answer attack.

    An update that is refused, as for NaN, was one of theirs: fewer are left among fewer updates.
    """

    attackers: int = 1

    def __post_init__(self) -> None:
        at_least("attackers", self.attackers, 0)
        self.least = self.needs(self.attackers)
        self.expected = self.attackers

    @abstractmethod
    def needs(self, attackers: int) -> int:
        """The updates among which so many of attackers do no harm."""

    def collect(self, answers: Sequence[Answer]) -> Collector:
        bearable = (number for number in range(self.attackers, 0, -1) if self.needs(number) <= len(answers))
        self.expected = next(bearable, 0)
        return super().collect(answers)


def middle(ordered: torch.Tensor) -> torch.Tensor:
    """The median over the first dimension of what is sorted along it; of an even number, the mean of the middle two."""
    count = len(ordered)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2

"""The updates that have the most company."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.strategies.numbers import at_least
from fedzmq.federated.strategies.robust.robust import AgainstSome


@dataclass(eq=False)
class Krum(AgainstSome):
    """The update with the least sum of squared distances to its n - attackers - 2 nearest others is the new model.

    Blanchard et al. 2017, Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, section 3.
    """

    compares: ClassVar[bool] = True

    def needs(self, attackers: int) -> int:
        return 2 * attackers + 3

    def trust(self, distances: torch.Tensor) -> torch.Tensor:
        return chosen(scores(distances, self.expected), 1)


@dataclass(eq=False)
class MultiKrum(Krum):
    """The mean of the `selected` updates with the best scores of Krum; 0 is n - attackers - 2 of them.

    Blanchard et al. 2017, section 4, who leave the number open, and try n - attackers. n - attackers - 2 is the most
    of which El Mhamdi, Guerraoui and Rouault 2020, Fast and Robust Distributed Learning in High Dimension, prove that
    it holds. The mean does not weigh by examples, as it does in Flower: of these a worker tells what it likes.
    """

    selected: int = 0

    def __post_init__(self) -> None:
        at_least("selected", self.selected, 0)
        super().__post_init__()

    def needs(self, attackers: int) -> int:
        return max(super().needs(attackers), self.selected + attackers)

    def trust(self, distances: torch.Tensor) -> torch.Tensor:
        count = len(distances)
        if self.selected > count - self.expected:
            raise UsageError(
                f"'selected' is {self.selected}, and of {count} updates with {self.expected} attackers among them, "
                f"{count - self.expected} can be selected"
            )
        return chosen(scores(distances, self.expected), self.selected or max(1, count - self.expected - 2))


def scores(distances: torch.Tensor, attackers: int) -> torch.Tensor:
    """Of each update, the sum of the squared distances to its nearest others; to one of them at the least."""
    near = max(1, len(distances) - attackers - 2)
    return distances.sort(1).values[:, 1 : near + 1].sum(1)


def chosen(values: torch.Tensor, count: int) -> torch.Tensor:
    """1 for the `count` least, the first ones among equals, and 0 for all others."""
    weights = torch.zeros(len(values), dtype=torch.float64)
    weights[values.argsort(stable=True)[:count]] = 1
    return weights

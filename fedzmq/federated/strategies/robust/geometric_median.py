"""The point with the least sum of distances to the updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedzmq.federated.strategies.numbers import above, at_least
from fedzmq.federated.strategies.robust.robust import Robust, middle
from fedzmq.federated.updates.gathering import FARTHEST


@dataclass(eq=False)
class GeometricMedian(Robust):
    """Weiszfeld's iteration: the mean of the updates weighted by 1 / distance to the last such mean, again and again.

    smoothing: a distance counts as at least that. Holds while less than half attack. Pillutla, Kakade and Harchaoui
    2022, Robust Aggregation for Federated Learning, algorithm 2, where an update counts by its examples; here each
    counts the same. The iteration begins at the median of each coordinate, and is slow to leave an update. Every
    point on the way is a mean of updates, so how far they are from it follows from the products of their ways from the
    beginning, and no pass over them is needed for an iteration. Distances between updates would not do: however far an
    attacker is, the median leans to it by a force of one, and in such a distance its direction drowns.
    """

    compares: ClassVar[bool] = True

    smoothing: float = 1e-6
    iterations: int = 2000
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        above("smoothing", self.smoothing, 0)
        at_least("iterations", self.iterations, 1)
        at_least("tolerance", self.tolerance, 0)

    def compare(self, rows: torch.Tensor) -> torch.Tensor:
        away = rows - middle(rows.sort(0).values)
        return away @ away.T

    def trust(self, compared: torch.Tensor) -> torch.Tensor:
        lengths = compared.diagonal()
        weights = self._weights(lengths)
        for _ in range(self.iterations):
            products = compared @ weights
            squares = lengths - 2 * products + weights @ products
            last, weights = weights, self._weights(squares.clamp(min=0))
            if float((weights - last).abs().max()) <= self.tolerance:
                break
        return weights

    def _weights(self, squares: torch.Tensor) -> torch.Tensor:
        inverse = (1 / squares.sqrt().clamp(min=self.smoothing)).where(squares < FARTHEST, 0.0)
        return inverse / inverse.sum()

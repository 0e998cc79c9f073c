"""The point with the least sum of distances to the updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from fedzmq.federated.strategies.numbers import above, at_least
from fedzmq.federated.strategies.robust.robust import Robust


@dataclass(eq=False)
class GeometricMedian(Robust):
    """Weiszfeld's iteration: the mean of the updates weighted by 1 / distance to the last such mean, again and again.

    smoothing: a distance counts as at least that. Holds while less than half attack. Pillutla, Kakade and Harchaoui
    2022, Robust Aggregation for Federated Learning, algorithm 2, where an update counts by its examples; here each
    counts the same. The iteration begins at the update in the middle, and is slow to leave one. Every point on the way
    is a mean of updates, so its distances follow from those between updates, and no pass over the updates is needed for
    an iteration.
    """

    compares: ClassVar[bool] = True

    smoothing: float = 1e-6
    iterations: int = 2000
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        above("smoothing", self.smoothing, 0)
        at_least("iterations", self.iterations, 1)
        at_least("tolerance", self.tolerance, 0)

    def trust(self, distances: torch.Tensor) -> torch.Tensor:
        # From the update in the middle: from the mean of all, a far attacker would first drown the others' distances.
        start = int(distances.sqrt().median(1).values.argmin())
        weights = self._weights(distances[start])
        for _ in range(self.iterations):
            squares = distances @ weights - weights @ distances @ weights / 2
            last, weights = weights, self._weights(squares.clamp(min=0))
            if float((weights - last).abs().max()) <= self.tolerance:
                break
        return weights

    def _weights(self, squares: torch.Tensor) -> torch.Tensor:
        inverse = 1 / squares.sqrt().clamp(min=self.smoothing)
        return inverse / inverse.sum()

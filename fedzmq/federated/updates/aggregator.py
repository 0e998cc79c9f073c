"""The weighted mean of updates, as a fold: a piece of an update moves the mean of those before it, and then it can go.

It is taken piece by piece in the order of the workers' names, whoever answers first, so the same updates give the same
bits. A mean that runs never leaves the range of what it is taken of, as a sum would, and needs no room but that of a
model: updates that agree have exactly what they agree on for their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.precision import mean_room

Weigh = Callable[[Answer], float]


def by_examples(answer: Answer) -> float:
    """An update counts as much as it has examples (McMahan et al. 2017, algorithm 1)."""
    return answer.examples


class Aggregator:
    """A `Collector` of means. All weights are known before the first piece: `weigh` is asked once for each answer.

    Buffers are averaged as parameters are. Raises UsageError for a weight that is none, or where all are 0.
    """

    def __init__(self, answers: Iterable[Answer], weigh: Weigh = by_examples) -> None:
        weights = {each.worker: weigh(each) for each in answers}
        self.weight = 0.0
        self._shares: dict[str, float] = {}  # of the mean of a worker's update and of all before it
        for worker in sorted(weights):
            weight = weights[worker]
            if not 0 <= weight < math.inf:
                raise UsageError(f"the strategy weighs an update by {weight:g}, and a number from 0 is needed")
            self.weight += weight
            self._shares[worker] = weight / self.weight if weight else 0.0
        if not self.weight:
            raise UsageError(f"the strategy weighs all {len(weights)} updates by 0, and one has to count")
        self._first = next(iter(self._shares))
        self._shapes: list[torch.Size] = []
        self._means: list[torch.Tensor] = []  # flattened

    def open(self, state: Sequence[torch.Tensor]) -> None:
        self._shapes = [each.shape for each in state]
        self._means = [mean_room(each) for each in state]

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        mean = self._means[place][start : start + len(values)]
        if worker == self._first:
            mean.copy_(values)
        else:
            mean.lerp_(values.to(mean.dtype), self._shares[worker])

    def combined(self, place: int) -> torch.Tensor:
        return self._means[place].view(self._shapes[place])

    def close(self) -> None:
        self._means = []

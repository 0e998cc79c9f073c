"""The weighted mean of updates, as a fold: a piece of an update is added to a sum, and then it can go.

The sum is taken in float64, and piece by piece in the order of the workers' names, whoever answers first, so the same
updates give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.report import Answer
from fedzmq.federated.updates.one_thread import one_thread
from fedzmq.federated.updates.precision import wide_room

Weigh = Callable[[Answer], float]


def by_examples(answer: Answer) -> float:
    """An update counts as much as it has examples (McMahan et al. 2017, algorithm 1)."""
    return answer.examples


class Aggregator:
    """A `Collector` of means. All weights are known before the first piece: `weigh` is asked once for each answer.

    Buffers are averaged as parameters are. Raises UsageError for a weight that is none, or where all are 0.
    """

    def __init__(self, answers: Iterable[Answer], weigh: Weigh = by_examples) -> None:
        self._weights = {each.worker: weigh(each) for each in answers}
        for weight in self._weights.values():
            if not 0 <= weight < math.inf:
                raise UsageError(f"the strategy weighs an update by {weight:g}, and a number from 0 is needed")
        self.weight: float = sum(self._weights[worker] for worker in sorted(self._weights))
        if not self.weight:
            raise UsageError(f"the strategy weighs all {len(self._weights)} updates by 0, and one has to count")
        self._first = min(self._weights)
        self._shapes: list[torch.Size] = []
        self._sums: list[torch.Tensor] = []  # flattened

    def open(self, state: Sequence[torch.Tensor]) -> None:
        self._shapes = [each.shape for each in state]
        self._sums = [wide_room(each) for each in state]

    def fold(self, worker: str, place: int, start: int, values: torch.Tensor) -> None:
        part, weight = self._sums[place][start : start + len(values)], self._weights[worker]
        if worker == self._first:  # in place of zeros, which would be written first, and read again
            part.copy_(values).mul_(weight)
        else:
            part.add_(values if values.is_floating_point() else values.to(part.dtype), alpha=weight)

    def combined(self, place: int) -> torch.Tensor:
        with one_thread():
            return self._sums[place].div_(self.weight).view(self._shapes[place])

    def close(self) -> None:
        self._sums = []

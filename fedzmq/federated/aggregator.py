"""The weighted mean of updates, as a fold: an update is added to a sum, and then it can go.

The sum is taken in float64 and in the order of the workers' names, whoever answers first, so the same updates give the
same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.precision import narrowed, wide
from fedzmq.federated.update import Update

Weigh = Callable[[Update], float]


def by_examples(update: Update) -> float:
    """An update counts as much as it has examples (McMahan et al. 2017, algorithm 1)."""
    return update.examples


class Aggregator:
    """Averages the states of `workers`. `weigh` is asked once for each update, in the order of the workers' names.

    Every worker is to be either added or skipped. Buffers are averaged as parameters are; integers are rounded, so that
    a counter stays one, and a boolean goes with the majority of the weight.
    """

    def __init__(self, workers: Iterable[str], weigh: Weigh = by_examples) -> None:
        self._order = sorted(workers)
        self._weigh = weigh
        self._early: dict[str, Update | None] = {}
        self._sums: list[torch.Tensor] = []
        self._dtypes: list[torch.dtype] = []
        self.examples = 0
        self.weight: float = 0

    def add(self, worker: str, update: Update) -> None:
        """Fold an update in, at once if all before it in the order have come, and otherwise as soon as they have."""
        self._early[worker] = update
        self._fold()

    def skip(self, worker: str) -> None:
        """There is no update of this worker."""
        self._early[worker] = None
        self._fold()

    def combined(self, place: int) -> torch.Tensor:
        """The mean of the tensor at this place of the state, in float64. Raises ValueError where nothing was added."""
        if self._order:
            raise ValueError(f"the workers {', '.join(self._order)} are neither added nor skipped")
        if not self.weight:
            raise ValueError("no update was added")
        return self._sums[place] / self.weight

    def mean(self) -> list[torch.Tensor]:
        """The averaged state, in the dtypes of the updates. Raises ValueError where nothing was added."""
        self.combined(0)
        return [narrowed(self.combined(place), dtype) for place, dtype in enumerate(self._dtypes)]

    def close(self) -> None:
        """The sums can go."""
        self._sums = []

    def _fold(self) -> None:
        while self._order and self._order[0] in self._early:
            update = self._early.pop(self._order.pop(0))
            if update is not None:
                self._sum(update.state, self._weigh(update))
                self.examples += update.examples

    def _sum(self, state: Sequence[torch.Tensor], weight: float) -> None:
        if not 0 <= weight < math.inf:
            raise UsageError(f"the strategy weighs an update by {weight:g}, and a number from 0 is needed")
        if not self._sums:
            self._sums = [torch.zeros(tensor.shape, dtype=wide(tensor.dtype)) for tensor in state]
            self._dtypes = [tensor.dtype for tensor in state]
        for total, tensor in zip(self._sums, state, strict=True):
            total.add_(tensor.to(total.dtype), alpha=weight)
        self.weight += weight

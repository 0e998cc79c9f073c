"""The weighted mean of updates, as a fold: an update is added to a sum, and then it can go.

The sum is taken in float64 and in the order of the workers' names, whoever answers first, so the same updates give the
same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from fedzmq.federated.update import Update


class Aggregator:
    """Averages the states of `workers`, weighted by their examples (McMahan et al. 2017, algorithm 1).

    Every worker is to be either added or skipped. Buffers are averaged as parameters are; integers are rounded, so that
    a counter stays one, and a boolean goes with the majority of the examples.
    """

    def __init__(self, workers: Iterable[str]) -> None:
        self._order = sorted(workers)
        self._early: dict[str, Update | None] = {}
        self._sums: list[torch.Tensor] = []
        self._dtypes: list[torch.dtype] = []
        self.examples = 0

    def add(self, worker: str, update: Update) -> None:
        """Fold an update in, at once if all before it in the order have come, and otherwise as soon as they have."""
        self._early[worker] = update
        self._fold()

    def skip(self, worker: str) -> None:
        """There is no update of this worker."""
        self._early[worker] = None
        self._fold()

    def mean(self) -> list[torch.Tensor]:
        """The averaged state, in the dtypes of the updates. Raises ValueError where nothing was added."""
        if self._order:
            raise ValueError(f"the workers {', '.join(self._order)} are neither added nor skipped")
        if self.examples == 0:
            raise ValueError("no update was added")
        return [_cast(total / self.examples, dtype) for total, dtype in zip(self._sums, self._dtypes, strict=True)]

    def _fold(self) -> None:
        while self._order and self._order[0] in self._early:
            update = self._early.pop(self._order.pop(0))
            if update is not None:
                self._sum(update.state, update.examples)

    def _sum(self, state: Sequence[torch.Tensor], examples: int) -> None:
        if not self._sums:
            self._sums = [torch.zeros(tensor.shape, dtype=_wide(tensor.dtype)) for tensor in state]
            self._dtypes = [tensor.dtype for tensor in state]
        for total, tensor in zip(self._sums, state, strict=True):
            total.add_(tensor.to(total.dtype), alpha=examples)
        self.examples += examples


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.complex128 if dtype.is_complex else torch.float64


def _cast(mean: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if dtype is torch.bool:
        return mean > 0.5
    if not dtype.is_floating_point and not dtype.is_complex:
        return mean.round().to(dtype)
    return mean.to(dtype)
